"""What a part costs: exact amounts, by the beginning of a number."""

from decimal import Decimal
from pathlib import Path

import pytest

from fernamt import Address, Price, Prices, channel_prices
from fernamt.settings import ConfigErrors, read_settings

SAID = {"currency": "EUR", "+49": "0.0750", "+4915": "0.08", "+": "0.15"}
PRICES = Prices.of(SAID)


@pytest.mark.parametrize(
    ("to", "beginning", "amount"),
    [
        ("phone:+493012345678", "+49", "0.0750"),
        ("phone:+4915112345678", "+4915", "0.08"),
        ("phone:+49", "+49", "0.0750"),
        ("phone:+12025550123", "+", "0.15"),
        ("whatsapp:+4915112345678", "+4915", "0.08"),
    ],
)
def test_the_longest_beginning_counts(to: str, beginning: str, amount: str) -> None:
    assert PRICES.of_part(Address.parse(to)) == Price(beginning, Decimal(amount), "EUR")


@pytest.mark.parametrize("to", ["phone:12345", "email:ann@example.org"])
def test_what_is_no_number_with_a_country_has_no_price(to: str) -> None:
    assert PRICES.of_part(Address.parse(to)) is None


def test_without_a_price_for_all_others_they_have_none() -> None:
    assert Prices.of({"currency": "EUR", "+49": "0.1"}).of_part(Address.parse("phone:+12025550123")) is None


def test_prices_are_listed_as_they_were_written_and_no_prices_are_none() -> None:
    assert [one.beginning for one in PRICES] == ["+49", "+4915", "+"]
    assert not Prices.of({})
    assert [*Prices.of({})] == []


def test_many_parts_cost_exactly_so_many_times_as_much() -> None:
    price = PRICES.of_part(Address.parse("phone:+493012345678"))
    assert price is not None
    assert str(price.amount * 1_000_000) == "75000.0000"


# ---- from the configuration
def configured(folder: Path, prices: str) -> Path:
    file = folder / "fernamt.toml"
    file.write_text(f'[channels.shop-sms]\nkind = "sms.http"\n[channels.shop-sms.prices]\n{prices}\n')
    return file


def test_a_channel_has_the_prices_of_its_section(tmp_path: Path) -> None:
    file = configured(tmp_path, 'currency = "EUR"\n"+49" = "0.0750"\n"+4915" = "0.08"\n"+" = "0.15"')
    assert channel_prices(file, "shop-sms") == PRICES
    assert read_settings(file).channels[0].options == {}


def test_a_channel_without_prices_has_none(tmp_path: Path) -> None:
    file = tmp_path / "fernamt.toml"
    file.write_text('[channels.shop-sms]\nkind = "sms.http"\n')
    assert not channel_prices(file, "shop-sms")
    with pytest.raises(ConfigErrors, match="no such channel"):
        channel_prices(file, "shop")


WRONG = {
    "no currency": ('"+49" = "0.1"', "needs a currency of three capital letters"),
    "a currency that is none": ('currency = "Euro"\n"+49" = "0.1"', "needs a currency of three capital letters"),
    "a number of TOML": ('currency = "EUR"\n"+49" = 0.1', "must be text"),
    "a comma": ('currency = "EUR"\n"+49" = "0,1"', "the price of '\\+49' is no amount: write it with a point"),
    "a debt": ('currency = "EUR"\n"+49" = "-0.1"', "the price of '\\+49' is no amount"),
    "nan": ('currency = "EUR"\n"+49" = "nan"', "the price of '\\+49' is no amount"),
    "a country": ('currency = "EUR"\nDE = "0.1"', "'DE' is no beginning of a number: write '\\+49', or '\\+'"),
    "no table": ('"+49" = ["0.1"]', "must be text"),
}


@pytest.mark.parametrize(("prices", "says"), WRONG.values(), ids=WRONG)
def test_a_table_that_is_wrong_is_refused_with_the_remedy(prices: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=says) as why:
        read_settings(configured(tmp_path, prices))
    assert "channels.shop-sms.prices" in str(why.value)
