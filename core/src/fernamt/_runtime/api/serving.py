"""The HTTP API, below ``/api/v1``: notices are asked for and looked at. Without a token in the configuration it is not there.

Who calls is known before a byte of the body is read, the body is bounded before it is kept, and 202 is said when it is on disk.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final, TypeAlias

import orjson
import structlog
from aiohttp import web
from attrs import AttrsInstance, asdict, evolve, frozen

from fernamt._runtime.api.description import OPERATIONS, describe
from fernamt._runtime.api.shapes import (
    KEY_MAX,
    ROWS_MAX,
    Cancelled,
    OneNotice,
    Refusal,
    Result,
    Results,
    SeveralNotices,
    names,
)
from fernamt._runtime.api.shapes import Run as RunSaid
from fernamt._runtime.notice_rows import Asked, Digest, notice_of, row_of
from fernamt._store.desk import NoSuchThing
from fernamt._store.engine import Store
from fernamt._store.notices import CHUNK, Cancelling, Chunk, Notice, Opening, Run, cancel, give, open_run
from fernamt._store.views.notices import PAGE, RowView, RunView, rows_of_run, run_numbered
from fernamt._store.writer import Writes
from fernamt.errors import FernamtError, NotStored
from fernamt.settings import ApiSettings, ChannelSection, NoticeTemplate, Problem, Settings, did_you_mean

BODY_MAX: Final = 1_048_576
_BODY_S: Final = 30.0
_AT_ONCE: Final = 16
_PROBLEMS_MAX: Final = 100
_UNKNOWN_MAX: Final = 10
_RUN: Final = names(SeveralNotices)
_ONE: Final = names(OneNotice) - _RUN
_ONCE: Final = (b"authorization", b"idempotency-key", b"content-length", b"content-type", b"content-encoding")
_log = structlog.get_logger()
_Handler: TypeAlias = Callable[[web.Request, str], Awaitable[web.Response]]


class Refused(Exception):
    """A request that is not done; the caller is told all of it."""

    def __init__(self, status: int, title: str, *problems: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.problems = problems
        self.headers = headers or {}


@frozen(kw_only=True)
class _Order:
    """A request that can be done."""

    opening: Opening
    template: NoticeTemplate
    section: ChannelSection
    rows: Sequence[Asked]


class Api:
    """Answers those who bring one of the tokens."""

    def __init__(self, settings: Settings, tokens: ApiSettings, *, store: Store, writer: Writes) -> None:
        self._templates = settings.notices
        self._description = describe(version=version("fernamt"), url=settings.public_url, templates=settings.notices)
        self._channels = {str(one.id): one for one in settings.channels}
        self._callers = {name: _hashed(token.reveal()) for name, token in tokens.tokens.items()}
        self._store = store
        self._writer = writer
        self._busy = 0
        self._counted: dict[int, tuple[float, RunView | None]] = {}

    def mount(self, app: web.Application) -> None:
        """Serve it, if anybody may use it."""
        if self._callers:
            handlers: Mapping[str, _Handler] = {
                "queueNotices": self._post,
                "getRun": self._get,
                "getResults": self._results,
                "cancelRun": self._cancel,
                "getDescription": self._describe,
            }
            for one in OPERATIONS:
                app.router.add_route(one.method, one.route, self._guarded(handlers[one.id]))

    # ---- who asks
    def _guarded(self, handler: _Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                caller = self._caller(request)
                if self._busy >= _AT_ONCE:
                    raise NotStored("too many requests at once", after_s=1.0)
                self._busy += 1
                try:
                    return await handler(request, caller)
                finally:
                    self._busy -= 1
            except Refused as why:
                return _refusal(why)
            except NotStored as full:
                again = {"Retry-After": str(max(1, round(full.after_s)))}
                return _refusal(Refused(503, "this cannot be stored now: send it again later", headers=again))
            except Exception as why:  # noqa: BLE001 - the border of the process: a caller is told nothing of our inside
                _log.error("api_failed", path=request.path, exc_info=why)
                return _refusal(Refused(500, "this went wrong here; it has been noted"))

        return handle

    def _caller(self, request: web.Request) -> str:
        """Return the name of whoever brings a token. It takes as long for a wrong one as for a right one."""
        names = [name.lower() for name, _ in request.raw_headers]
        if any(names.count(one) > 1 for one in _ONCE):
            raise Refused(400, "a header stands twice")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        digest, caller = _hashed(token.strip()), ""
        for name, known in self._callers.items():
            if hmac.compare_digest(digest, known):
                caller = name
        if scheme.lower() != "bearer" or not caller:
            _log.warning("api_refused", path=request.path)
            fix = Problem("Authorization", "brings no token that is known here", "Send: Authorization: Bearer TOKEN")
            raise Refused(401, "who are you?", fix, headers={"WWW-Authenticate": "Bearer"})
        return caller

    # ---- asking for notices
    async def _post(self, request: web.Request, caller: str) -> web.Response:
        body = await _body(request)
        order = await asyncio.to_thread(self._order, body, request.headers.get("Idempotency-Key", ""), caller)
        try:
            run = await self._writer.write(open_run, order.opening)
            if run.cancelled:
                raise FernamtError(f"Run {run.number} was cancelled.")
            await self._give(run, order)
        except NotStored:
            raise
        except FernamtError as why:
            fix = Problem("key", "was given for something else, or for what was cancelled", "Give another")
            raise Refused(409, str(why), fix) from None
        self._counted.pop(run.number, None)
        view = await asyncio.to_thread(self._view, run.number)
        status = 202 if run.given < run.total else 200
        place = f"/api/v1/notices/{run.number}"
        return _json(_run(view), status=status, headers={"Location": place})

    def _order(self, body: bytes, header: str, caller: str) -> _Order:
        asked = _object(body)
        problems = [
            Problem(str(one)[:40], "unknown key", did_you_mean(str(one), _RUN | _ONE) or "Remove it")
            for one in [key for key in asked if key not in _RUN | _ONE][:_UNKNOWN_MAX]
        ]
        key = _key(asked.get("key", ""), header, problems)
        template = self._templates.get(name) if isinstance(name := asked.get("template", ""), str) else None
        if template is None:
            known = did_you_mean(str(name)[:40], self._templates) or "The configuration has none"
            raise Refused(
                422, "nothing was queued", Problem("template", "is none that is known here", known), *problems
            )
        section = self._section(template, asked.get("channel", ""), problems)
        rows, digest = self._rows(asked, template, str(section.id) if section else "", problems)
        if problems or section is None:
            raise Refused(422, "nothing was queued", *problems)
        opening = Opening(
            key=key,
            scope=f"api:{caller}",
            template=template.name,
            channel=section.id,
            purpose=template.purpose,
            author=f"api:{caller}",
            total=digest.total,
            digest=digest.whole(),
        )
        return _Order(opening=opening, template=template, section=section, rows=rows)

    def _section(self, template: NoticeTemplate, channel: object, problems: list[Problem]) -> ChannelSection | None:
        wanted = channel or template.channel or (next(iter(self._channels)) if len(self._channels) == 1 else "")
        found = self._channels.get(wanted) if isinstance(wanted, str) else None
        if found is None:
            fix = did_you_mean(str(wanted)[:40], self._channels) or "The configuration has none"
            problems.append(Problem("channel", "is none that is known here" if wanted else "is missing", fix))
        return found

    @staticmethod
    def _rows(
        asked: Mapping[str, Any], template: NoticeTemplate, channel: str, problems: list[Problem]
    ) -> tuple[list[Asked], Digest]:
        several, digest = asked.get("notices"), Digest(template.name, channel)
        raws = several if isinstance(several, list) else [{key: asked[key] for key in _ONE & asked.keys()}]
        if several is not None and (not isinstance(several, list) or _ONE & asked.keys()):
            fix = "Write one notice (to, values) or a list of them below notices"
            problems.append(Problem("notices", "is no list, or stands beside a single notice", fix))
        if not 0 < len(raws) <= ROWS_MAX:
            problems.append(Problem("notices", f"has {len(raws)} elements", f"Send 1 to {ROWS_MAX} at a time"))
            return [], digest
        rows = []
        for at, raw in enumerate(raws):
            row = row_of(raw, template)
            if isinstance(row, Asked):
                digest.add(row)
                rows.append(row)
            else:
                prefix = f"notices[{at}]" if several is not None else ""
                problems += [evolve(one, field=".".join(filter(None, (prefix, one.field)))) for one in row]
            if len(problems) >= _PROBLEMS_MAX:
                break  # refused anyway
        return rows, digest

    async def _give(self, run: Run, order: _Order) -> None:
        for first in range(run.given, run.total, CHUNK):
            some = order.rows[first : first + CHUNK]
            notices = await asyncio.to_thread(_filled, some, order.template)
            chunk = Chunk(run=run.number, first=first + 1, notices=notices, reopen_days=order.section.reopen_days)
            await self._writer.write(give, chunk)

    # ---- looking
    async def _get(self, request: web.Request, caller: str) -> web.Response:
        return _json(_run(await self._own(request, caller)))

    async def _results(self, request: web.Request, caller: str) -> web.Response:
        view = await self._own(request, caller)
        after, limit = _number(request, "after", 0, 2**31 - 1), _number(request, "limit", PAGE, PAGE)
        rows = await asyncio.to_thread(self._page, view.number, after, limit)
        following = rows[-1].n if len(rows) == limit else None
        return _json(Results(results=tuple(Result.of(one) for one in rows), next=following))

    async def _cancel(self, request: web.Request, caller: str) -> web.Response:
        view = await self._own(request, caller)
        after = count = 0
        while True:
            try:
                cancelling = Cancelling(run=view.number, by=f"api:{caller}", after=after)
                after, some = await self._writer.write(cancel, cancelling)
            except NoSuchThing:  # forgotten since it was looked for
                raise Refused(404, "there is no such run") from None
            count += some
            if not after:
                self._counted.pop(view.number, None)
                return _json(Cancelled(run=view.number, cancelled=count))

    async def _describe(self, _request: web.Request, _caller: str) -> web.Response:
        return _said(self._description)

    async def _own(self, request: web.Request, caller: str) -> RunView:
        """Return the run that is asked for. That of somebody else is none."""
        view = await asyncio.to_thread(self._view, int(request.match_info["run"]))
        if view is None or view.author != f"api:{caller}":
            raise Refused(404, "there is no such run")
        return view

    def _view(self, number: int) -> RunView | None:
        """Count a run. A large one takes seconds, so however often it is asked for, it takes a tenth of the time at most."""
        until, known = self._counted.get(number, (0.0, None))
        began = time.monotonic()
        if began < until:
            return known
        with self._store.read() as connection:
            view = run_numbered(connection, number)
        took_s = time.monotonic() - began
        if len(self._counted) > 1_000:
            self._counted.clear()
        if took_s > 0.05:
            self._counted[number] = (began + 10 * took_s, view)
        return view

    def _page(self, run: int, after: int, limit: int) -> Sequence[RowView]:
        with self._store.read() as connection:
            return rows_of_run(connection, run, after=after, limit=limit)


def _filled(rows: Sequence[Asked], template: NoticeTemplate) -> tuple[Notice, ...]:
    return tuple(notice_of(row, template) for row in rows)


def _hashed(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


async def _body(request: web.Request) -> bytes:
    """Read the body, never more of it than it may have."""
    if request.content_type != "application/json":
        raise Refused(415, "send JSON", Problem("Content-Type", "is not application/json", "Say what it is"))
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "send it as it is", Problem("Content-Encoding", "is not read here", "Do not compress it"))
    large = Refused(413, f"at most {BODY_MAX} bytes", Problem("", "is too large", f"Send at most {ROWS_MAX} notices"))
    if (request.content_length or 0) > BODY_MAX:
        raise large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for some in request.content.iter_any():
                body += some
                if len(body) > BODY_MAX:
                    raise large
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_S:.0f} s") from None
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as why:
        raise Refused(400, "this is no JSON", Problem("", why.msg, "Look at the place that it names")) from None
    if not isinstance(asked, dict):
        raise Refused(422, "nothing was queued", Problem("", "is no object", 'Send {"template": ..., "to": ...}'))
    return asked


def _key(named: object, header: str, problems: list[Problem]) -> str:
    """Return the caller's key, from the body or from the header."""
    header = header.strip().removeprefix('"').removesuffix('"')
    key = named.strip() if isinstance(named, str) else ""
    if key and header and key != header:
        problems.append(Problem("key", "is not that of the header Idempotency-Key", "Send one of them"))
    key = key or header
    if not isinstance(named, str) or not 0 < len(key) <= KEY_MAX or not key.isprintable():
        fix = "Send what names it for you, for instance 'order-4711-dispatched': given again, it is not sent again"
        problems.append(Problem("key", f"is no text of 1 to {KEY_MAX} characters", fix))
    return key


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if (
        not (text.isascii() and text.isdecimal() and len(text) < 12)
        or not (0 if name == "after" else 1) <= int(text) <= most
    ):
        raise Refused(
            422, "this cannot be answered", Problem(name, f"is no number up to {most}", f"Send {name}={default}")
        )
    return int(text)


def _run(view: RunView | None) -> RunSaid:
    if view is None:
        raise FernamtError("a run that was just written is not there")
    return RunSaid.of(view)


def _json(shape: AttrsInstance, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return _said(asdict(shape), status=status, headers=headers)


def _said(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    more = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return web.Response(
        body=orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS),
        status=status,
        content_type="application/json",
        headers=more,
    )


def _refusal(why: Refused) -> web.Response:
    said = orjson.dumps(asdict(Refusal.of(why.status, why.title, why.problems)))
    return web.Response(body=said, status=why.status, content_type="application/problem+json", headers=why.headers)
