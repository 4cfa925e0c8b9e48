"""The services that menus ask, answered from the configuration: hours, questions, orders. What is not configured is not offered."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from fernamt import (
    FaqAnswer,
    FaqQuestion,
    Hours,
    HoursQuestion,
    OrderQuestion,
    OrderStatus,
    PluginContext,
    Rejected,
    Unreachable,
    Unsupported,
)
from fernamt_voice_ivr.answers import best, read_answers
from fernamt_voice_ivr.hours import hours_at
from fernamt_voice_ivr.settings import Services

_TIMEOUT_S: Final = 3.5
_NONE: Final = frozenset({404, 410})


async def hours(question: HoursQuestion, context: PluginContext[Services]) -> Hours:
    """Answer from the calendar of that name."""
    calendar = context.settings.calendars.get(question.calendar)
    if calendar is None:
        raise Unsupported(f"there is no section [plugins.voice_ivr.calendars.{question.calendar}]")
    return await asyncio.to_thread(hours_at, calendar, question.at, question.language)


async def answers(question: FaqQuestion, context: PluginContext[Services]) -> tuple[FaqAnswer, ...]:
    """Answer from the file, which is read each time: it may be written while the daemon runs."""
    file = context.settings.answers
    if file is None:
        raise Unsupported("plugins.voice_ivr.answers names no file")
    known = await asyncio.to_thread(read_answers, file)
    return best(known, question.text, question.language)


async def order(question: OrderQuestion, context: PluginContext[Services]) -> OrderStatus | None:
    """Ask the shop, with who asks and what proves that the order is theirs: what it may tell is the shop's to decide."""
    settings = context.settings
    if not settings.orders_url:
        raise Unsupported("plugins.voice_ivr.orders_url is not set")
    headers = {"Accept": "application/json"}
    if settings.orders_token is not None:
        headers["Authorization"] = f"Bearer {settings.orders_token.reveal()}"
    query = {"code": question.code} if question.code else {}
    if question.addresses:
        query["address"] = str(question.addresses[0])
    url = settings.orders_url.replace("{number}", quote(question.number, safe=""))
    reply = await context.http.request("GET", url, headers=headers, query=query, timeout_s=_TIMEOUT_S)
    if reply.status in _NONE:
        return None
    if reply.status != 200:
        if 400 <= reply.status < 500:
            raise Rejected(f"the shop answered with status {reply.status}")
        raise Unreachable(f"the shop answered with status {reply.status}", certain=True)
    return _status(reply.json())


def _status(said: Any) -> OrderStatus:
    if not isinstance(said, dict) or not isinstance(said.get("state"), str):
        raise Unreachable("the shop's answer has no state", certain=True)
    expected = said.get("expected_on")
    try:
        expected_on = date.fromisoformat(expected) if isinstance(expected, str) else None
    except ValueError:
        expected_on = None
    texts = {name: said[name] for name in ("total", "carrier", "link") if isinstance(said.get(name), str)}
    return OrderStatus(state=said["state"], expected_on=expected_on, **texts)
