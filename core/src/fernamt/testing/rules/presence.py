"""Handlers of a connector's own, small signs to people, and whether the kit could try everything."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from aiohttp import web
from attrs import frozen

from fernamt._runtime.served import Served
from fernamt.connector import Backfills, FetchesMedia, MarksRead, Receives, Serves, ShowsTyping, Webhooks
from fernamt.errors import BadSignature, ChannelError, ConfigError, NotStored
from fernamt.inbound import Received
from fernamt.model import Address
from fernamt.testing.rig import CHANNEL, Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.rules.inbound import meant_by
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("ability")
_ANSWER_S: Final = 2.0
_GARBAGE: Final = b'\x00{"fernamt-kit": "nobody sends this"'


# ---- handlers of its own
def _routes(rig: Rig) -> Sequence[web.RouteDef]:
    one: Any = rig.connector
    routes: Sequence[web.RouteDef] = one.routes()
    return routes


@rule("routes-mountable", "bronze", needs.can(Serves))
async def routes_mountable(rig: Rig) -> None:
    """The daemon can serve its handlers."""
    one = rig.connector
    webhooks = [hook.path for hook in one.webhooks()] if isinstance(one, Webhooks) else []
    try:
        Served().add(CHANNEL, rig.offer.plugin, _routes(rig), webhooks)
    except ConfigError as why:
        raise Broken(f"the daemon refuses the handlers ({why.problem}): give each a path of its own") from why


@frozen
class _Met:
    """What a stranger's request to a handler came to."""

    route: str
    status: int
    why: Exception | None


async def _strangers(rig: Rig) -> list[_Met]:
    """Send to each handler what somebody sends who knows nothing: no token, no words, garbage."""
    failed: dict[str, Exception] = {}
    app = web.Application()
    for at, route in enumerate(_routes(rig)):
        app.router.add_route(route.method, f"/{at}/{route.path.lstrip('/')}", _kept(route, failed))
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    found = []
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as session:
            for at, route in enumerate(_routes(rig)):
                method = "GET" if route.method == "*" else route.method
                url = f"{base}/{at}/{re.sub(r'{[^}]*}', '1', route.path.lstrip('/'))}"
                for body in (b"", _GARBAGE):
                    failed.clear()
                    try:
                        async with session.request(method, url, data=body) as answer:
                            status = answer.status
                    except TimeoutError:
                        continue  # it waits for something: a long poll
                    found.append(_Met(f"{method} {route.path}", status, failed.get(route.path)))
    finally:
        await runner.cleanup()
    return found


def _kept(route: web.RouteDef, failed: dict[str, Exception]) -> Any:
    """Return the handler as the daemon guards it; what it raises is kept."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await route.handler(request)
        except web.HTTPException:
            raise
        except BadSignature:
            return web.Response(status=403)
        except NotStored:
            return web.Response(status=503)
        except Exception as why:  # noqa: BLE001 - a stranger's connector: what it raises is what is judged
            failed[route.path] = why
            return web.Response(status=500)

    return handle


@rule("routes-sturdy", "bronze", needs.can(Serves))
async def routes_sturdy(rig: Rig) -> None:
    """A request that makes no sense is answered as the sender's fault."""
    for one in await _strangers(rig):
        if one.status >= 500:
            how = said(one.why) if one.why is not None else f"answered {one.status}"
            raise Broken(
                f"{one.route} {how} for a request without a token and without sense: answer 400, 401 or 403, before anything"
                " is done with it"
            )


@rule("routes-believe-nobody", "bronze", needs.can(Serves))
async def routes_believe_nobody(rig: Rig) -> None:
    """Who shows no token and says nothing makes no entry."""
    await _strangers(rig)
    if rig.context.intake.events:
        raise Broken(
            f"a request without a token and without sense made a {type(rig.context.intake.events[0]).__name__}: look who asks"
            " (context.unsign), and what is asked, before intake.accept"
        )


# ---- small signs
async def _message(rig: Rig) -> tuple[Address, str]:
    """Return who wrote a message that was recorded, and its id."""
    for one in rig.recordings:
        for event in await meant_by(rig, one):
            if isinstance(event, Received) and event.id:
                return event.sender, event.id
    raise NotApplicable("no recording holds a message with an id")


async def _shown(rig: Rig) -> int:
    """Show that somebody writes; return how often the provider was asked for it."""
    one: Any = rig.connector
    to, reply_to = await _message(rig)
    before = rig.provider.asked
    with contextlib.suppress(ChannelError):  # best effort; the fake server may not know a recorded message
        await one.show_typing(to, reply_to=reply_to)
    return rig.provider.asked - before


async def _marked(rig: Rig) -> int:
    """Mark a message as read; return how often the provider was asked for it."""
    one: Any = rig.connector
    _, name = await _message(rig)
    before = rig.provider.asked
    with contextlib.suppress(ChannelError):
        await one.mark_read([name])
    return rig.provider.asked - before


@rule("typing-is-shown", "silver", needs.can(ShowsTyping), needs.server, needs.recorded)
async def typing_is_shown(rig: Rig) -> None:
    """The provider is told that somebody writes."""
    if not await _shown(rig):
        raise Broken("show_typing did not ask the provider: tell it, where reply_to stands, or leave the method away")


@rule("typing-is-no-message", "bronze", needs.can(ShowsTyping), needs.server, needs.recorded)
async def typing_is_no_message(rig: Rig) -> None:
    """To show that somebody writes says nothing to the customer."""
    await _shown(rig)
    if arrived := rig.provider.arrived:
        raise Broken(
            f"show_typing brought {arrived[0][:60]!r} to the customer: use the provider's own sign for it, or none"
        )


@rule("read-is-marked", "silver", needs.can(MarksRead), needs.server, needs.recorded)
async def read_is_marked(rig: Rig) -> None:
    """The provider is told what was read."""
    if not await _marked(rig):
        raise Broken(
            "mark_read did not ask the provider: tell it by the ids, those of Received.id, or leave the method away"
        )


@rule("read-is-no-message", "bronze", needs.can(MarksRead), needs.server, needs.recorded)
async def read_is_no_message(rig: Rig) -> None:
    """To mark something as read says nothing to the customer."""
    await _marked(rig)
    if arrived := rig.provider.arrived:
        raise Broken(f"mark_read brought {arrived[0][:60]!r} to the customer: use the provider's own mark, or none")


# ---- whether everything was tried
@rule("all-tried", "silver")
async def all_tried(rig: Rig) -> None:
    """Every ability that it has is tried: the tests give the kit what the rules about it need."""
    wanted = {
        Receives: "" if rig.has(Webhooks) else needs.holds(rig),
        Backfills: needs.keeps(rig),
        FetchesMedia: needs.holds_media(rig),
        ShowsTyping: needs.server(rig),
        MarksRead: needs.server(rig),
    }
    untried = {ability.__name__: why for ability, why in wanted.items() if why and rig.has(ability)}
    if rig.suite.sends:
        untried["send"] = needs.server(rig) or _too_well(rig)
    for what, why in untried.items():
        if why:
            raise Broken(
                f"the kit cannot try {what}, since {why}: let the fake server do it, or waive this and say where it is tried"
            )


def _too_well(rig: Rig) -> str:
    """Say why what goes wrong in sending cannot be tried."""
    known = {*rig.provider.troubles}
    if Trouble.NOT_THERE in known and known & {Trouble.LOST_ANSWER, Trouble.SILENCE}:
        return ""
    return "the fake server knows no trouble 'not-there', or neither 'lost-answer' nor 'silence'"
