"""A node that lets somebody choose the day on which they bring something: three at a time, by key, by word or by button."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, ClassVar, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from attrs import evolve, field, frozen
from attrs.validators import ge, le, min_len

from fernamt import (
    AddEntry,
    Button,
    Gather,
    Happened,
    Json,
    Leave,
    Pressed,
    Prompt,
    Said,
    Stay,
    Visit,
    Wording,
    words_of,
)
from fernamt_repairs.tongue import Tongue, tongue_of

Weekday: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Miss: TypeAlias = Literal["", "no_input", "no_match"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_PAGE: Final = 3
"""So many days are offered at once: nobody keeps more in mind."""
LATER: Final = str(A_PAGE + 1)
HORIZON_DAYS: Final = 60
_SURE: Final = 0.4
"""Words that were recognised less surely are not understood, as in the nodes of the core."""


def _known(_: object, __: object, zone: str) -> None:
    if zone not in available_timezones():
        raise ValueError(f"there is no time zone {zone!r}: write for instance Europe/Berlin")


@frozen
class Memory:
    """Where somebody stands: what was today when they came, how far they have looked, and what was not understood."""

    today: date
    page: int = 0
    silences: int = 0
    misses: int = 0

    def kept(self) -> Json:
        """Return it as the menu keeps it."""
        return [self.today.isoformat(), self.page, self.silences, self.misses]

    @classmethod
    def of(cls, kept: Any) -> Memory:
        """Return what was kept. Raises if it is not ours; then the menu goes on by the fallback."""
        today, page, silences, misses = kept
        return cls(date.fromisoformat(today), page, silences, misses)


@frozen(kw_only=True)
class Day:
    """The keys of ``kind = "repairs.day"``."""

    kind: ClassVar = "repairs.day"

    prompt: Mapping[str, Wording] = field(validator=min_len(1))
    """The question, by language; the days follow it. ``again`` goes before later days."""
    into: str
    """A variable of type ``date``."""
    weekdays: tuple[Weekday, ...] = field(default=WEEKDAYS[:5], validator=min_len(1))
    """On which something may be brought."""
    closed: tuple[date, ...] = ()
    """Days on which it may not, all the same."""
    notice_days: int = field(default=1, validator=[ge(0), le(HORIZON_DAYS)])
    """Between today and the first day that is offered."""
    pages: int = field(default=3, validator=[ge(1), le(8)])
    """How often other days are offered: so many times three."""
    tries: int = field(default=3, validator=[ge(1), le(9)])
    """So often it is asked; silence and what was not understood are counted apart."""
    zone: str = field(default="Europe/Berlin", validator=_known)
    """In which it is today."""
    to: str
    none: str = ""
    """No day suited, or there is none."""
    no_input: str = ""
    no_match: str = ""

    @property
    def exits(self) -> Mapping[str, str]:
        """Every way out."""
        return {name: getattr(self, name) for name in ("to", "none", "no_input", "no_match")}

    def enter(self, visit: Visit) -> Stay | Leave:
        """Offer the first days."""
        return self._offer(visit, Memory(visit.at.astimezone(ZoneInfo(self.zone)).date()))

    def resume(self, visit: Visit, event: Happened) -> Stay | Leave:
        """Take a day, go on to later ones, or ask again."""
        memory = Memory.of(visit.memory)
        if wanted := visit.everywhere(event):  # a person, the way back ...
            return Leave(wanted)
        match event:
            case Pressed(keys):
                return self._chosen(visit, memory, keys.removesuffix("#"))
            case Said(text, confidence) if confidence >= _SURE:
                return self._chosen(visit, memory, key_of(text, self._days(memory), tongue_of(visit.language)))
            case Said():
                return self._missed(visit, memory)
            case _:
                memory = evolve(memory, silences=memory.silences + 1)
                return (
                    Leave("no_input")
                    if memory.silences >= self.tries
                    else self._offer(visit, memory, "no_input", memory.silences)
                )

    # ---- what is chosen
    def _chosen(self, visit: Visit, memory: Memory, key: str) -> Stay | Leave:
        days = dict(zip(map(str, range(1, A_PAGE + 1)), self._days(memory), strict=False))
        if key in days:
            day = days[key].isoformat()
            note = AddEntry(kind="repairs.day", text=day, data={"day": day})
            return Leave("to", actions=(note,), values={self.into: day})
        if key == LATER:
            return self._offer(visit, evolve(memory, page=memory.page + 1))
        return self._missed(visit, memory)

    def _missed(self, visit: Visit, memory: Memory) -> Stay | Leave:
        memory = evolve(memory, misses=memory.misses + 1)
        return (
            Leave("no_match") if memory.misses >= self.tries else self._offer(visit, memory, "no_match", memory.misses)
        )

    # ---- what is offered
    def _days(self, memory: Memory) -> list[date]:
        start = memory.page * A_PAGE
        return list(self._open(memory.today))[start : start + A_PAGE]

    def _open(self, today: date) -> Iterator[date]:
        for ahead in range(self.notice_days, HORIZON_DAYS + 1):
            day = today + timedelta(days=ahead)
            if WEEKDAYS[day.weekday()] in self.weekdays and day not in self.closed:
                yield day

    def _offer(self, visit: Visit, memory: Memory, miss: Miss = "", count: int = 0) -> Stay | Leave:
        days = self._days(memory)
        if not days or memory.page >= self.pages:
            return Leave("none")
        tongue = tongue_of(visit.language)
        said = visit.says(self.prompt, miss, count or memory.page)
        buttons = [Button(tongue.day(day), str(at)) for at, day in enumerate(days, 1)]
        buttons.append(Button(tongue.later, LATER))
        return Stay((self._asked(visit, tongue, said, tuple(buttons)),), memory=memory.kept())

    def _asked(self, visit: Visit, tongue: Tongue, said: tuple[Prompt, ...], buttons: tuple[Button, ...]) -> Gather:
        prompts = list(said)
        if not visit.written:
            offered = " ".join(tongue.press.format(label=one.label, key=one.value) for one in buttons)
            prompts.append(Prompt(text=offered, language=visit.language))
        hints = (*(one.label for one in buttons), *sorted(tongue.later_words))
        return Gather(prompts=tuple(prompts), max_keys=1, speech=True, hints=hints, buttons=buttons)


def key_of(text: str, days: list[date], tongue: Tongue) -> str:
    """Return the key that somebody's words mean; empty if they mean none, or two of the days."""
    words = {*words_of(text)}
    if words & tongue.later_words:
        return LATER
    digits = words & {str(one) for one in range(A_PAGE + 2)}
    named = [str(at) for at, day in enumerate(days, 1) if {*words_of(tongue.weekdays[day.weekday()])} <= words]
    meant = named or sorted(digits)
    return meant[0] if len(meant) == 1 else ""
