"""What a menu knows: typed variables, and conditions on them. Nothing is evaluated that is not a value here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

Type: TypeAlias = Literal["text", "digits", "number", "amount", "date", "time", "flag"]
Class: TypeAlias = Literal["open", "personal", "secret"]
Scalar: TypeAlias = bool | int | float | str
VALUE_MAX_BYTES: Final = 256
VARIABLES_MAX: Final = 32
_BETWEEN: Final = str.maketrans("", "", " \t/().-")
_DIGITS: Final = re.compile(r"\+?[0-9*#]{1,64}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(?:[.,*]([0-9]{1,6}))?")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")


@frozen
class Variable:
    """Something that a menu collects or is told."""

    type: Type = "text"
    """``text``, ``digits``, ``number``, ``amount`` (12.90), ``date``, ``time`` (a moment) or ``flag`` (true or false)."""
    redact: Class = "open"
    """``personal`` stands only in the words of entries, which an erasure deletes; ``secret`` lives only until the step that heard it
    ends."""


GIVEN: Final[Mapping[str, Variable]] = MappingProxyType(
    {
        "caller": Variable("text", "personal"),
        "called": Variable("text"),
        "channel": Variable("text"),
        "language": Variable("text"),
        "written": Variable("flag"),
        "now": Variable("time"),
        "reason": Variable("text"),
        "changes_at": Variable("time"),
        "position": Variable("number"),
        "wait_minutes": Variable("number"),
        "team": Variable("text"),
        "number": Variable("digits", "personal"),
    }
)
"""Those that every menu has."""


def taken(value: Any, kind: Type) -> Scalar | None:
    """Return a value as the type keeps it, which JSON knows; ``None`` if it is none of it."""
    if value is None or (value.__class__ is bool and kind != "flag"):
        return None
    return _TAKERS[kind](value)


def _flag(value: Any) -> Scalar | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> Scalar | None:
    if value.__class__ is str:
        return cut(value)
    return cut(str(value)) if isinstance(value, str | int | float) else None


def _digits(value: Any) -> Scalar | None:
    if not isinstance(value, str | int):
        return None
    digits = str(value)
    if not digits.isdecimal() or len(digits) > 64 or not digits.isascii():
        digits = digits.translate(_BETWEEN)
        return digits if _DIGITS.fullmatch(digits) else None
    return digits


def cut(text: str) -> str:
    """Return a text of at most 256 bytes."""
    if text.isascii() and len(text) <= VALUE_MAX_BYTES:
        return text
    raw = text.encode("utf-8", "replace")
    return raw[:VALUE_MAX_BYTES].decode("utf-8", "ignore")


def _number(value: Any) -> Scalar | None:
    if isinstance(value, int | float):
        return value if abs(value) < 1e15 else None
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    plain = found[0].replace(",", ".").replace("*", ".")
    return float(plain) if found[1] else int(plain)


def _amount(value: Any) -> Scalar | None:
    """Return an amount with two places; the star is the comma of a telephone."""
    if not isinstance(value, int | float | Decimal | str):
        return None
    try:
        amount = Decimal(str(value).strip().replace(",", ".").replace("*", "."))
        return str(amount.quantize(Decimal("0.01"))) if abs(amount) < 10**12 else None
    except (InvalidOperation, ValueError, TypeError):
        return None


_DATES: Final = (
    re.compile(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"),
    re.compile(r"(?P<d>[0-9]{1,2})[. ]+(?P<m>[0-9]{1,2})[. ]+(?P<y>[0-9]{4})"),
    re.compile(r"(?P<d>[0-9]{2})(?P<m>[0-9]{2})(?P<y>[0-9]{4})"),
)
"""As machines, as people and as keys write it."""


def _date(value: Any) -> Scalar | None:
    if isinstance(value, date):
        return value.strftime("%Y-%m-%d") if value.year > 999 else None
    return _dated(value) if isinstance(value, str) else None


def _time(value: Any) -> Scalar | None:
    if isinstance(value, datetime):
        return value.isoformat() if value.utcoffset() is not None else None
    return value if moment(value) is not None else None


def _dated(text: str) -> str | None:
    for form in _DATES:
        if found := form.fullmatch(text.strip()):
            try:
                return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
            except ValueError:
                return None
    return None


def moment(text: Any) -> datetime | None:
    """Return the moment that a variable of type ``time`` keeps; ``None`` if it keeps none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.utcoffset() is None else found


_TAKERS: Final[Mapping[str, Callable[[Any], Scalar | None]]] = MappingProxyType(
    {
        "text": _text,
        "digits": _digits,
        "number": _number,
        "amount": _amount,
        "date": _date,
        "time": _time,
        "flag": _flag,
    }
)


def _scalars(values: Any) -> tuple[Scalar, ...]:
    return tuple(values)


@frozen(kw_only=True)
class Condition:
    """Whether a variable is as it says; each key that is there must hold. One that is not known holds for no comparison."""

    variable: str
    """Which one."""
    equals: Scalar | None = None
    """It has this value."""
    one_of: tuple[Scalar, ...] = field(default=(), converter=_scalars)
    """It has one of these values."""
    above: float | None = None
    """It is a greater number, or amount."""
    below: float | None = None
    """It is a smaller one."""
    known: bool | None = None
    """Whether there is a value at all."""

    def holds(self, value: Any) -> bool:
        """Say whether it holds for that value."""
        if self.known is not None and (value is not None) is not self.known:
            return False
        if self.equals is not None and not _same(value, self.equals):
            return False
        if self.one_of and not any(_same(value, one) for one in self.one_of):
            return False
        if self.above is None and self.below is None:
            return True
        number = _comparable(value)
        if number is None:
            return False
        return (self.above is None or number > self.above) and (self.below is None or number < self.below)


def _same(value: Any, other: Scalar) -> bool:
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _comparable(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
