"""The page ``/_dev/``: what goes by, raw beside what it means; one click keeps it as a recording. Loopback only, with a token.

What calls ``/in/`` here reaches the version that runs: a provider has one address, whatever is saved.
"""

from __future__ import annotations

import hmac
import json
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from html import escape
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web
from yarl import URL

from fernamt.cli.dev.place import Place
from fernamt.cli.outcome import Failure

_KEPT: Final = 500
_SHOWN: Final = {
    "called": "called",
    "taken": "taken by run",
    "call": "call out",
    "attempt": "attempt",
    "state": "state",
}
_IN_SHORT: Final = 60
_COOKIE: Final = "fernamt_dev"
_OF_THE_LINE: Final = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade", "expect"}
_MAX_BYTES: Final = 4 * 1_048_576
_CALL_S: Final = 30.0
_STYLE: Final = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 1rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top; border-bottom: 1px solid #8884; }
pre { overflow: auto; padding: .75rem; border: 1px solid #8886; max-height: 30rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.beside { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.bad { font-weight: bold; color: light-dark(#a00, #f88); }
button { font: inherit; padding: .4rem 1rem; }
"""


class Inspector:
    """Keeps what a plugin's process tells, and serves it while it is entered."""

    def __init__(self, place: Place, port: int) -> None:
        self._place = place
        self._port = port
        self._token = secrets.token_urlsafe(16)
        self._nonce = secrets.token_urlsafe(16)
        self._numbers = count(1)
        self._items: dict[int, Mapping[str, Any]] = {}
        self._saved: dict[int, str] = {}
        self.url = ""
        """Where to look, with the token."""
        self.origin = ""
        """The address that a provider calls, without a path."""
        self.behind = ""
        """The address of the daemon that runs; empty: none does."""

    def keep(self, said: Mapping[str, Any]) -> None:
        """Keep one thing that was told, if the page shows its kind."""
        if said["what"] in _SHOWN:
            self._items[next(self._numbers)] = {"at": time.time(), **said}
            while len(self._items) > _KEPT:
                del self._items[next(iter(self._items))]

    async def __aenter__(self) -> Self:
        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app = web.Application(middlewares=[guard], client_max_size=_MAX_BYTES)
        app.router.add_route("*", "/in/{path:.*}", self._passed_on)
        app.router.add_get("/_dev/", self._list)
        app.router.add_get("/_dev/{number:[0-9]+}", self._item)
        app.router.add_post("/_dev/{number:[0-9]+}/save", self._save)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError as why:
            await self._runner.cleanup()
            raise Failure(f"Port {self._port} cannot be listened on: {why.strerror}. Choose another: --port 0") from why
        self._port = self._runner.addresses[0][1]
        self.origin = f"http://127.0.0.1:{self._port}"
        self.url = f"{self.origin}/_dev/?token={self._token}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _guarded(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Let in whoever has the token, by the names of this machine only: no other site's page can ask for us."""
        if request.path.startswith("/in/"):
            return await handler(request)
        if request.host not in (f"127.0.0.1:{self._port}", f"localhost:{self._port}"):
            return web.Response(status=403, text="not by this name\n")
        given = request.query.get("token", "")
        if given and request.method == "GET" and self._right(given):
            answer: web.StreamResponse = web.HTTPSeeOther(request.path)
            answer.set_cookie(_COOKIE, self._token, path="/_dev/", httponly=True, samesite="Strict")
            return answer
        if not self._right(request.cookies.get(_COOKIE, "")):
            return web.Response(status=403, text="Open the address that fernamt dev printed: it has a token.\n")
        return await handler(request)

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def _passed_on(self, request: web.Request) -> web.Response:
        """Hand a provider's call to the daemon that runs."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_LINE}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_S), auto_decompress=False) as session,
                session.request(
                    request.method,
                    URL(f"{self.behind}{request.raw_path}", encoded=True),
                    data=await request.read() or None,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                told = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_LINE}
                return web.Response(status=answer.status, body=await answer.read(), headers=told)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return web.Response(status=503, text="no version of the plugin runs\n", headers={"Retry-After": "1"})

    # ---- pages
    async def _list(self, _request: web.Request) -> web.Response:
        rows = [
            f'<tr><td>{_time(item)}</td><td><a href="/_dev/{number}">{_SHOWN[item["what"]]}</a></td>'
            f"<td{_bad(item)}>{escape(_summary(item))}</td></tr>"
            for number, item in reversed(self._items.items())
        ]
        if not rows:
            return self._page("What goes by", "<p>Nothing yet. Type something in the terminal.</p>", refresh=True)
        head = '<tr><th scope="col">at</th><th scope="col">what</th><th scope="col">in short</th></tr>'
        return self._page(
            "What goes by", f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>", refresh=True
        )

    async def _item(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        item = self._items.get(number)
        if item is None:
            raise web.HTTPNotFound(text="that is gone\n")
        title = f"{_SHOWN[item['what']]}: {_summary(item)}"
        body = "".join(_parts(item))
        if number in self._saved:
            body += f"<p>Saved as <code>{escape(self._saved[number])}</code>. Read it over, and commit it.</p>"
        elif item.get("recording"):
            body += f'<form method="post" action="/_dev/{number}/save"><button>Save as a recording, secrets masked</button></form>'
        return self._page(title, f'<p><a href="/_dev/">all</a></p>{body}')

    async def _save(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        recording = self._items.get(number, {}).get("recording")
        if not recording:
            raise web.HTTPNotFound(text="there is nothing to save\n")
        if number not in self._saved:
            self._saved[number] = str(self._kept(Path(recording)).relative_to(self._place.folder))
        raise web.HTTPSeeOther(f"/_dev/{number}")

    def _kept(self, recording: Path) -> Path:
        folder = self._place.recordings
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [int(one.name[:4]) for one in folder.glob("[0-9][0-9][0-9][0-9]-*.json")]
        target = folder / f"{max(numbers, default=0) + 1:04}-seen.json"
        shutil.copyfile(recording, target)
        return target

    def _page(self, title: str, body: str, *, refresh: bool = False) -> web.Response:
        again = '<meta http-equiv="refresh" content="2">' if refresh else ""
        text = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>{escape(title[:80])}</title>'
            f'<meta name="viewport" content="width=device-width"><style nonce="{self._nonce}">{_STYLE}</style></head>'
            f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
        )
        policy = f"default-src 'none'; style-src 'nonce-{self._nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        return web.Response(text=text, content_type="text/html", headers=headers)


def _time(item: Mapping[str, Any]) -> str:
    at = item.get("at")
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}" if at else ""


def _bad(item: Mapping[str, Any]) -> str:
    return ' class="bad"' if item.get("refused") or item.get("unparsed") else ""


def _summary(item: Mapping[str, Any]) -> str:
    match item:
        case {"refused": why}:
            return f"refused: {why}"
        case {"unparsed": why}:
            return f"not understood: {why}"
        case {"what": "called" | "taken", "events": events}:
            return ", ".join(map(_event, events)) or "no events"
        case {"what": "call", "method": method, "url": url, "ended": ended, "ms": ms}:
            return f"{method} {url}: {ended} ({ms} ms)"
        case {"what": "attempt", "attempt": attempt, "outcome": outcome, "ms": ms}:
            return f"attempt {attempt}: {outcome} ({ms} ms)"
        case _:
            return f"{item.get('state', '')} {item.get('reason', '')}".strip()


def _event(one: Mapping[str, Any]) -> str:
    named = f"{one['type']} {one.get('key', '')}".strip()
    text = str(one.get("text") or "")
    return f"{named}: {text[:_IN_SHORT]}{'...' if len(text) > _IN_SHORT else ''}" if text else named


def _parts(item: Mapping[str, Any]) -> Iterator[str]:
    match item:
        case {"what": "called" | "taken"}:
            head = "\n".join(f"{name}: {value}" for name, value in item.get("headers", {}).items())
            line = f"{item['method']} {item['url']}\n{head}\n\n" if "method" in item else ""
            yield f'<div class="beside"><section><h2>Raw</h2>{_pre(line + _pretty(item["body"]))}</section>'
            meant = json.dumps(item["events"], indent=2, ensure_ascii=False) if "events" in item else _summary(item)
            yield f"<section><h2>What it means</h2>{_pre(meant)}</section></div>"
        case {"what": "call"}:
            yield f'<div class="beside"><section><h2>Asked</h2>{_pre(_pretty(item["body"]))}</section>'
            yield f"<section><h2>Answered</h2>{_pre(_pretty(item.get('answer', item['ended'])))}</section></div>"
        case _:
            yield _pre(
                json.dumps({name: one for name, one in item.items() if name != "what"}, indent=2, ensure_ascii=False)
            )


def _pre(text: str) -> str:
    return f'<pre tabindex="0">{escape(text)}</pre>'


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
