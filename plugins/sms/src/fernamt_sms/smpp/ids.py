"""The ids of the SMSC: answers give them in one form, receipts name them in another, and both have to meet. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection
from typing import Final, Literal, TypeAlias

from attrs import frozen

Habit: TypeAlias = Literal["auto", "same", "decimal", "hexadecimal"]
"""How receipts write what an answer gave: the same, or in the other base. ``auto``: found out from the first that come."""

_MAX: Final = 64
"""No id is longer; a number of more digits would take time to read."""
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+")
_DECIMAL: Final = re.compile(r"[0-9]+")
_KNOWN_MAX: Final = 20_000
_SAME_END: Final = 6


def canonical(text: str) -> str:
    """Return an id without what SMSCs change about one: blanks, NULs, case, zeros before it."""
    stripped = text.strip(" \t\r\n\0").lower()
    return stripped.lstrip("0") or stripped[:1]


def translated(text: str, habit: Habit) -> str:
    """Return what an answer would have called what a receipt calls *text*. Where that is no number, it is the same."""
    name = canonical(text)
    if len(name) <= _MAX:
        if habit == "decimal" and _DECIMAL.fullmatch(name):
            return f"{int(name):x}"
        if habit == "hexadecimal" and _HEXADECIMAL.fullmatch(name):
            return str(int(name, 16))
    return name


@frozen
class Named:
    """A message that a receipt is about."""

    id: str
    is_known: bool = False
    """An answer of this run gave the id, for the same number."""
    is_last: bool = True
    """It is the only part of its message, or the last one."""


@frozen
class _Submitted:
    number: str
    is_last: bool


class Ids:
    """The ids of the last answers, and how receipts write them."""

    def __init__(self, habit: Habit = "auto") -> None:
        self._found: Habit | None = None if habit == "auto" else habit
        self._submitted: OrderedDict[str, _Submitted] = OrderedDict()

    @property
    def found(self) -> Habit | None:
        """How receipts write ids, as far as that is known."""
        return self._found

    def submitted(self, text: str, number: str, *, is_last: bool = True) -> str:
        """Return the id of an answer as it is kept, and remember it."""
        name = canonical(text)
        self._submitted[name] = _Submitted(_end(number), is_last)
        if len(self._submitted) > _KNOWN_MAX:
            self._submitted.popitem(last=False)
        return name

    def receipted(self, text: str, *numbers: str) -> Named:
        """Return the message that a receipt names by *text*, and that went to one of *numbers*.

        The first receipt of an answer of this run decides how they are written: from then on nothing else is tried, because
        the number of another message in another base is not hard to meet.
        """
        if self._found is not None:
            return self._looked_up(translated(text, self._found), numbers)
        for habit in _TRIED:
            one = self._looked_up(translated(text, habit), numbers)
            if one.is_known:
                self._found = habit
                return one
        return Named(canonical(text))

    def _looked_up(self, name: str, numbers: Collection[str]) -> Named:
        one = self._submitted.get(name)
        if one is None or one.number not in map(_end, numbers):
            return Named(name)
        return Named(name, is_known=True, is_last=one.is_last)


_TRIED: Final[tuple[Habit, ...]] = ("same", "decimal", "hexadecimal")


def _end(number: str) -> str:
    """Return the end of a number, which is the same whether its country stands before it or not."""
    return (number if number.isdigit() else "".join(filter(str.isdigit, number)))[-_SAME_END:]
