"""The process that runs the plugin: a daemon with a temporary store, the plugin's fake server, and a way to talk to both.

It speaks lines of JSON: orders on stdin, what happens on stdout; first ``ready`` or ``broken``. Each has a store of its own: until a
new version is ready, the last good one goes on, and a new fake server does not know what the last one had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp

from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.views.channels import channel_views
from fernamt._store.views.conversation import conversation_view
from fernamt._store.views.inbox import inbox_page
from fernamt._store.views.quarantine import quarantined
from fernamt.cli.access import write
from fernamt.cli.dev.customer import speaking, written
from fernamt.cli.dev.onefile import OneFileSuite
from fernamt.cli.dev.place import Place
from fernamt.cli.dev.watched import Tell, WatchedApp
from fernamt.cli.dev.workpiece import NotWhole, opened, place_of
from fernamt.cli.outcome import Failure
from fernamt.connector import Webhook, Webhooks
from fernamt.errors import FernamtError
from fernamt.inbound import Request
from fernamt.model import ChannelId
from fernamt.settings import ChannelSection, ConfigErrors, HttpSettings, LogSettings, Secret, Settings
from fernamt.testing import ConnectorConformance, Holds, Recording, Trouble
from fernamt.testing.rig import referred

CHANNEL: Final = ChannelId("dev")
_LOOK_EVERY_S: Final = 0.1
_CALL_S: Final = 15.0
_PAGE: Final = 50
_CONFIGURATION: Final = "fernamt.toml"
"""Only its name: there is no such file."""
_OF_THE_LINE: Final = {"host", "connection", "content-length", "keep-alive", "transfer-encoding"}
_NOBODY: Final = (
    "nobody can write here yet: let the provider call us with one message, open the page and save it as a recording; "
    "or let the fake server have hold()"
)
_NOTHING: Final[Mapping[str, Any]] = {}


class Bench:
    """A daemon with one channel, and everything around it."""

    def __init__(
        self,
        suite: ConnectorConformance,
        folder: Path,
        tell: Tell,
        *,
        public_url: str = "",
        settings: Mapping[str, Any] = _NOTHING,
        level: Literal["warning", "error"] = "warning",
    ) -> None:
        """*public_url*: where a provider calls us, if not the daemon itself; *settings*: keys that are not the suite's."""
        self._suite = suite
        self._public_url = public_url
        self._keys = settings
        self._level = level
        self._folder = folder
        self._tell = tell
        self.server: Any = None
        self.settings: Settings | None = None
        self.local = ""
        """The daemon's own address."""
        self.app: WatchedApp | None = None
        self.store: Store | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the daemon, and the fake server."""
        async with contextlib.AsyncExitStack() as stack:
            self.server = self._suite.server()
            if self.server is not None:
                await stack.enter_async_context(self.server)
            section, environ = referred({**self._suite.settings(self.server), **self._keys})
            os.environ.update(environ)
            port = _free_port()
            self.local = f"http://127.0.0.1:{port}"
            self.settings = Settings(
                file=self._folder / _CONFIGURATION,
                store=f"sqlite:///{self._folder}/dev.db",
                public_url=self._public_url or self.local,
                listen=f"127.0.0.1:{port}",
                log=LogSettings(format="console", level=self._level),
                http=HttpSettings(allow_private=("127.0.0.1", "localhost", "::1")),
                channels=(ChannelSection(id=CHANNEL, kind=self._suite.kind, options=section),),
            )
            self.app = WatchedApp(self.settings, self._tell, self._folder / "seen")
            stack.push_async_callback(self.app.stop)
            await self.app.start()
            if self.app.failure is not None:
                raise self.app.failure
            self.store = Store.open(self.settings.store, _clock())
            stack.callback(self.store.close)
            yield

    # ---- as the customer
    async def say(self, text: str) -> str:
        """Write as the customer; return what is to be told of it."""
        if isinstance(self.server, Holds):
            await self.server.hold(text)
            return ""
        recording = speaking(self._suite.recorded())
        if recording is None:
            return _NOBODY
        status = await self.post(self.request(written(recording, text)))
        return "" if 200 <= status < 300 else f"the daemon answered {status}"

    def request(self, recording: Recording) -> Request:
        """Return a recorded request, as the provider would make it now. Raises ``Failure``."""
        hook = self._hook(recording)
        assert self.settings is not None
        url = f"{self.settings.public_url}/in/{CHANNEL}/"
        request = recording.request(url, hook.path.strip("/"), at=datetime.now(UTC))
        return hook.sign(request) if hook.sign is not None else self._suite.signed(request)

    def _hook(self, recording: Recording) -> Webhook:
        return hook_of(self.app.connector if self.app else None, recording)

    async def post(self, request: Request) -> int:
        """Make the request, and return the status of the answer."""
        assert self.settings is not None
        return await called(request, f"{self.local}{request.url.removeprefix(self.settings.public_url)}")

    def remarks(self) -> list[str]:
        """Return what an author has to know of the set-up."""
        assert self.settings is not None
        said = []
        if isinstance(self._suite, OneFileSuite):
            made_up = {name: one for name, one in self._suite.settings(self.server).items() if name not in self._keys}
            told = [f"{name} = {'a secret' if isinstance(one, Secret) else one}" for name, one in made_up.items()]
            if told:
                said.append(f"made up, as there are no tests: {', '.join(told)}. Otherwise: --set KEY=VALUE")
        hooks = _hooks(self.app.connector if self.app else None)
        return said + [f"its provider may call {self.settings.public_url}/in/{CHANNEL}/{one.path}" for one in hooks]

    async def meet(self, word: str) -> str:
        """Let the fake server meet a trouble; ``well``: none."""
        if self.server is None:
            return "this kind has no fake server"
        if word in ("", "well"):
            await self.server.meet(None)
            return "the provider is well again"
        known = sorted(one.value for one in self.server.troubles)
        if word not in known:
            return f"the fake server knows: {', '.join(known)}; well ends it"
        await self.server.meet(Trouble(word))
        return f"every call to the provider ends with {word} from now on; /trouble well ends it"

    # ---- as the desk
    def reply(self, conversation: int, text: str) -> str:
        """Answer as an agent; return what is to be told of it."""
        assert self.store is not None
        composition = Composition(conversation=conversation, kind="sent", author="agent:dev", text=text)
        try:
            write(self.store, compose, composition)
        except FernamtError as why:
            return str(why)
        return ""

    def news(self) -> dict[str, Any]:
        """Return everything that an agent would see now."""
        assert self.store is not None
        with self.store.read() as connection:
            lines = inbox_page(connection, limit=_PAGE)
            views = [conversation_view(connection, line.number) for line in lines]
            waiting = [(one.number, one.reason) for one in quarantined(connection, limit=_PAGE)]
            states = [(one.state, one.reason) for one in channel_views(connection)]
        return {
            "entries": [one for view in views if view is not None for one in view.entries],
            "quarantined": waiting,
            "states": states,
        }


def hook_of(connector: object, recording: Recording) -> Webhook:
    """Return the webhook that the recording calls; raises ``Failure``."""
    hooks = _hooks(connector)
    if not hooks:
        raise Failure("This kind is not called by its provider: such a recording is played by pytest alone.")
    path = recording.path.strip("/")
    fitting = [one for one in hooks if not one.path.strip("/") or f"{path}/".startswith(f"{one.path.strip('/')}/")]
    if not fitting:
        known = ", ".join(one.path for one in hooks)
        raise Failure(f"No webhook has the path {recording.path!r} of the recording. There are: {known}.")
    return max(fitting, key=lambda one: len(one.path))


def _hooks(connector: object) -> Sequence[Webhook]:
    return list(connector.webhooks()) if isinstance(connector, Webhooks) else []


async def called(request: Request, url: str) -> int:
    """Make *request* to *url*, and return the status of the answer; 0: there was none."""
    # A recorded request has them as they were on the line then.
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_LINE}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_S)) as session,
            session.request(request.method, url, data=request.body or None, headers=headers) as answer,
        ):
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


class _Talk:
    """What the process tells, and what it is told."""

    def __init__(self) -> None:
        # What a plugin prints must not get between the lines.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._seen: set[tuple[Any, ...]] = set()

    def tell(self, said: Mapping[str, Any]) -> None:
        """Tell one thing."""
        self._out.write(json.dumps(said, default=str) + "\n")
        self._out.flush()

    async def watch(self, bench: Bench, *, echo: bool) -> None:
        """Tell whatever is new in the store, until cancelled, and with *echo* answer the customer."""
        while True:
            self._news(bench, echo=echo)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _news(self, bench: Bench, *, echo: bool) -> None:
        news = bench.news()
        for state, reason in news["states"]:
            self._once(("state", state, reason), {"what": "state", "state": state, "reason": reason})
        for number, reason in news["quarantined"]:
            self._once(("quarantined", number), {"what": "quarantined", "number": number, "reason": reason})
        for entry in news["entries"]:
            told = {"what": "entry", "kind": entry.kind, "author": entry.author, "text": entry.text}
            told |= {"conversation": entry.conversation, "n": entry.n, "files": [one.name for one in entry.attachments]}
            is_new = self._once(("entry", entry.conversation, entry.n), told)
            if is_new and echo and entry.kind == "received":
                wrong = bench.reply(entry.conversation, f"You wrote: {entry.text}")
                if wrong:
                    self.tell({"what": "said", "text": wrong})
            for one in entry.deliveries:
                state = {"what": "delivery", "state": one.state.value, "reason": one.reason, "text": entry.text}
                self._once(("delivery", one.number, one.state, one.reason), state)

    def _once(self, key: tuple[Any, ...], told: Mapping[str, Any]) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        self.tell(told)
        return True


async def _obey(bench: Bench, order: Mapping[str, Any]) -> str:
    match order:
        case {"say": str(text)}:
            return await bench.say(text)
        case {"reply": str(text)}:
            newest = max((one.conversation for one in bench.news()["entries"]), default=0)
            return bench.reply(newest, text) if newest else "nobody has written yet"
        case {"trouble": str(word)}:
            return await bench.meet(word)
        case {"play": str(file)}:
            recording = Recording.load(Path(file))
            status = await bench.post(bench.request(recording))
            return f"{Path(file).name}: the daemon answered {status}"
        case _:
            return f"nobody knows what {sorted(order)} is"


async def _serve(bench: Bench, talk: _Talk, orders: asyncio.StreamReader, *, echo: bool) -> None:
    async with bench.running():
        talk.tell({"what": "ready", "url": bench.local, "remarks": bench.remarks()})
        watching = asyncio.create_task(talk.watch(bench, echo=echo))
        try:
            while line := await orders.readline():
                order = json.loads(line)
                if "stop" in order:
                    return
                try:
                    said = await _obey(bench, order)
                except (FernamtError, ValueError) as why:
                    said = str(why)
                if said:
                    talk.tell({"what": "said", "text": said})
        finally:
            watching.cancel()
            await asyncio.wait({watching})


async def _main(
    place: Place, kept: Path, kind: str, public_url: str, settings: Mapping[str, Any], *, echo: bool
) -> int:
    talk = _Talk()
    orders = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    try:
        suite = opened(place, kept / "metadata", kind)
    except Failure as why:
        talk.tell({"what": "broken", "text": str(why), "for-good": not isinstance(why, NotWhole)})
        return 1
    bench = Bench(suite, kept, talk.tell, public_url=public_url, settings=settings)
    try:
        await _serve(bench, talk, orders, echo=echo)
    except ConfigErrors as why:
        said = str(why).replace(f"{kept / _CONFIGURATION}: channels.{CHANNEL}.", "")
        talk.tell({"what": "broken", "text": f"the channel's settings: {said}. What they are says --set KEY=VALUE"})
        return 1
    except Exception as why:  # noqa: BLE001 - the plugin's code is on the bench: its author is told
        where = place_of(why, place.folder) or suite.kind
        talk.tell({"what": "broken", "text": f"{where}: {type(why).__name__}: {why}"})
        return 1
    return 0


def _clock() -> Any:
    from fernamt._runtime.clock import SystemClock

    return SystemClock()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(words: list[str]) -> int:
    """Run the process: PLACE KEPT KIND ECHO PUBLIC_URL SETTINGS, the last as JSON."""
    place, kept, kind, echo, public_url, settings = words
    keys = json.loads(settings)
    return asyncio.run(_main(Place(Path(place)), Path(kept), kind, public_url, keys, echo=echo == "echo"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
