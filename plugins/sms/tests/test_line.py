"""Whom a message of any kind of line goes to."""

from __future__ import annotations

from typing import Literal

import pytest

from fernamt import Address, OutboundMessage, Rejected
from fernamt_sms.line import Line, OnALine
from fernamt_sms.settings import SmsSettings

LINE = Line(SmsSettings(region="DE"), "+4930123456")


def to(scheme: str, value: str) -> OutboundMessage:
    return OutboundMessage(key="k", entry_key="k", attempt=1, to=Address(scheme, value), text="Hallo")


@pytest.mark.parametrize("value", ["+4915112345678", "72404"])
def test_a_number_as_those_have_it_who_write_to_us_is_a_recipient(value: str) -> None:
    assert LINE.recipient(to("phone", value)) == value


def test_of_a_line_nothing_is_looked_up_that_an_sms_cannot_say() -> None:
    assert not LINE.capabilities().threads


@pytest.mark.parametrize(
    "value", ["+49 151 12345678", "+4901511234567", "+49 (0)151 12345678", "0151 12345678", "004915112345678"]
)
def test_a_number_in_another_form_is_refused_for_its_stop_would_not_be_found(value: str) -> None:
    with pytest.raises(Rejected, match=r"not written as .* STOP"):
        LINE.recipient(to("phone", value))


@pytest.mark.parametrize(
    ("scheme", "value"), [("email", "ann@example.org"), ("sms", "MyBank"), ("tel", "+4915112345678")]
)
def test_what_is_no_number_is_no_recipient(scheme: str, value: str) -> None:
    with pytest.raises(Rejected):
        LINE.recipient(to(scheme, value))


class Counting(OnALine):
    def __init__(self, settings: SmsSettings, sender: str) -> None:
        self._line = Line(settings, sender)


@pytest.mark.parametrize(
    ("language", "value", "reason"),
    [
        ("en", "+4912", "the number cannot be right: it has no area code"),
        ("de", "+4912", "Die Nummer kann nicht stimmen: ihr fehlt die Ortsvorwahl"),
        ("en", "+12025550123", "networks in that country take no message under a name"),
    ],
)
def test_who_no_message_can_go_to_is_told_when_it_is_counted(
    language: Literal["en", "de"], value: str, reason: str
) -> None:
    with pytest.raises(Rejected, match=reason):
        Counting(SmsSettings(house_language=language), "MyShop").units(to("phone", value))


def test_a_message_under_a_name_that_the_provider_replaces_is_counted() -> None:
    line = Counting(SmsSettings(sender_is_replaced=True), "MyShop")

    assert line.units(to("phone", "+12025550123")) == 1
