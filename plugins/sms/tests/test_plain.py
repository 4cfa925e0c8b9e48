"""What is written in plain, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt_sms.plain import Plain, Replacement, plain
from fernamt_sms.text import Encoding, encoding_of, segment

LONG = " Die Lieferung kommt am Dienstag zwischen acht und zwölf Uhr zu Ihnen, bitte öffnen."

WRITTEN = {
    "„Größe 38“": '"Größe 38"',
    "‚so’ und ´so`": "'so' und 'so'",
    "9–12 — oder −3": "9-12 - oder -3",
    "Moment…": "Moment...",
    "10\u00a0€\tbar": "10 € bar",
    "weich\u00adma\u200bcher\ufeff": "weichmacher",
    "• eins\u2028• zwei": "- eins\n- zwei",
    "a\u0308o\u0308u\u0308": "äöü",
    "50\u2126 A\u030angstro\u0308m": "50Ω Ångström",
}


@pytest.mark.parametrize(("typed", "written"), WRITTEN.items(), ids=WRITTEN.values())
def test_typographic_characters_are_written_in_plain_where_that_saves_a_part(typed: str, written: str) -> None:
    assert encoding_of(typed) is Encoding.UCS2
    assert plain(typed + LONG).text == written + LONG
    assert encoding_of(written) is Encoding.GSM


KEPT = {
    "it is one part in any case": "„Hallo“",
    "an emoji needs UCS-2 in any case": f"„Hallo“ 👋{LONG}",
    "a name keeps its marks": f"Frau Şahin–Łoś{LONG}",
    "a joiner holds an emoji together": f"👩‍🔧 – wir kommen{LONG}",
    "it would have more parts": "…" * 70,
    "it is plain already": f"Hallo{LONG}",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_where_it_saves_nothing_the_text_stays(text: str) -> None:
    assert plain(text) == Plain(text=text)


def test_what_was_replaced_is_said() -> None:
    assert plain(f"„Ja“ – „nein“{LONG}").replaced == (
        Replacement(old="„", new='"', count=2),
        Replacement(old="“", new='"', count=2),
        Replacement(old="–", new="-", count=1),
    )


@given(st.text(st.one_of(st.sampled_from("a„“…–\u00a0ж👋"), st.characters()), max_size=300))
def test_it_never_makes_a_message_longer(text: str) -> None:
    found = plain(text)

    assert len(segment(found.text).parts) <= len(segment(text).parts)
    assert (found.text == text) == (found.replaced == ())


@given(st.text(st.sampled_from("ab„“…–€\u00a0ж👋"), max_size=300), st.text(st.sampled_from("a…–👋"), max_size=300))
def test_a_longer_text_never_has_fewer_parts_in_plain(text: str, more: str) -> None:
    assert len(segment(plain(text).text).parts) <= len(segment(plain(text + more).text).parts)
