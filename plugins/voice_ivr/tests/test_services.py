"""Hours, answers and orders from the configuration."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from fernamt import (
    Address,
    FaqQuestion,
    Hours,
    HoursQuestion,
    HttpReply,
    OrderQuestion,
    OrderStatus,
    Rejected,
    Unreachable,
    Unsupported,
)
from fernamt_voice_ivr import services
from fernamt_voice_ivr.hours import hours_at
from fernamt_voice_ivr.settings import Calendar, Services

DAY = ("08:00-12:00", "13:00-17:00")
WEEK = Calendar(
    holidays="DE-BY",
    monday=DAY,
    tuesday=DAY,
    wednesday=DAY,
    thursday=DAY,
    friday=("08:00-12:00",),
    days={"2026-12-23": ("10:00-11:00",), "2026-12-22": ()},
)
ANSWERS = """
[[answers]]
questions = ["Was kostet der Versand?", "Wie hoch sind die Versandkosten?"]
answer = "Der Versand kostet 4,90 Euro."
language = "de"
source = "https://shop.example/versand"

[[answers]]
questions = ["What is the shipping cost?"]
answer = "Shipping is 4.90 euros."
language = "en"

[[answers]]
questions = ["Kann ich meine Ware zurückgeben?"]
answer = "30 Tage lang."
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("when", "is_open", "reason", "occasion", "changes"),
    [
        ("2026-11-30T09:00+01:00", True, "", "", "2026-11-30T12:00+01:00"),
        ("2026-11-30T12:00+01:00", False, "closed", "", "2026-11-30T13:00+01:00"),
        ("2026-11-30T19:00+01:00", False, "closed", "", "2026-12-01T08:00+01:00"),
        ("2026-12-04T12:30+01:00", False, "closed", "", "2026-12-07T08:00+01:00"),
        ("2026-01-06T10:00+01:00", False, "Heilige Drei Könige", "holiday", "2026-01-07T08:00+01:00"),
        ("2026-12-22T10:00+01:00", False, "closed today", "special", "2026-12-23T10:00+01:00"),
        ("2026-12-23T10:30+01:00", True, "", "special", "2026-12-23T11:00+01:00"),
        ("2026-07-01T06:30+00:00", True, "", "", "2026-07-01T12:00+02:00"),
    ],
)
def test_hours_follow_the_week_the_holidays_of_the_land_and_days_of_their_own(
    when: str, is_open: bool, reason: str, occasion: str, changes: str
) -> None:
    assert hours_at(WEEK, at(when)) == Hours(is_open=is_open, reason=reason, changes_at=at(changes), occasion=occasion)


@pytest.mark.parametrize(
    ("land", "language", "reasons"),
    [
        ("DE-BY", "de", ("Tag der Deutschen Einheit", "heute geschlossen", "geschlossen")),
        ("DE-BY", "en", ("German Unity Day", "closed today", "closed")),
        ("DE-BY", "en-GB", ("German Unity Day", "closed today", "closed")),
        # Nobody knows the language, or the day's name in it: the country's own.
        ("DE-BY", "", ("Tag der Deutschen Einheit", "closed today", "closed")),
        ("DE-BY", "pl", ("Tag der Deutschen Einheit", "closed today", "closed")),
    ],
)
def test_why_it_is_closed_is_said_in_the_language_of_whoever_asks(
    land: str, language: str, reasons: tuple[str, str, str]
) -> None:
    calendar = evolve(WEEK, holidays=land)
    days = ("2026-10-03T10:00+02:00", "2026-12-22T10:00+01:00", "2026-11-30T19:00+01:00")

    assert tuple(hours_at(calendar, at(day), language).reason for day in days) == reasons


@pytest.mark.parametrize(
    ("when", "changes"),
    [
        # The clock is set forward from 2 to 3, and back from 3 to 2.
        ("2026-03-28T23:00+01:00", "2026-03-29T04:00+02:00"),
        ("2026-10-24T23:00+02:00", "2026-10-25T04:00+01:00"),
        ("2026-10-25T00:59+00:00", "2026-10-25T04:00+01:00"),
    ],
)
def test_hours_are_those_of_the_clock_on_the_wall(when: str, changes: str) -> None:
    found = hours_at(Calendar(sunday=("04:00-08:00",), monday=("08:00-09:00",)), at(when))

    assert (found.is_open, found.changes_at) == (False, at(changes))


def test_a_holiday_of_one_land_is_a_day_of_work_in_another() -> None:
    assert hours_at(evolve(WEEK, holidays="DE-BE"), at("2026-01-06T10:00+01:00")).is_open


def test_who_is_never_there_is_closed_for_ever() -> None:
    assert hours_at(Calendar(), datetime(2026, 1, 1, tzinfo=UTC)).changes_at is None


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("monday", ("8-12",), "is no span of hours"),
        ("monday", ("12:00-08:00",), "must end after it begins"),
        ("zone", "Mars", "is no time zone"),
        ("holidays", "DE-XX", "is not known"),
        ("holidays", "Bavaria", "such as DE-BY"),
        ("days", {"24.12.": ()}, "is no day"),
    ],
)
def test_a_calendar_that_cannot_be_says_how_it_is_written(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Calendar(**{field: value})


@frozen
class Web:
    """A shop that answers once, and what it was asked."""

    status: int
    body: Any
    asked: list[tuple[str, Mapping[str, str], Mapping[str, str]]]

    async def request(
        self, _method: str, url: str, *, headers: Mapping[str, str], query: Mapping[str, str], timeout_s: float
    ) -> HttpReply:
        self.asked.append((url, headers, query))
        return HttpReply(status=self.status, headers={}, body=json.dumps(self.body).encode())


@frozen(kw_only=True)
class Context:
    settings: Services
    http: Any = None


async def test_what_is_not_configured_says_so_and_where() -> None:
    context: Any = Context(settings=Services())
    asked: list[tuple[Any, Any, str]] = [
        (services.hours, HoursQuestion(calendar="shop", at=at("2026-11-30T09:00+01:00")), "calendars.shop"),
        (services.answers, FaqQuestion(text="Versand", language="de"), "answers"),
        (services.order, OrderQuestion(number="1"), "orders_url"),
    ]
    for ask, question, said in asked:
        with pytest.raises(Unsupported, match=said):
            await ask(question, context)


@pytest.mark.parametrize(
    ("asked", "language", "answer"),
    [
        ("was kostet der versand", "de", "Der Versand kostet 4,90 Euro."),
        ("Hallo, wie hoch sind denn bei Ihnen die Versandkosten?", "de", "Der Versand kostet 4,90 Euro."),
        ("what's the shipping cost", "en", "Shipping is 4.90 euros."),
        ("Ich möchte die Ware zurückgeben", "de", "30 Tage lang."),
    ],
)
async def test_a_question_finds_its_answer_however_it_is_put(
    asked: str, language: str, answer: str, tmp_path: Path
) -> None:
    file = tmp_path / "answers.toml"
    file.write_text(ANSWERS, "utf-8")
    context: Any = Context(settings=Services(answers=file))
    found = await services.answers(FaqQuestion(text=asked, language=language), context)
    assert (found[0].text, found[0].confidence >= 0.6) == (answer, True)
    assert await services.answers(FaqQuestion(text="Wer ist Kanzler?", language="de"), context) == ()


@pytest.mark.parametrize(("text", "said"), [("answers = 1 2", "cannot be read"), ("[[answers]]", "answer 1 needs")])
async def test_a_collection_that_cannot_be_read_says_where(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text(text, "utf-8")
    context: Any = Context(settings=Services(answers=file))
    with pytest.raises(Unsupported, match=said):
        await services.answers(FaqQuestion(text="x", language="de"), context)


async def test_the_shop_is_asked_for_an_order_with_who_asks() -> None:
    web = Web(200, {"state": "sent", "expected_on": "2026-12-01", "link": "https://p.example/1"}, [])
    context: Any = Context(settings=Services(orders_url="https://shop.example/o/{number}"), http=web)
    question = OrderQuestion(number="47/11", addresses=(Address("phone", "+491"),), code="80331")
    found = await services.order(question, context)
    assert found == OrderStatus(state="sent", expected_on=at("2026-12-01").date(), link="https://p.example/1")
    [(url, _, query)] = web.asked
    assert (url, query) == ("https://shop.example/o/47%2F11", {"code": "80331", "address": "phone:+491"})


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [(500, {}, Unreachable), (401, {}, Rejected), (200, [], Unreachable), (404, {}, None)],
)
async def test_a_shop_that_does_not_know_or_cannot_say(status: int, body: Any, raised: Any) -> None:
    context: Any = Context(settings=Services(orders_url="https://shop.example/{number}"), http=Web(status, body, []))
    if raised is None:
        assert await services.order(OrderQuestion(number="1"), context) is None
        return
    with pytest.raises(raised):
        await services.order(OrderQuestion(number="1"), context)
