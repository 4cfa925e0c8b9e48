"""What every kind of SMS channel can be told; each kind has its own class upon this."""

from __future__ import annotations

from typing import Any, Final, Literal

from attrs import Attribute, field, frozen

_MOST_PARTS: Final = 255


def _region(_: Any, attribute: Attribute[str], value: str) -> None:
    from phonenumbers import SUPPORTED_REGIONS  # fernamt sms count does without its 0.1 s

    if value and value not in SUPPORTED_REGIONS:
        raise ValueError(f"{attribute.name} is {value!r}; write a country in two capital letters, for instance 'DE'")


def _parts(_: Any, attribute: Attribute[int], value: int) -> None:
    if not 0 < value <= _MOST_PARTS:
        raise ValueError(f"{attribute.name} is {value}; it must be from 1 to {_MOST_PARTS}")


def _rate(_: Any, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{attribute.name} is {value}; write how many parts a second, or leave it out for no limit")


@frozen(kw_only=True)
class SmsSettings:
    """``[channels.<id>]``: what is the same for every kind."""

    region: str = field(default="", validator=_region)
    """The country of those who write to us and whose number the provider tells without a country code, for instance DE."""
    plain_characters: bool = False
    """Whether typographic quotes, dashes, blanks and the like are written in plain where that saves a part."""
    max_parts: int = field(default=10, validator=_parts)
    """A longer text is sent as several messages of so many parts."""
    parts_per_s: float | None = field(default=None, validator=_rate)
    """How many parts a second the provider takes from us."""
    house_language: Literal["en", "de"] = "en"
    """The language of the reasons that agents read: en or de."""
    sender_is_replaced: bool = False
    """Whether the provider writes a number in place of a sender of letters where a country shows none; without it such a message is refused before it is sent."""
