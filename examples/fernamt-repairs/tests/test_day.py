"""The node alone: which days it offers, and what it takes for one of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fernamt import Finished, Gather, Happened, Leave, Pressed, Said, Silence, Stay, Visit, Wording
from fernamt_repairs.day import Day

MONDAY = datetime(2026, 11, 30, 9, tzinfo=UTC)
ASKED = {"de": Wording("Wann?"), "en": Wording("When?", no_input=["Hello?"])}

WHEN = {"de": "Wann?", "en": "When?"}


def day(**keys: Any) -> Day:
    return Day(prompt=ASKED, into="day", to="next", **keys)


def visit(at: datetime = MONDAY, *, language: str = "en", written: bool = False, memory: Any = None) -> Visit:
    return Visit(language=language, at=at, written=written, values={}, memory=memory)


def gather(outcome: Stay | Leave) -> Gather:
    assert isinstance(outcome, Stay)
    [action] = outcome.actions
    assert isinstance(action, Gather)
    return action


def labels(outcome: Stay | Leave) -> list[str]:
    return [one.label for one in gather(outcome).buttons]


@pytest.mark.parametrize(
    ("keys", "at", "first"),
    [
        ({}, MONDAY, "Tuesday, 1 December"),
        ({"notice_days": 0}, MONDAY, "Monday, 30 November"),
        ({"weekdays": ("sat",)}, MONDAY, "Saturday, 5 December"),
        ({"closed": (date(2026, 12, 1),)}, MONDAY, "Wednesday, 2 December"),
        ({}, datetime(2026, 12, 4, 12, tzinfo=UTC), "Monday, 7 December"),
        # In Berlin it is Tuesday already.
        ({}, datetime(2026, 11, 30, 23, 30, tzinfo=UTC), "Wednesday, 2 December"),
        ({"zone": "America/New_York"}, datetime(2026, 12, 1, 1, tzinfo=UTC), "Tuesday, 1 December"),
    ],
)
def test_the_first_day_is_open_and_tomorrow_at_the_earliest(keys: dict[str, Any], at: datetime, first: str) -> None:
    assert labels(day(**keys).enter(visit(at)))[0] == first


@pytest.mark.parametrize(
    "keys", [{"zone": "Berlin"}, {"weekdays": ()}, {"notice_days": -1}, {"pages": 0}, {"tries": 0}, {"prompt": {}}]
)
def test_what_cannot_work_is_refused_when_the_menu_is_read(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(keys))):
        Day(**{"prompt": ASKED, "into": "day", "to": "next", **keys})


@pytest.mark.parametrize(
    ("event", "chosen"),
    [
        (Pressed("2"), "2026-12-02"),
        (Pressed("2#"), "2026-12-02"),
        (Said("Wednesday please"), "2026-12-02"),
        (Said("number 2"), "2026-12-02"),
        (Said("on Wednesday the 2"), "2026-12-02"),
        (Said("Wednesday or Thursday"), None),
        (Said("Sunday"), None),
        (Said("Wednesday", 0.1), None),
        (Said(""), None),
        (Pressed(""), None),
        (Pressed("22"), None),
        (Silence(), None),
        (Finished(), None),
    ],
)
def test_a_key_or_a_weekday_means_one_day_or_it_is_asked_again(event: Happened, chosen: str | None) -> None:
    asked = day().enter(visit())
    assert isinstance(asked, Stay)
    outcome = day().resume(visit(memory=asked.memory), event)

    if chosen is None:
        assert labels(outcome) == labels(asked)
    else:
        assert isinstance(outcome, Leave)
        assert (outcome.by, outcome.values) == ("to", {"day": chosen})


def test_after_a_silence_it_is_asked_in_the_words_for_that() -> None:
    asked = day().enter(visit())
    assert isinstance(asked, Stay)

    assert gather(day().resume(visit(memory=asked.memory), Silence())).prompts[0].text == "Hello?"
    assert gather(day().resume(visit(memory=asked.memory), Pressed("9"))).prompts[0].text == "When?"


def test_midnight_does_not_change_what_a_key_means() -> None:
    asked = day().enter(visit(datetime(2026, 11, 30, 22, 59, 50, tzinfo=UTC)))
    assert isinstance(asked, Stay)
    outcome = day().resume(visit(datetime(2026, 11, 30, 23, 0, 10, tzinfo=UTC), memory=asked.memory), Pressed("1"))

    assert isinstance(outcome, Leave)
    assert outcome.values == {"day": "2026-12-01"}


@pytest.mark.parametrize(
    ("language", "heard"),
    [
        (
            "de",
            "Dienstag, 1. Dezember: die 1. Mittwoch, 2. Dezember: die 2. Donnerstag, 3. Dezember: die 3. Später: die 4.",
        ),
        ("en", "Tuesday, 1 December: 1. Wednesday, 2 December: 2. Thursday, 3 December: 3. Later: 4."),
    ],
)
def test_choices_are_spoken_to_the_ear_and_shown_to_the_eye(language: str, heard: str) -> None:
    spoken = gather(day().enter(visit(language=language)))
    shown = gather(day().enter(visit(language=language, written=True)))

    assert [one.text for one in spoken.prompts] == [WHEN[language], heard]
    assert [one.text for one in shown.prompts] == [WHEN[language]]
    assert spoken.buttons == shown.buttons


def test_a_workshop_that_is_closed_for_weeks_leads_on() -> None:
    saturdays = tuple(date.fromordinal(date(2026, 12, 5).toordinal() + 7 * week) for week in range(9))

    assert day(weekdays=("sat",), closed=saturdays).enter(visit()) == Leave("none")
