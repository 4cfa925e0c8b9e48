"""The reasons that agents read, in their own language."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import fernamt_sms
from fernamt import NeedsLogin, Receipt, Rejected, Throttled
from fernamt_sms.answer import of_status
from fernamt_sms.german import GERMAN, speaking, spoken
from fernamt_sms.twilio.events import receipt

SOURCES = Path(fernamt_sms.__file__).parent


def sentences() -> set[str]:
    """Return every sentence that stands in a table of meanings."""
    return {
        one
        for kind in ("twilio", "vonage", "telnyx", "sinch", "infobip", "messagebird", "kannel", "http", "smpp")
        for file in (SOURCES / kind).glob("*.py")
        for one in said_in(file)
    }


def said_in(file: Path) -> set[str]:
    """Return what ``Meaning`` is given in a module."""
    calls = [one for one in ast.walk(ast.parse(file.read_text())) if isinstance(one, ast.Call)]
    meanings = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id == "Meaning"]
    return {
        one.args[1].value
        for one in meanings
        if isinstance(one.args[1], ast.Constant) and isinstance(one.args[1].value, str)
    }


def test_every_reason_of_a_table_has_its_german_and_none_is_left_over() -> None:
    said = sentences()
    assert len(said) > 100
    assert said - GERMAN.keys() == set()
    code = "".join(file.read_text() for file in SOURCES.rglob("*.py") if not file.name.startswith("german"))
    lost = [one for one in GERMAN if one not in code and one.partition(": ")[2] not in code]
    assert lost == []


@pytest.mark.parametrize("english", GERMAN)
def test_german_begins_large_and_ends_without_a_full_stop(english: str) -> None:
    assert GERMAN[english][0].isupper()
    assert not GERMAN[english].endswith(".")


def test_a_reason_is_said_in_the_house_language_with_its_code() -> None:
    with pytest.raises(NeedsLogin) as why, speaking("de"):
        raise NeedsLogin("the account at Twilio is suspended", code="30002")
    assert (why.value.reason, str(why.value)) == (
        "Das Konto bei Twilio ist gesperrt",
        "Das Konto bei Twilio ist gesperrt (30002)",
    )
    with pytest.raises(Throttled, match="more messages than Kannel takes"), speaking("en"):
        raise Throttled("more messages than Kannel takes", after_s=1.0)
    with pytest.raises(Rejected, match="nobody translated this"), speaking("de"):
        raise Rejected("nobody translated this")


def test_a_receipt_says_its_reason_in_the_house_language() -> None:
    [found] = spoken([receipt("SM1", "failed", "30003")], "de")
    assert isinstance(found, Receipt)
    assert str(found.error) == "Das Telefon ist aus oder nicht erreichbar (30003)"
    [same] = spoken([receipt("SM1", "failed", "30003")], "en")
    assert isinstance(same, Receipt)
    assert str(same.error) == "the telephone is off or out of reach (30003)"


@pytest.mark.parametrize("who", ["Vonage", "Telnyx", "Sinch", "Infobip", "Bird"])
@pytest.mark.parametrize("status", [302, 400, 401, 402, 408, 429, 500])
def test_what_a_status_of_http_means_has_its_german_for_every_provider(who: str, status: int) -> None:
    assert of_status(status, who).says in GERMAN
