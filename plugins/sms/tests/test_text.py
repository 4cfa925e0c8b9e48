"""How long a text is, where it is split, and which octets go out."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from fernamt_sms.alphabet import SEPTETS, foreign, from_septets, to_septets
from fernamt_sms.text import Encoding, ReferenceBits, capacity, encoding_of, header, octets, segment, units_of

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "🇩🇪"
DECOMPOSED = "z\u0308"

LENGTHS: dict[str, tuple[str, Encoding, int, int]] = {
    "nothing": ("", Encoding.GSM, 1, 160),
    "a full part": ("a" * 160, Encoding.GSM, 1, 0),
    "one too many": ("a" * 161, Encoding.GSM, 2, 145),
    "two full parts": ("a" * 306, Encoding.GSM, 2, 0),
    "three parts": ("a" * 307, Encoding.GSM, 3, 152),
    "80 pairs": ("€" * 80, Encoding.GSM, 1, 0),
    "81 pairs": ("€" * 81, Encoding.GSM, 2, 143),
    "a pair at the edge": ("a" * 152 + "€" + "b" * 8, Encoding.GSM, 2, 143),
    "every letter of the alphabet": ("".join(SEPTETS), Encoding.GSM, 1, 160 - 147),
    "a tab": ("\t", Encoding.UCS2, 1, 69),
    "a small cedilla": ("ç", Encoding.UCS2, 1, 69),
    "a large cedilla": ("Ç", Encoding.GSM, 1, 159),
    "a full part of Cyrillic": ("ж" * 70, Encoding.UCS2, 1, 0),
    "one too many in Cyrillic": ("ж" * 71, Encoding.UCS2, 2, 63),
    "35 emoji": ("👋" * 35, Encoding.UCS2, 1, 0),
    "36 emoji": ("👋" * 36, Encoding.UCS2, 2, 61),
    "a pair of surrogates at the edge": ("ж" * 66 + "👋" + "ж" * 3, Encoding.UCS2, 2, 62),
}


@pytest.mark.parametrize(("text", "encoding", "parts", "left"), LENGTHS.values(), ids=LENGTHS)
def test_a_text_has_as_many_parts_as_a_provider_charges(text: str, encoding: Encoding, parts: int, left: int) -> None:
    found = segment(text)

    assert (found.encoding, len(found.parts), found.left) == (encoding, parts, left)
    assert "".join(found.parts) == text


WHOLE = {
    "an escape pair": ("a" * 152, "€", "b" * 20),
    "a surrogate pair": ("ж" * 66, "👋", "ж" * 20),
    "a family": ("ж" * 60, FAMILY, "ж" * 20),
    "a flag": ("ж" * 65, FLAG, "ж" * 20),
    "a letter and its mark": ("ж" * 66, DECOMPOSED, "ж" * 20),
    "a hand and its colour": ("ж" * 64, "👋🏽", "ж" * 20),
    "a key cap": ("ж" * 65, "1\ufe0f\u20e3", "ж" * 20),
    "the end of a line": ("ж" * 66, "\r\n", "ж" * 20),
}


@pytest.mark.parametrize(("before", "whole", "behind"), WHOLE.values(), ids=WHOLE)
def test_what_is_seen_as_one_character_goes_whole_into_the_next_part(before: str, whole: str, behind: str) -> None:
    assert segment(before + whole + behind).parts == (before, whole + behind)


def test_what_is_longer_than_a_part_and_seen_as_one_character_is_split_between_its_code_points() -> None:
    tower = "z" + "\u0335" * 200

    found = segment("ж" * 66 + tower)

    assert [units_of(part, found.encoding) for part in found.parts] == [67, 67, 67, 66]
    assert "".join(found.parts) == "ж" * 66 + tower


CAPACITIES: list[tuple[Encoding, ReferenceBits | None, int]] = [
    (Encoding.GSM, None, 160),
    (Encoding.GSM, 8, 153),
    (Encoding.GSM, 16, 152),
    (Encoding.UCS2, None, 70),
    (Encoding.UCS2, 8, 67),
    (Encoding.UCS2, 16, 66),
]


@pytest.mark.parametrize(("encoding", "bits", "units"), CAPACITIES)
def test_a_header_takes_its_room(encoding: Encoding, bits: ReferenceBits | None, units: int) -> None:
    beside = 0 if bits is None else len(header(0, 2, 1, reference_bits=bits))

    assert capacity(encoding, header_octets=beside) == units


def test_the_octets_are_those_that_kannel_sends() -> None:
    # As its sendsms was seen to encode the same words.
    assert to_septets("Grüße €[]").hex(" ") == "47 72 7e 1e 65 20 1b 65 1b 3c 1b 3e"


def test_a_single_part_has_no_header() -> None:
    assert octets(segment("Hä"), reference=7) == (b"H\x7b",)
    assert octets(segment("ж👋"), reference=7) == (bytes.fromhex("0436 d83d dc4b"),)


def test_each_of_several_parts_says_which_it_is() -> None:
    first, second = octets(segment("a" * 161), reference=0x12A)

    assert first == bytes([5, 0, 3, 0x2A, 2, 1]) + b"a" * 153
    assert second == bytes([5, 0, 3, 0x2A, 2, 2]) + b"a" * 8


def test_a_long_reference_takes_two_octets() -> None:
    first, _ = octets(segment("ж" * 71, reference_bits=16), reference=0x1_012A)

    assert first == bytes([6, 8, 4, 0x01, 0x2A, 2, 1]) + "ж".encode("utf-16-be") * 66


def test_without_a_reference_parts_have_no_header() -> None:
    assert octets(segment("a" * 161), reference=None) == (b"a" * 153, b"a" * 8)


def test_more_parts_than_a_header_can_count_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 255 parts, and this one has 256"):
        octets(segment("a" * (153 * 255 + 1)), reference=1)


def test_what_the_alphabet_lacks_is_named_once() -> None:
    assert foreign("„a“ – „b“") == "„“–"
    with pytest.raises(ValueError, match="no U\\+201E"):
        to_septets("„a“")


@pytest.mark.parametrize(
    ("octets_", "text"),
    [
        (b"\x00\x1be", "@€"),
        (b"a\x1b", "a "),
        (b"\x1b\x1ba", " a"),
        (b"\x1ba", "a"),
        (b"\xe1", "a"),
    ],
    ids=["both tables", "an escape at the end", "two escapes", "an unknown escape", "a set eighth bit"],
)
def test_septets_that_nobody_should_write_are_read_as_the_standard_asks(octets_: bytes, text: str) -> None:
    assert from_septets(octets_) == text


_GSM = st.text(st.sampled_from(sorted(SEPTETS)), max_size=400)
_ANY = st.text(st.one_of(st.sampled_from("aж👋€\u0308\u200d\u200c🇩🇪👩🏽\r\n\ufe0f"), st.characters()), max_size=400)


@given(_GSM)
def test_whatever_is_written_in_the_alphabet_is_read_the_same(text: str) -> None:
    assert from_septets(to_septets(text)) == text


@given(st.one_of(_GSM, _ANY), st.sampled_from([8, 16]))
def test_parts_are_the_text_and_fit_and_none_could_begin_earlier(text: str, bits: ReferenceBits) -> None:
    found = segment(text, reference_bits=bits)
    sent = octets(found, reference=1)

    assert "".join(found.parts) == text
    assert sum(units_of(part, found.encoding) for part in found.parts) == found.units
    if found.encoding is Encoding.UCS2:
        assert all(len(part) <= 140 for part in sent)
    room = capacity(found.encoding, header_octets=len(header(1, 1, 1, reference_bits=bits)))
    for part, following in zip(found.parts, found.parts[1:], strict=False):
        whole = regex.match(r"\X", following)
        assert whole is not None
        assert units_of(part, found.encoding) <= room < units_of(part + whole[0], found.encoding)


@given(_ANY, _ANY)
def test_a_longer_text_never_has_fewer_parts(text: str, more: str) -> None:
    assert len(segment(text).parts) <= len(segment(text + more).parts)


@given(_ANY)
def test_the_encoding_is_the_alphabet_exactly_if_it_has_every_character(text: str) -> None:
    assert (encoding_of(text) is Encoding.GSM) == (foreign(text) == "")
