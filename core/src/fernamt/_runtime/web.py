"""The daemon's HTTP: webhooks of the channels, and whether the daemon is alive and ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Final

import structlog
from aiohttp import HttpVersion11, web
from attrs import field, frozen

from fernamt._runtime.fixed_response import FixedResponse
from fernamt._runtime.intake import ChannelIntake
from fernamt._runtime.served import Served
from fernamt.connector import Answers, Clock, Webhook
from fernamt.errors import BadSignature, NotStored, Unparsable
from fernamt.inbound import Handshake, InboundEvent, Request, Response, Unparsed
from fernamt.session import SessionEvent

BODY_MAX: Final = 4 * 1024 * 1024
"""The largest batches that a provider is known to send are 3 MB."""
_DOWN_S: Final = 60.0
_MAY_REPEAT: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"cookie",
        b"forwarded",
        b"via",
        b"x-forwarded-for",
    }
)
_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})
_log = structlog.get_logger()


@frozen(kw_only=True)
class Hook:
    """A webhook of a channel, with the intake behind it."""

    channel: str
    plugin: str = ""
    webhook: Webhook
    intake: ChannelIntake
    answers: Answers | None = None
    """The connector, if it renders turns."""
    done: FixedResponse = field(init=False)
    path: str = field(init=False)
    """Where it lies below our address."""

    @path.default
    def _path(self) -> str:
        return f"/in/{self.channel}/{self.webhook.path}".rstrip("/")

    @done.default
    def _done(self) -> FixedResponse:
        return FixedResponse(self.webhook.done)


class Web:
    """Serves HTTP on one address."""

    def __init__(self, public_url: str, clock: Clock, ready: Callable[[], Awaitable[str]]) -> None:
        """*ready* says why the daemon is not ready; empty: it is."""
        self._public_url = public_url
        self._clock = clock
        self._ready = ready
        self.served = Served()
        """The channels' own handlers: add to it before :meth:`start`."""
        self.without = ""
        """What is out although the daemon is ready: said beside it."""
        self._hooks: dict[str, Hook] = {}
        self._down: frozenset[str] = frozenset()
        self._asking: asyncio.Future[str] | None = None
        self._runner: web.AppRunner | None = None

    def serve(self, hooks: Mapping[str, Hook], *, down: Collection[str] = ()) -> None:
        """Answer these webhooks, by the paths below ``/in/``, from now on.

        *down* are channels that could not be built: their providers are told to come again.
        """
        self._hooks = {f"/in/{path}": hook for path, hook in hooks.items()}
        self._down = frozenset(down)

    async def start(self, host: str, port: int) -> int:
        """Begin to listen, and return the port; :meth:`serve` may be called before and after. Raises ``OSError``."""
        app = web.Application(client_max_size=BODY_MAX, handler_args={"access_log": None})
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self.served.mount(app)
        for path in self._hooks:
            if "{" not in path:  # found by name, where the pattern below is tried after every shorter path
                app.router.add_route("*", path, self._in)
        app.router.add_route("*", "/in/{path:.*}", self._in)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=20.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024, reuse_address=True).start()
        sockets: list[tuple[str, int]] = self._runner.addresses
        return sockets[0][1]

    async def stop_listening(self) -> None:
        """Take no new connection; those that are open may end what they began."""
        for site in self._runner.sites if self._runner is not None else ():
            await site.stop()

    async def stop(self) -> None:
        """Wait for the requests under way, and close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        # Anybody may ask, and the answer costs a write: all who ask at once share one.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ready())
        why_not = await asyncio.shield(self._asking)
        return web.Response(text=f"{why_not or 'ready' + self.without}\n", status=503 if why_not else 200)

    async def _in(self, request: web.Request) -> web.StreamResponse:
        hook = self._hooks.get(request.path) or self._below(request.path)
        if hook is None:
            if request.path.split("/")[2] in self._down:
                return _come_again(_DOWN_S)
            return web.Response(status=404, text="no channel has a webhook here\n")
        if not _doubled(request.raw_headers) <= _MAY_REPEAT:
            return web.Response(status=400, text="a header stands twice\n")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text=f"at most {BODY_MAX} bytes\n")
        taken = self._taken(hook, request, body)
        if not isinstance(taken, tuple):
            return taken
        try:
            if hook.answers is not None and len(taken) == 1 and isinstance(taken[0], SessionEvent):
                return await self._turned(hook, hook.answers, taken[0], request)
            await hook.intake.accept(taken, raw=body)
        except NotStored as full:
            _log.warning("webhook_not_stored", channel=hook.channel, reason=full.reason)
            return _come_again(full.after_s)
        return _done(hook, request)

    def _below(self, path: str) -> Hook | None:
        """Return the webhook that the longest beginning of *path* names."""
        while path != "/in":
            hook = self._hooks.get(path) or self._hooks.get(f"{path}/")
            if hook is not None:
                return hook
            path = path.rpartition("/")[0]
        return None

    def _taken(self, hook: Hook, request: web.Request, body: bytes) -> tuple[InboundEvent, ...] | web.Response:
        """Return what the connector reads in a request that it has verified, or the answer if nothing is to be stored."""
        path, raw_path = request.path, request.raw_path
        given = Request(
            method=request.method,
            url=f"{self._public_url}{raw_path}",
            path="" if path == hook.path else path.removeprefix(hook.path).lstrip("/"),
            query=request.query if "?" in raw_path else _NO_QUERY,
            headers=request.headers,
            body=body,
            at=self._clock.now(),
        )
        try:
            _verified(hook.webhook, given)
        except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: whatever is not verified is refused
            known = str(why) if isinstance(why, BadSignature) else ""
            _log.warning("webhook_refused", channel=hook.channel, reason=known, exc_info=None if known else why)
            return web.Response(status=403, text="the signature is missing or wrong\n")
        try:
            parsed = hook.webhook.parse(given)
            return _rendered(parsed.response) if isinstance(parsed, Handshake) else tuple(parsed)
        except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: nothing that was sent to us may be lost
            return self._unparsed(hook, given, why)

    @staticmethod
    async def _turned(hook: Hook, answers: Answers, event: SessionEvent, request: web.Request) -> web.StreamResponse:
        """Answer with what was committed; what a turn cannot be made of is quarantined, like any other event."""
        try:
            turn = await hook.intake.turn(event)
        except NotStored:
            raise
        except Exception:  # noqa: BLE001 - no code foresaw it: kept like any other event of which nothing can be made
            await hook.intake.accept([event])
            return _done(hook, request)
        if not turn.actions:
            return _done(hook, request)
        try:
            return _rendered(answers.answer(turn))
        except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: the turn stands, a repeat renders it again
            _log.error("turn_not_rendered", channel=hook.channel, plugin=hook.plugin, turn=turn.n, exc_info=why)
            return web.Response(status=500, text=f"plugin {hook.plugin} failed to render the turn\n")

    @staticmethod
    def _unparsed(hook: Hook, request: Request, why: BaseException) -> tuple[InboundEvent, ...]:
        understood = isinstance(why, Unparsable)
        _log.warning("webhook_not_parsed", channel=hook.channel, exc_info=None if understood else why)
        reason = str(why) if understood else f"{type(why).__name__}: {why}"
        return (Unparsed(key=f"unparsed:{sha256(request.body).hexdigest()}", reason=reason),)


def _rendered(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, content_type=response.media_type)


def _come_again(after_s: float) -> web.Response:
    return web.Response(status=503, headers={"Retry-After": str(max(1, round(after_s)))})


def _done(hook: Hook, request: web.Request) -> web.StreamResponse:
    """Return the answer after the commit: an :class:`FixedResponse` only fits a connection that is kept."""
    if request.keep_alive and request.version == HttpVersion11 and request.method != "HEAD":
        return hook.done
    return _rendered(hook.webhook.done)


def _verified(webhook: Webhook, request: Request) -> None:
    """Verify, and take nothing for a yes but silence: ``False`` or a coroutine would let everybody in."""
    said: object = webhook.verify(request)  # type: ignore[func-returns-value]
    if said is not None:
        close = getattr(said, "close", None)
        if close is not None:
            close()
        raise TypeError(f"verify must raise or return nothing, and returned {type(said).__name__}")


def _doubled(headers: Sequence[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the names that stand more than once, in small letters: whoever signs and whoever reads might take another."""
    if len({name.lower() for name, _ in headers}) == len(headers):
        return set()
    names = [name.lower() for name, _ in headers]
    return {name for name in names if names.count(name) > 1}


async def writable(check: Callable[[], None]) -> str:
    """Run a blocking *check* of the store and return what it complains about."""
    try:
        async with asyncio.timeout(2.0):
            await asyncio.to_thread(check)
    except TimeoutError:
        return "the store does not answer"
    except NotStored as why:
        return why.reason
    return ""
