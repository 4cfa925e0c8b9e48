"""The daemon's HTTP: webhooks of the channels, and whether the daemon is alive and ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Final

import structlog
from aiohttp import web
from attrs import frozen

from fernamt._runtime.intake import ChannelIntake
from fernamt.connector import Clock, Webhook
from fernamt.errors import BadSignature, NotStored, Unparsable
from fernamt.inbound import Handshake, Ignored, InboundEvent, Request, Response, Unparsed

BODY_MAX: Final = 4 * 1024 * 1024
"""The largest batches that a provider is known to send are 3 MB."""
_MAY_REPEAT: Final = {"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Cookie", "Forwarded", "Via"}
_log = structlog.get_logger()


@frozen(kw_only=True)
class Hook:
    """A webhook of a channel, with the intake behind it."""

    channel: str
    webhook: Webhook
    intake: ChannelIntake


class Web:
    """Serves HTTP on one address."""

    def __init__(self, public_url: str, clock: Clock, ready: Callable[[], Awaitable[str]]) -> None:
        """*ready* says why the daemon is not ready; empty: it is."""
        self._public_url = public_url
        self._clock = clock
        self._ready = ready
        self._hooks: dict[str, Hook] = {}
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    def serve(self, hooks: Mapping[str, Hook]) -> None:
        """Answer these webhooks, by the paths below ``/in/``, from now on."""
        self._hooks = {f"/in/{path}": hook for path, hook in hooks.items()}

    async def start(self, host: str, port: int) -> int:
        """Begin to listen, and return the port. Raises ``OSError``."""
        app = web.Application(client_max_size=BODY_MAX, handler_args={"access_log": None})
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_route("*", "/in/{path:.*}", self._in)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=20.0)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port, backlog=1024, reuse_address=True)
        await self._site.start()
        sockets: list[tuple[str, int]] = self._runner.addresses
        return sockets[0][1]

    async def stop_listening(self) -> None:
        """Take no new connection; those that are open may end what they began."""
        if self._site is not None:
            await self._site.stop()

    async def stop(self) -> None:
        """Wait for the requests under way, and close."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        why_not = await self._ready()
        return web.Response(text=f"{why_not or 'ready'}\n", status=503 if why_not else 200)

    async def _in(self, request: web.Request) -> web.Response:
        hook = self._hooks.get(request.path) or self._below(request.path)
        if hook is None:
            return web.Response(status=404, text="no channel has a webhook here\n")
        headers = request.headers
        if len(headers) != len(set(headers)) and not _doubled(headers) <= _MAY_REPEAT:
            return web.Response(status=400, text="a header stands twice\n")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413, text=f"at most {BODY_MAX} bytes\n")
        return await self._answer(
            hook,
            Request(
                method=request.method,
                url=f"{self._public_url}{request.raw_path}",
                path=request.path.removeprefix(f"/in/{hook.channel}/{hook.webhook.path}").lstrip("/"),
                query=request.query,
                headers=headers,
                body=body,
                at=self._clock.now(),
            ),
        )

    def _below(self, path: str) -> Hook | None:
        """Return the webhook that the longest beginning of *path* names."""
        while path != "/in":
            path = path.rpartition("/")[0]
            hook = self._hooks.get(path) or self._hooks.get(f"{path}/")
            if hook is not None:
                return hook
        return None

    async def _answer(self, hook: Hook, request: Request) -> web.Response:
        log = _log.bind(channel=hook.channel)
        try:
            hook.webhook.verify(request)
        except Exception as why:  # third-party code: whatever is not verified is refused
            log.warning("webhook_refused", error=type(why).__name__)
            if not isinstance(why, BadSignature):
                log.error("webhook_verify_failed", exc_info=why)
            return web.Response(status=403, text="the signature is missing or wrong\n")
        try:
            parsed = hook.webhook.parse(request)
        except Exception as why:  # third-party code: nothing that was sent to us may be lost
            if not isinstance(why, Unparsable):
                log.error("webhook_parse_failed", exc_info=why)
            reason = str(why) if isinstance(why, Unparsable) else f"{type(why).__name__}: {why}"
            parsed = [Unparsed(key=f"unparsed:{sha256(request.body).hexdigest()}", reason=reason)]
        if isinstance(parsed, Handshake):
            return _rendered(parsed.response)
        for event in parsed:
            if type(event) is Ignored:
                log.info("event_ignored", reason=event.reason)
        return await self._stored(hook, request, list(parsed))

    async def _stored(self, hook: Hook, request: Request, events: list[InboundEvent]) -> web.Response:
        try:
            await hook.intake.accept(events, raw=request.body)
        except NotStored as full:
            _log.warning("webhook_not_stored", channel=hook.channel, reason=full.reason)
            return web.Response(status=503, headers={"Retry-After": str(max(1, round(full.after_s)))})
        return _rendered(hook.webhook.done)


def _rendered(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, content_type=response.media_type)


def _doubled(headers: Mapping[str, str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in headers if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


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
