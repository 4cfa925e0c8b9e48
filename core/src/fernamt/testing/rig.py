"""What a rule works on: one connector, its settings, the fake context around it and the fake server before it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve

from fernamt._runtime.fitting import fit, measures_of
from fernamt._runtime.http import ClientHttp
from fernamt._runtime.loader import PluginFailure
from fernamt.connector import Channel, Connector, Describes, Webhook, Webhooks, abilities_of
from fernamt.errors import ChannelError, ConfigError, NeedsLogin
from fernamt.inbound import Handshake, InboundEvent, Request
from fernamt.model import ChannelId
from fernamt.outbound import Capabilities, OutboundMessage, Sent
from fernamt.registry import ConnectorOffer
from fernamt.settings import Secret, secrets_in
from fernamt.settings.structure import structure
from fernamt.testing.context import FakeContext
from fernamt.testing.guard import Seen
from fernamt.testing.provider import FaultyProvider
from fernamt.testing.recording import Recording, without_secrets
from fernamt.testing.rule import Broken
from fernamt.testing.trouble import FakeServer, Transcribes, Trouble

if TYPE_CHECKING:
    from fernamt.testing.conformance import ConnectorConformance

CHANNEL: Final = ChannelId("under-test")
URL: Final = f"https://fernamt.example/in/{CHANNEL}/"
WORDS: Final = "Größe 38, bitte: der Kanarienvogel sang 🐤 um 5"
"""A customer's words that stand nowhere else."""
PATIENCE_S: Final = 10.0
"""So long a connector may take for anything here: nothing that it has to wait for takes half a second."""
IMPATIENCE_S: Final = 0.25
"""The time-out of HTTP where nobody answers: a busy machine takes as long for an answer that comes."""
RECEIVED_S: Final = 5.0
"""Within so many seconds a message is received that waits."""
_AGAIN_S: Final = 0.02


@define(kw_only=True)
class Rig:
    """Everything around one connector. Made anew for every rule."""

    suite: ConnectorConformance
    offer: ConnectorOffer
    server: FakeServer | None
    section: Mapping[str, object]
    """The channel's section, as an operator could write it."""
    environ: Mapping[str, str]
    """The secrets that it refers to."""
    seen: Seen
    context: FakeContext
    http: ClientHttp
    """What is ``context.http``."""
    requests: list[str]
    """What went out by it: the method of each request."""
    records: bool = False
    """Whether what goes out is written down instead of being compared."""
    _connector: Connector | None = None

    # ---- the connector
    @property
    def connector(self) -> Connector:
        """The connector, built when it is first asked for."""
        if self._connector is None:
            self._connector = self.another()
        return self._connector

    def settings(self) -> Any:
        """Return the settings as the daemon would read them; raises ``Broken`` if it would not."""
        value, mistakes = self.structured(self.section)
        if value is None:
            raise Broken(f"the settings that the test hands over are refused: {mistakes[0]}; correct settings()")
        return value

    def structured(self, section: Mapping[str, object]) -> tuple[Any, list[str]]:
        """Return a section's settings, or ``None`` and what is wrong with them."""
        value, found = structure(section, self.offer.settings, folder=Path(), environ=self.environ)
        return value, [f"{'.'.join(one.path)} {one.problem}. {one.fix}" for one in found]

    def another(self, context: FakeContext | None = None) -> Connector:
        """Build one more connector for the same channel, as a restart does."""
        channel = Channel(id=CHANNEL, name="Under test", kind=self.offer.kind, settings=self.settings(), url=URL)
        return self.offer.load()(channel, context or self.context)

    def restarted(self) -> Connector:
        """Build it again as after a restart: what was committed is known, all else is forgotten."""
        self._connector = None
        self.context.states.clear()
        self.context.reported.clear()
        return self.connector

    def has(self, ability: type) -> bool:
        """Return whether the connector has an ability."""
        return ability in abilities_of(self.connector)

    @property
    def can(self) -> Capabilities:
        """What the connector says that it can do."""
        return self.connector.capabilities() if isinstance(self.connector, Describes) else Capabilities()

    @property
    def secrets(self) -> list[str]:
        """Every secret of the settings."""
        return [*secrets_in(self.settings())]

    # ---- what goes out
    def message(self, text: str = WORDS, **more: Any) -> OutboundMessage:
        """Return a message to the suite's recipient, as the core would give it to this connector."""
        said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": self.suite.recipient()} | more
        return OutboundMessage(text=text, **said)

    def fitted(self, message: OutboundMessage) -> tuple[OutboundMessage, ...]:
        """Return the parts that the core would make of *message*; raises ``Broken`` if it would refuse it."""
        parts = fit(message, self.can, measures_of(self.connector))
        if isinstance(parts, str):
            raise Broken(f"by its own capabilities the channel takes no such message ({parts}); correct capabilities()")
        if len(parts) == 1:
            return parts
        return tuple(evolve(part, key=f"{message.key}p{number:02}") for number, part in enumerate(parts, 1))

    async def outcome(self, message: OutboundMessage, connector: Connector | None = None) -> Sent | BaseException:
        """Make one attempt, and return what came of it. Raises ``Broken`` if nothing does."""
        waiting = asyncio.timeout(PATIENCE_S)
        try:
            async with waiting:
                return await (connector or self.connector).send(message)
        except Exception as why:  # noqa: BLE001 - a stranger's connector: what it raises is what is judged
            if waiting.expired():
                raise Broken(f"send was still waiting after {PATIENCE_S:g} s: give whatever waits a time-out") from None
            return why

    async def sent(self, message: OutboundMessage) -> Sent:
        """Make one attempt that must succeed; raises ``Broken`` if it does not."""
        found = await self.outcome(message)
        if isinstance(found, Sent):
            return found
        raise Broken(f"send {said(found)} although the provider was well: a good answer must give Sent") from (
            found if isinstance(found, Exception) else None
        )

    async def in_trouble(self, trouble: Trouble) -> Sent | BaseException:
        """Return what comes of an attempt while the server meets *trouble*."""
        await self.meet(trouble)
        return await self.outcome(self.message())

    def transcribed(self) -> list[str]:
        """Return what the server, which ``Transcribes``, was asked so far: without secrets, and without its port."""
        one: object = self.server
        assert isinstance(one, Transcribes)
        found = [without_secrets(text, self.secrets) for text in one.transcript()]
        return [re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:port", text) for text in found]

    async def meet(self, trouble: Trouble | None) -> None:
        """Let the server meet *trouble*; where no answer comes, nobody waits long for it. ``None``: all is well again."""
        if isinstance(self.context.http, CountedHttp):
            self.context.http.within_s = IMPATIENCE_S if trouble is Trouble.SILENCE else PATIENCE_S
        await self.provider.meet(trouble)

    @property
    def provider(self) -> FakeServer:
        """The fake server; rules ask for it by ``SERVER``."""
        assert self.server is not None
        return self.server

    # ---- what comes in
    def hook(self, recording: Recording) -> Webhook:
        """Return the webhook that a recording calls: the one with the longest path that begins its path."""
        assert isinstance(self.connector, Webhooks)
        path = recording.path.strip("/")
        hooks = [
            one for one in self.connector.webhooks() if f"{path}/".startswith(f"{one.path.strip('/')}/".lstrip("/"))
        ]
        if not hooks:
            raise Broken(
                f"no webhook has the path {recording.path!r} of the recording {recording.name}: correct one of them"
            )
        return max(hooks, key=lambda one: len(one.path))

    def unsigned(self, recording: Recording) -> Request:
        """Return the request of a recording without any signature."""
        return recording.request(URL, self.hook(recording).path.strip("/"), at=self.context.clock.now())

    def signed(self, recording: Recording) -> Request:
        """Return the request of a recording, signed anew: by ``Webhook.sign`` if it has that, and by the suite."""
        request, sign = self.unsigned(recording), self.hook(recording).sign
        return self.suite.signed(request if sign is None else sign(request))

    def parsed(self, recording: Recording, request: Request | None = None) -> Handshake | tuple[InboundEvent, ...]:
        """Return what the webhook makes of a request; raises what it raises."""
        hook = self.hook(recording)
        request = request or self.signed(recording)
        if (answer := hook.verify(request)) is not None:  # type: ignore[func-returns-value]
            raise TypeError(f"verify returned {answer!r}")
        found = hook.parse(request)
        return found if isinstance(found, Handshake) else tuple(found)

    def events(self, recording: Recording) -> tuple[InboundEvent, ...]:
        """Return the events of a recording; raises ``Broken`` if there are none to be had."""
        try:
            found = self.parsed(recording)
        except Exception as why:
            raise Broken(
                f"the recording {recording.name} is not taken: verify or parse raised {type(why).__name__} ({why});"
                " correct signed() of the test, or the connector"
            ) from why
        return () if isinstance(found, Handshake) else found

    @property
    def recordings(self) -> Sequence[Recording]:
        """The recordings that stand for events; rules ask for them by ``RECORDED``."""
        return [one for one in self.suite.recorded() if not isinstance(one.expect, str)]

    # ---- what runs
    @asynccontextmanager
    async def running(self, *, supervised: bool = True) -> AsyncIterator[asyncio.Task[None]]:
        """Run the connector, which receives; *supervised*: start it again when it raises, as the daemon does.

        What it raises for good is the caller's, to be looked for in the task.
        """
        task = asyncio.ensure_future(self._supervised() if supervised else self.run())
        try:
            yield task
        finally:
            await self.stopped(task)

    async def run(self) -> None:
        """Run the connector once."""
        one: Any = self.connector
        await one.run()

    async def _supervised(self) -> None:
        while True:
            try:
                await self.run()
            except (NeedsLogin, ConfigError):
                raise
            except Exception:  # noqa: BLE001 - a stranger's connector: started again, as the supervisor does
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def stopped(self, task: asyncio.Task[None], *, within_s: float = PATIENCE_S) -> bool:
        """Cancel a task, and return whether it ended in time."""
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=within_s)
        if done and not task.cancelled():
            task.exception()
        return bool(done)

    async def received(self, task: asyncio.Task[None], count: int, *, within_s: float = RECEIVED_S) -> None:
        """Return when the intake has *count* different keys; raises ``Broken`` if that does not come."""
        enough = asyncio.ensure_future(self.context.intake.until(lambda it: len(it.keys) >= count, within_s=within_s))
        try:
            await self.ticking({task, enough}, within_s=within_s + 1)
            if enough.done() and enough.exception() is None:
                return
            why = f"run {said(found)}" if task.done() and (found := task.exception()) else "run"
            why = f"{why} has ended" if task.done() and not task.exception() else why
            got = len(self.context.intake.keys)
            raise Broken(
                f"{count} messages waited at the provider, and {why} brought {got} of them to intake: bring each"
            )
        finally:
            enough.cancel()
            await asyncio.wait({enough})

    async def ticking(self, tasks: set[asyncio.Task[Any]], *, within_s: float) -> None:
        """Return when one of *tasks* has ended; meanwhile a fake minute passes in every fiftieth of a second."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while loop.time() < end:
            done, _ = await asyncio.wait(tasks, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            self.context.clock.advance(60)

    async def asked_for(self, seconds: float) -> int:
        """Return how often the provider is asked for a while, while the fake clock stands still.

        The while is counted in turns of the loop that take *seconds* on an idle machine: on a busy one both go slower.
        """
        before = self.provider.asked
        for _ in range(int(seconds * 500)):
            await asyncio.sleep(0.002)
        return self.provider.asked - before

    async def came(self) -> None:
        """Return when the connector has come to the provider for the first time; raises ``Broken`` if it does not."""
        for _ in range(int(RECEIVED_S / 0.01)):
            if self.provider.asked or self.context.states:
                return
            await asyncio.sleep(0.01)
        raise Broken("run did not come to the provider within some seconds: ask it, listen to it or bind there")


@asynccontextmanager
async def rigged(suite: ConnectorConformance, seen: Seen, *, records: bool = False) -> AsyncIterator[Rig]:
    """Set up everything around one connector of *suite*, and take it down."""
    offer = suite.offer()
    if isinstance(offer, PluginFailure):
        raise Broken(f"the plugin cannot be loaded: {offer.cause}. {offer.remedy}")
    async with contextlib.AsyncExitStack() as stack:
        server = suite.server()
        if server is not None:
            await stack.enter_async_context(server)
        section, environ = referred(suite.settings(server))
        context, requests = FakeContext(), list[str]()
        if isinstance(server, FaultyProvider):
            server.clock = context.clock
        context.http = http = CountedHttp(requests, context.log)
        stack.push_async_callback(http.close)
        yield Rig(
            suite=suite,
            offer=offer,
            server=server,
            section=section,
            environ=environ,
            seen=seen,
            context=context,
            http=http,
            requests=requests,
            records=records,
        )


class CountedHttp(ClientHttp):
    """The daemon's own client, which may call this machine and keeps what it was asked for."""

    def __init__(self, requests: list[str], log: Any) -> None:
        super().__init__(allow_private=frozenset({"127.0.0.1"}), timeout_s=PATIENCE_S)
        self.within_s = PATIENCE_S
        """How long a request may take: a server that is well is slow on a busy machine, and no fault of the connector's."""
        self._log = log
        self._requests = requests

    async def request(self, method: str, url: str, **more: Any) -> Any:
        """See :class:`fernamt.Http`."""
        self._requests.append(method)
        return await super().request(method, url, **{**more, "timeout_s": self.within_s})

    def download(self, url: str, **more: Any) -> Any:
        """See :class:`fernamt.Http`."""
        self._requests.append("GET")
        return super().download(url, **more)


def referred(section: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Return a section with every :class:`Secret` replaced by a reference, and the environment that it refers to."""
    environ: dict[str, str] = {}

    def refer(value: object) -> object:
        if isinstance(value, Secret):
            name = f"FERNAMT_TEST_{len(environ) + 1}"
            environ[name] = value.reveal()
            return f"env:{name}"
        if isinstance(value, Mapping):
            return {str(key): refer(one) for key, one in value.items()}
        return list(map(refer, value)) if isinstance(value, list | tuple) else value

    return {key: refer(value) for key, value in section.items()}, environ


def said(outcome: object) -> str:
    """Say in words what an attempt came to."""
    if isinstance(outcome, Sent):
        return f"returned Sent with the ids {list(outcome.ids)}"
    if isinstance(outcome, ChannelError):
        certain = getattr(outcome, "certain", None)
        return f"raised {type(outcome).__name__}{'' if certain is None else f'(certain={certain})'}: {outcome.reason}"
    if isinstance(outcome, BaseException):
        return f"raised {type(outcome).__name__} ({outcome})"
    return f"returned {outcome!r}"


def without(section: Mapping[str, object], key: str) -> dict[str, object]:
    """Return *section* without *key*."""
    return {name: value for name, value in section.items() if name != key}
