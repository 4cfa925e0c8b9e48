"""Which numbers pass, in which form, and what is said of the others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from fernamt import Address, Rejected
from fernamt_sms import number as number_module
from fernamt_sms.number import NAME_SCHEME, SCHEME, is_name, recipient, refuse_name, sender, zones

RIGHT = {
    ("+4930123456", ""): "+4930123456",
    (" +49 (0)30 / 123-456 ", ""): "+4930123456",
    ("0049 30 123456", ""): "+4930123456",
    ("030 123456", "DE"): "+4930123456",
    ("(202) 555-0123", "US"): "+12025550123",
    ("011 49 30 123456", "US"): "+4930123456",
    ("+43 1 58858", "DE"): "+43158858",
    ("72404", ""): "72404",
    ("110110", "DE"): "110110",
}

WRONG = {
    ("030 123456", ""): r"no country code: write it as \+49\.\.\.",
    ("+999 123456", "DE"): "no such country code",
    ("+1555", ""): "too short for its country",
    ("+1 202 555 01234", ""): "too long for its country",
    ("+44 20", "DE"): "too short",
    ("5550123", "US"): "no area code",
    ("+49 30 123456 ext. 7", ""): "has an extension",
    ("Vodafone", "DE"): "no telephone number",
    ("", "DE"): "no telephone number",
    ("+49\n30123456", "DE"): "no telephone number",
    ("+4930123456&to=+49900", "DE"): "no telephone number",
}


@pytest.mark.parametrize(("written", "number"), RIGHT.items())
def test_a_number_goes_out_in_one_form(written: tuple[str, str], number: str) -> None:
    assert recipient(*written) == number


@pytest.mark.parametrize(("written", "why"), WRONG.items())
def test_what_cannot_be_a_number_is_refused_with_the_reason(written: tuple[str, str], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        recipient(*written)


CAME = {
    ("+4930123456", "", False): "phone:+4930123456",
    ("4930123456", "", True): "phone:+4930123456",
    ("030123456", "DE", True): "phone:+4930123456",
    ("0049 30 123456", "", False): "phone:+4930123456",
    ("72404", "", True): "phone:72404",
    ("Vodafone", "DE", True): "sms:Vodafone",
    ("N26", "", False): "sms:N26",
    ("030123456", "", False): "phone:030123456",
    ("", "", False): "sms:unknown",
}


def test_a_number_in_full_is_what_the_library_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(1)
    numbers = [
        f"+{country}{first}{dice.randrange(10 ** (length - 1)):0{length - 1}}"
        for country in COUNTRY_CODE_TO_REGION_CODE
        for length in range(5, 13)
        for first in (dice.randrange(10), dice.randrange(2, 10))
    ]

    def read(number: str) -> str:
        try:
            return recipient.__wrapped__(number, "")
        except Rejected as why:
            return why.reason

    at_a_glance, plain = [read(one) for one in numbers], [number_module._is_plain(one) for one in numbers]
    monkeypatch.setattr(number_module, "_is_plain", lambda _: False)
    assert at_a_glance == [read(one) for one in numbers]
    assert len(numbers) * 2 // 3 > sum(plain) > len(numbers) // 5


@pytest.mark.parametrize(("came", "address"), CAME.items())
def test_whoever_wrote_has_an_address(came: tuple[str, str, bool], address: str) -> None:
    value, region, international = came

    assert str(sender(value, region, international=international)) == address


@given(st.text(max_size=30), st.sampled_from(["", "DE", "US"]), st.booleans())
def test_whatever_a_provider_says_is_an_address_and_the_same_one_again(value: str, region: str, plus: bool) -> None:
    found = sender(value, region, international=plus)

    assert Address.parse(str(found)) == found
    assert sender(found.value, region) == found or found.scheme == "sms"


@pytest.mark.parametrize(
    ("value", "name"),
    [("ACME", True), ("Acme 24-7", True), ("123", False), ("+49ABC", False), ("TwelveLetter", False), ("Größe", False)],
)
def test_a_name_is_up_to_eleven_letters_and_digits(value: str, name: bool) -> None:
    assert is_name(value) == name


@pytest.mark.parametrize("to", ["+4930123456", "+447911123456", "72404"])
def test_names_pass_where_they_are_shown(to: str) -> None:
    refuse_name(to)


@pytest.mark.parametrize("to", ["+12025550123", "+14165550123", "+17875550123"], ids=["US", "CA", "PR"])
def test_names_are_refused_where_no_network_takes_them(to: str) -> None:
    with pytest.raises(Rejected, match="networks in that country take no message under a name"):
        refuse_name(to)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (Address(SCHEME, "+4915112345678"), ("Europe/Berlin",)),
        (Address(SCHEME, "+12125551234"), ("America/New_York",)),
        (Address(SCHEME, "72345"), ()),
        (Address(SCHEME, "+499"), ()),
        (Address(NAME_SCHEME, "Bank"), ()),
    ],
)
def test_a_number_says_in_which_time_zones_whoever_has_it_may_be(address: Address, found: tuple[str, ...]) -> None:
    assert zones(address) == found
