"""A provider's JSON is read field by field, and never says in a reason what a customer wrote."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import Ignored, Unparsable, Unparsed
from fernamt_sms.reading import Said, Wrong, document, events, picture

WRONG: dict[str, tuple[Any, str, Any, str]] = {
    "nothing": ({}, "text", "a", "a is missing"),
    "null": ({"a": None}, "text", "a", "a is missing"),
    "a list for a text": ({"a": ["geheim"]}, "text", "a", "a is no text"),
    "a yes for a text": ({"a": True}, "text", "a", "a is no text"),
    "an empty text": ({"a": ""}, "needed", "a", "a is empty"),
    "no count": ({"a": "0"}, "count", "a", "a is no number from 1 to 255"),
    "too large a count": ({"a": "256"}, "count", "a", "a is no number from 1 to 255"),
    "another script's digit": ({"a": "٣"}, "count", "a", "a is no number from 1 to 255"),
    "a text for an object": ({"a": "geheim"}, "within", "a", "an element that is no object"),
    "a text for a list": ({"a": "geheim"}, "each", "a", "a is no list"),
    "a text in a list": ({"a": ["geheim"]}, "each", "a", "an element that is no object"),
}


@pytest.mark.parametrize(("fields", "how", "name", "says"), WRONG.values(), ids=WRONG)
def test_what_stands_there_wrongly_is_named_and_not_quoted(fields: Any, how: str, name: str, says: str) -> None:
    with pytest.raises(Wrong) as why:
        getattr(Said(fields), how)(name)
    assert str(why.value) == says


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-11-30T12:00:00.574Z", datetime(2026, 11, 30, 12, 0, 0, 574_000, UTC)),
        ("2026-11-30T13:00:00+01:00", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("2026-11-30T13:00:00.000+0100", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("2026-11-30 12:00:00", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        ("soon", None),
        (12, None),
        ("0001-01-01T00:00:00+14:00", None),
        (None, None),
    ],
)
def test_a_time_is_in_utc_or_none(said: Any, at: datetime | None) -> None:
    assert Said({"at": said}).moment("at") == at


def test_one_bad_element_is_kept_with_its_bytes_and_spoils_nothing() -> None:
    found = events([{"a": "1"}, "geheim", {"a": "3"}], lambda said: [Ignored(reason=said.text("a"))])
    assert [type(one) for one in found] == [Ignored, Unparsed, Ignored]
    assert isinstance(found[1], Unparsed)
    assert (found[1].raw, found[1].reason) == (b'"geheim"', "an element that is no object")


def test_what_is_no_json_is_unparsable() -> None:
    with pytest.raises(Unparsable, match="no JSON"):
        document(b"{")


@pytest.mark.parametrize(
    ("ref", "media_type", "name", "kind"),
    [
        ("https://x.example/a", "image/jpeg; q=1", "m1-2.jpg", "image/jpeg"),
        ("https://x.example/a.png?token=1", "", "m1-2.png", "image/png"),
        ("https://x.example/a", "", "m1-2.bin", "application/octet-stream"),
    ],
)
def test_a_picture_has_a_name_and_a_type(ref: str, media_type: str, name: str, kind: str) -> None:
    found = picture("m1", 2, ref, media_type)
    assert (found.name, found.media_type) == (name, kind)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(_VALUES)
def test_nothing_but_wrong_comes_of_any_value(value: Any) -> None:
    said = Said({"a": value})
    for read in (said.text, said.needed, said.count, said.within, said.each, said.moment, lambda it: said.who(it, "")):
        with contextlib.suppress(Wrong):
            read("a")
