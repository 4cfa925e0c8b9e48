"""Whom a message of any kind of line goes to."""

from __future__ import annotations

import pytest

from fernamt import Address, OutboundMessage, Rejected
from fernamt_sms.line import Line
from fernamt_sms.settings import SmsSettings

LINE = Line(SmsSettings(region="DE"))


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
