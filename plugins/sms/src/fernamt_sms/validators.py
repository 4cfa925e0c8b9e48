"""Validators of fields that the sections of several providers have: each says what is wrong, and what to write instead."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute

from fernamt_sms.number import is_name

NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{2,7}")
_WORD: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,100}")
_SHORTEST_S: Final = 60


def sender(_: Any, attribute: Attribute[str], value: str) -> None:
    """Let a number with its country code, a short code or a name pass."""
    if not (NUMBER.fullmatch(value) or _SHORT_CODE.fullmatch(value) or is_name(value)):
        raise ValueError(
            f"{attribute.name} is {value!r}; write a number of yours as +4930123456, a short code, or a name of up to eleven "
            "letters and digits"
        )


def address(_: Any, attribute: Attribute[str], value: str) -> None:
    """Let an address with https pass, or one of this machine."""
    if not re.match(r"https://.|http://(127\.0\.0\.1|localhost)\b", value):
        raise ValueError(f"{attribute.name} must begin with https://")


def interval_s(_: Any, attribute: Attribute[float], value: float) -> None:
    """Let a minute and more pass, and 0 for never."""
    if value < 0 or 0 < value < _SHORTEST_S:
        raise ValueError(f"{attribute.name} is {value}; it must be at least {_SHORTEST_S}, or 0 for never")


def word(_: Any, attribute: Attribute[str], value: str) -> None:
    """Let an id without blanks or slashes pass."""
    if not _WORD.fullmatch(value):
        raise ValueError(f"{attribute.name} is {value!r}; copy it as it stands on the provider's page")
