"""Telephone numbers: what a message goes to, who wrote one, and what may stand as our sender. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
)
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from fernamt import Address, Rejected

SCHEME: Final = "phone"
"""Of addresses that are numbers, short codes among them."""
NAME_SCHEME: Final = "sms"
"""Of addresses that are no number: whoever wrote under a name cannot be answered."""

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{2,5}")
_DIGITS: Final = re.compile(r"\+?[0-9]{7,15}")
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +\-_&.]{1,11}")
_NOTHING: Final = re.compile(r"(?!)")
_WRONG: Final = {
    ValidationResult.INVALID_COUNTRY_CODE: "there is no such country code",
    ValidationResult.TOO_SHORT: "it is too short for its country",
    ValidationResult.TOO_LONG: "it is too long for its country",
    ValidationResult.INVALID_LENGTH: "its country has no numbers of this length",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "it has no area code",
}

NO_NAMES: Final = frozenset(
    "AR BE BR CA CL CN CO CR DO EC GT GU KR MX MY NI NZ PE PR PY SV US UY VE VI ZA".split()  # noqa: SIM905 - a table
)
"""Where a sender of letters is not shown: "Supports Sender IDs: No" in Amazon Pinpoint's "Supported countries and regions (SMS
channel)" (2023), without those that other providers list otherwise. Where a network replaces it, the setting says so."""


@lru_cache(maxsize=4_096)
def recipient(value: str, region: str) -> str:
    """Return what a message goes to: a number as +4930123456 (E.164), or a short code as it is.

    Args:
        value: As it stands in an address, or as a person writes it.
        region: The country of numbers without a country code, such as ``DE``; ``""``: there is none.

    Raises:
        Rejected: It cannot be a number; the reason says why. Whether anybody has it only the network knows.
    """
    written = value.strip()
    if _SHORT_CODE.fullmatch(written) or _is_plain(written):
        return written
    number = _parsed(written, region)
    if number.extension:
        raise Rejected("the number has an extension, and no message goes to one: leave it out")
    wrong = phonenumbers.is_possible_number_with_reason(number)
    if wrong != ValidationResult.IS_POSSIBLE:
        raise Rejected(f"the number cannot be right: {_WRONG.get(wrong, 'its form is unknown')}")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _is_plain(written: str) -> bool:
    """Say whether this is a number in full, with nothing that would have to be read into another form.

    As nearly all are, and to read one costs more than all else that is done to a message here.
    """
    if not _E164.fullmatch(written):
        return False
    for end in (2, 3, 4):
        if (country := int(written[1:end])) in COUNTRY_CODE_TO_REGION_CODE:
            lengths, before = _plan(country)
            return len(written) - end in lengths and not before.match(written, end)
    return False


@lru_cache
def _plan(country: int) -> tuple[frozenset[int], re.Pattern[str]]:
    """Return how long numbers behind a country code may be, and what may stand before one that is dialled inside the country."""
    region = COUNTRY_CODE_TO_REGION_CODE[country][0]
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(country, region)
    if metadata is None or metadata.general_desc is None:
        return frozenset(), _NOTHING
    lengths = frozenset(metadata.general_desc.possible_length) - {*metadata.general_desc.possible_length_local_only}
    before = metadata.national_prefix_for_parsing
    return lengths, re.compile(before) if before else _NOTHING


def _parsed(written: str, region: str) -> PhoneNumber:
    if not re.fullmatch(r"[0-9+()/ .,\-\u00a0A-Za-z;:=#*]{1,40}", written):
        raise Rejected("this is no telephone number")
    if not region and written.startswith("00"):
        written = f"+{written[2:]}"
    try:
        return phonenumbers.parse(written, region or None)
    except NumberParseException as why:
        if why.error_type == NumberParseException.INVALID_COUNTRY_CODE and not written.startswith("+"):
            raise Rejected("the number has no country code: write it as +49...") from None
        if why.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            raise Rejected("the number cannot be right: there is no such country code") from None
        raise Rejected("this is no telephone number") from None


def sender(value: str, region: str = "", *, international: bool = False) -> Address:
    """Return the address of whoever wrote, or whom we write as: a number, a short code, or a name.

    Args:
        value: As the provider says it.
        region: The country of numbers without a country code; ``""``: there is none.
        international: The provider leaves out the + before a country code.
    """
    written = value.strip()
    if _E164.fullmatch(written) or _SHORT_CODE.fullmatch(written):
        return Address(SCHEME, written)
    if international and _DIGITS.fullmatch(written) and not written.startswith(("+", "0")):
        written = f"+{written}"
    try:
        return Address(SCHEME, recipient(written, region))
    except Rejected:
        # Somebody wrote: that we do not know the form of the number is no reason to lose that.
        return Address(SCHEME if _DIGITS.fullmatch(written) else NAME_SCHEME, written or "unknown")


def zones(to: Address) -> tuple[str, ...]:
    """Return the time zones in which whoever has a number may be, as in ``Europe/Berlin``; none: nobody knows."""
    if to.scheme != SCHEME or not to.value.startswith("+"):
        return ()
    try:
        found = time_zones_for_number(phonenumbers.parse(to.value))
    except NumberParseException:
        return ()
    return tuple(zone for zone in found if zone != UNKNOWN_TIMEZONE)


@lru_cache(maxsize=64)
def is_name(value: str) -> bool:
    """Say whether a sender is a name: up to eleven letters, digits and blanks, at least one of them a letter."""
    return bool(_NAME.fullmatch(value)) and not value.startswith("+")


def refuse_name(to: str) -> None:
    """Let a message under a name pass where names are shown.

    Raises:
        Rejected: The country of *to* (E.164) shows none.
    """
    if not to.startswith("+"):
        return
    region = phonenumbers.region_code_for_number(phonenumbers.parse(to))
    if region in NO_NAMES:
        raise Rejected("networks in that country take no message under a name: send it from a number")
