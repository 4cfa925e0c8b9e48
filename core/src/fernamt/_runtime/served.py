"""The handlers that channels bring themselves: below their own path, within limits, with their faults named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakSet

import structlog
from aiohttp import WSCloseCode, web

from fernamt.errors import BadSignature, ConfigError, NotStored

UPLOAD_MAX: Final = 32 * 1024 * 1024
"""What a handler may be sent as a stream; what it reads whole is at most what a webhook may bring."""
CLOSING_S: Final = 5.0
"""Whoever does not answer our goodbye within it is cut off."""
_log = structlog.get_logger()


class Served:
    """The handlers of all channels of a daemon, what they are at, and the WebSockets that they have open."""

    def __init__(self) -> None:
        self.also: list[Callable[[web.Application], None]] = []
        """What else mounts handlers of its own."""
        self._routes: list[web.RouteDef] = []
        self._busy: set[asyncio.Task[Any]] = set()
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._closing = False

    def add(self, channel: str, plugin: str, routes: Sequence[web.RouteDef], webhooks: Iterable[str]) -> None:
        """Take a channel's routes, which :meth:`mount` will serve. All or none.

        Raises:
            ConfigError: One is no route, is there twice, or would take what belongs to one of the *webhooks* (their paths).
        """
        section = f"channels.{channel}"
        trial = web.UrlDispatcher()
        mounted = []
        for route in routes:
            if not isinstance(route, web.RouteDef):
                raise ConfigError(section, f"{plugin} serves {route!r}, which is no route", fix="Ask its author")
            path = f"/in/{channel}/{route.path.lstrip('/')}"
            one = web.RouteDef(route.method, path, self._guarded(channel, plugin, route), route.kwargs)
            try:
                one.register(trial)
            except (RuntimeError, ValueError) as why:
                raise ConfigError(section, f"{plugin} serves {route.path}: {why}", fix="Ask its author") from why
            mounted.append(one)
        for path in webhooks:
            url = f"/in/{channel}/{path}"
            if any(_takes(resource, url) for resource in trial.resources()):
                problem = f"{plugin} serves {url}, and has a webhook there, too"
                raise ConfigError(section, problem, fix="Ask its author for another path")
        self._routes += mounted

    def mount(self, app: web.Application) -> None:
        """Serve what was added."""
        app.router.add_routes(self._routes)
        for mount in self.also:
            mount(app)
        app.on_response_prepare.append(self._prepared)

    async def close(self) -> None:
        """Say goodbye on every WebSocket, and end what then still runs."""
        self._closing = True
        # aiohttp does not say goodbye by itself, and would wait for them to end.
        goodbyes = [
            asyncio.ensure_future(socket.close(code=WSCloseCode.GOING_AWAY, message=b"restarting"))
            for socket in tuple(self._sockets)
        ]
        if under_way := {*goodbyes, *self._busy}:
            _, late = await asyncio.wait(under_way, timeout=CLOSING_S)
            for task in late:
                task.cancel()
            if late:
                _log.warning("routes_cut_off", count=len(late))
                await asyncio.wait(late, timeout=CLOSING_S)

    async def _prepared(self, _request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response, web.WebSocketResponse):
            self._sockets.add(response)

    def _guarded(self, channel: str, plugin: str, route: web.RouteDef) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            if self._closing:
                return web.Response(status=503, headers={"Retry-After": "1"})
            if "Transfer-Encoding" in request.headers:
                return web.Response(status=411, text="say how long it is\n")
            if (request.content_length or 0) > UPLOAD_MAX:
                return web.Response(status=413, text=f"at most {UPLOAD_MAX} bytes\n")
            task = asyncio.current_task()
            assert task is not None
            self._busy.add(task)
            try:
                return await route.handler(request)
            except web.HTTPException:
                raise
            except NotStored as full:
                return web.Response(status=503, headers={"Retry-After": str(max(1, round(full.after_s)))})
            except BadSignature:
                return web.Response(status=403, text="the token is missing or wrong\n")
            except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: its fault is not its neighbours'
                _log.error("route_failed", channel=channel, plugin=plugin, path=route.path, exc_info=why)
                return web.Response(status=500, text="this went wrong here; it has been noted\n")
            finally:
                self._busy.discard(task)

        return handle


def _takes(resource: web.AbstractResource, url: str) -> bool:
    """Say whether a resource answers requests for *url*."""
    found = resource.get_info()
    pattern = found.get("pattern")
    return found.get("path") == url or (pattern is not None and pattern.fullmatch(url) is not None)
