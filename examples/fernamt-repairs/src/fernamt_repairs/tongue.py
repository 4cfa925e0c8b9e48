"""What the node says of its own, in the languages that it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from attrs import frozen


@frozen(kw_only=True)
class Tongue:
    """One language."""

    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    form: str
    press: str
    """How a choice is offered to the ear."""
    later: str
    later_words: frozenset[str]
    """As ``words_of`` makes them comparable."""

    def day(self, day: date) -> str:
        """Return a day in words."""
        return self.form.format(weekday=self.weekdays[day.weekday()], day=day.day, month=self.months[day.month - 1])


TONGUES: Final[Mapping[str, Tongue]] = MappingProxyType(
    {
        "de": Tongue(
            weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
            months=(
                "Januar",
                "Februar",
                "März",
                "April",
                "Mai",
                "Juni",
                "Juli",
                "August",
                "September",
                "Oktober",
                "November",
                "Dezember",
            ),
            form="{weekday}, {day}. {month}",
            press="{label}: die {key}.",
            later="Später",
            later_words=frozenset({"spaeter", "andere", "anderer"}),
        ),
        "en": Tongue(
            weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
            months=(
                "January",
                "February",
                "March",
                "April",
                "May",
                "June",
                "July",
                "August",
                "September",
                "October",
                "November",
                "December",
            ),
            form="{weekday}, {day} {month}",
            press="{label}: {key}.",
            later="Later",
            later_words=frozenset({"later", "other", "another"}),
        ),
    }
)


def tongue_of(language: str) -> Tongue:
    """Return how the node speaks in a language; English where it knows none."""
    return TONGUES.get(language.partition("-")[0], TONGUES["en"])
