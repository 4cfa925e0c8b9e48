"""A daemon that tells what its one channel does: what came in, what it means, what was called, what was tried."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from attrs import evolve

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.equipment import Equipment
from fernamt._runtime.plan import Plan
from fernamt.app import App
from fernamt.connector import Channel, Connector, Webhook, Webhooks
from fernamt.inbound import Handshake, InboundEvent, Request
from fernamt.outbound import OutboundMessage, Sent
from fernamt.registry import Factory
from fernamt.settings import Settings, secrets_in
from fernamt.testing import Recording
from fernamt.testing.recording import plain

Tell: TypeAlias = Callable[[dict[str, Any]], None]
_SHOWN: Final = 4_000
_MASK: Final = "(masked)"
_MIN_SECRET: Final = 4


class WatchedApp(App):
    """A daemon with one channel whose every move is told."""

    def __init__(self, settings: Settings, tell: Tell, folder: Path) -> None:
        """Recordings of what comes in are kept in *folder*."""
        super().__init__(settings, clock=SystemClock())
        self._tell = tell
        self._folder = folder
        self.connector: Connector | None = None
        self.failure: Exception | None = None
        """Why the connector could not be built."""

    async def _prepare(self, planned: Plan) -> tuple[Plan, Equipment]:
        planned, equipment = await super()._prepare(planned)
        channels = tuple(
            evolve(one, factory=None if one.factory is None else self._watching(one.factory))
            for one in planned.channels
        )
        return evolve(planned, channels=channels), equipment

    def _watching(self, factory: Factory) -> Factory:
        def made(channel: Channel[Any], context: Any) -> Connector:
            watch = _Watch(self._tell, channel, self._folder)
            try:
                self.connector = factory(channel, watch.context(context))
                watch.connector(self.connector)
            except Exception as why:
                self.failure = why
                raise
            return self.connector

        return made


class _Watch:
    def __init__(self, tell: Tell, channel: Channel[Any], folder: Path) -> None:
        self._secrets = sorted(
            (one for one in secrets_in(channel.settings) if len(one) >= _MIN_SECRET), key=len, reverse=True
        )
        self._tell = tell
        self._kind = channel.kind
        self._folder = folder
        self._recorded = 0

    def tell(self, what: str, **more: Any) -> None:
        """Tell of something, without secrets."""
        said = orjson.dumps({"what": what, "at": time.time(), **more}, default=str).decode()
        for secret in self._secrets:
            said = said.replace(orjson.dumps(secret).decode()[1:-1], _MASK)
        self._tell(orjson.loads(said))

    def context(self, context: Any) -> Any:
        return evolve(context, http=_Http(context.http, self), intake=_Intake(context.intake, self))

    def connector(self, connector: Connector) -> None:
        send = connector.send

        async def watched(message: OutboundMessage) -> Sent:
            started = time.perf_counter()
            outcome = "cancelled: nobody knows whether it was sent"
            try:
                sent = await send(message)
                outcome = f"sent, the provider's ids are {', '.join(sent.ids) or 'not told'}"
            except Exception as why:
                outcome = f"{type(why).__name__}: {why}"
                raise
            finally:
                tried = {"key": message.key, "to": str(message.to), "text": message.text, "attempt": message.attempt}
                self.tell("attempt", **tried, outcome=outcome, ms=_ms(started))
            return sent

        # A class with slots takes neither: it then runs unwatched.
        with contextlib.suppress(AttributeError):
            connector.send = watched  # type: ignore[method-assign]
        if isinstance(connector, Webhooks):
            hooks = [self._hook(one) for one in connector.webhooks()]
            with contextlib.suppress(AttributeError):
                connector.webhooks = lambda: hooks  # type: ignore[method-assign]

    def _hook(self, hook: Webhook) -> Webhook:
        def verify(request: Request) -> None:
            try:
                hook.verify(request)
            except Exception as why:
                self.tell("called", **_said(request), refused=f"{type(why).__name__}: {why}")
                raise

        def parse(request: Request) -> Handshake | Sequence[InboundEvent]:
            try:
                found = hook.parse(request)
            except Exception as why:
                self.tell("called", **_said(request), unparsed=f"{type(why).__name__}: {why}")
                raise
            events = found if isinstance(found, Handshake) else tuple(found)
            meant = [] if isinstance(events, Handshake) else [plain(event) for event in events]
            path = f"{hook.path}/{request.path}".strip("/")
            recording = self._record(Recording.of(request, path, events, about="saved by fernamt dev", kind=self._kind))
            self.tell("called", **_said(request), events=meant, recording=recording)
            return events

        return evolve(hook, verify=verify, parse=parse)

    def _record(self, recording: Recording) -> str:
        self._recorded += 1
        file = self._folder / f"{time.time_ns()}-{self._recorded}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        recording.masked(self._secrets).save(file)
        return str(file)

    def taken(self, events: Sequence[InboundEvent], raw: Any) -> None:
        """Tell what ``run`` brought."""
        body = raw if isinstance(raw, bytes) else b""
        recording = Recording(
            about="saved by fernamt dev", kind=self._kind, body=body, expect=[plain(one) for one in events]
        )
        file = self._record(recording) if body else ""
        self.tell("taken", body=_text(body), events=[plain(one) for one in events], recording=file)


class _Http:
    def __init__(self, http: Any, watch: _Watch) -> None:
        self._http = http
        self._watch = watch

    async def request(self, method: str, url: str, **more: Any) -> Any:
        started = time.perf_counter()
        body = next((more[name] for name in ("json", "form", "body") if more.get(name) is not None), "")
        said: dict[str, Any] = {"method": method, "url": url, "query": more.get("query"), "body": _text(body)}
        try:
            reply = await self._http.request(method, url, **more)
        except BaseException as why:
            self._watch.tell("call", **said, ended=f"{type(why).__name__}: {why}", ms=_ms(started))
            raise
        self._watch.tell("call", **said, ended=str(reply.status), answer=_text(reply.body), ms=_ms(started))
        return reply

    def download(self, url: str, **more: Any) -> Any:
        self._watch.tell("call", method="GET", url=url, query=None, body="", ended="a file is fetched", ms=0)
        return self._http.download(url, **more)


class _Intake:
    def __init__(self, intake: Any, watch: _Watch) -> None:
        self._intake = intake
        self._watch = watch

    async def accept(self, events: Sequence[InboundEvent], **more: Any) -> Any:
        accepted = await self._intake.accept(events, **more)
        if events:
            self._watch.taken(events, more.get("raw"))
        return accepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._intake, name)


def _said(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": {str(name): str(value) for name, value in request.headers.items()},
        "body": _text(request.body),
    }


def _text(body: Any) -> str:
    if isinstance(body, bytes):
        text = body.decode("utf-8", "backslashreplace")
    else:
        text = body if isinstance(body, str) else orjson.dumps(body, default=str).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ... ({len(text)} characters)"


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
