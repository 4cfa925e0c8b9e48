"""What Outlook packs into a winmail.dat, written here byte by byte as the specification says."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fernamt_email.parse import parse
from fernamt_email.rtf import RAW_PREFIX, decompressed, html_of_rtf, text_of_rtf
from fernamt_email.tnef import SIGNATURE, Unpacked, unpacked

UNICODE, BINARY, STRING, LONG, OBJECT = 0x1F, 0x102, 0x1E, 0x03, 0x0D


def attribute(level: int, number: int, data: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def properties(*values: tuple[int, int, bytes]) -> bytes:
    done = struct.pack("<I", len(values))
    for name, kind, value in values:
        done += struct.pack("<HH", kind, name)
        if kind in (UNICODE, BINARY, STRING, OBJECT):
            done += struct.pack("<II", 1, len(value)) + value + b"\0" * (-len(value) % 4)
        else:
            done += value
    return done


def winmail(*attributes: bytes) -> bytes:
    return SIGNATURE + b"\x01\x00" + b"".join(attributes)


def file(name: str, data: bytes, *more: tuple[int, int, bytes]) -> bytes:
    named = properties((0x3707, UNICODE, f"{name}\0".encode("utf-16-le")), *more)
    return (
        attribute(2, 0x00069002, b"\x01\x00" + b"\0" * 12)
        + attribute(2, 0x00018010, b"SHORT~1.PDF\0")
        + attribute(2, 0x0006800F, data)
        + attribute(2, 0x00069005, named)
    )


CODEPAGE = attribute(1, 0x00069007, struct.pack("<II", 1252, 0))
WHOLE = winmail(
    attribute(1, 0x00089006, struct.pack("<I", 0x10000)),
    CODEPAGE,
    attribute(1, 0x00018004, b"Lampe f\xfcr K\xf6ln\0"),
    attribute(
        1,
        0x00069003,
        properties(
            (0x0E08, LONG, struct.pack("<I", 7)),
            (0x1000, UNICODE, "Die Lampe flackert.\r\nGrüße\0".encode("utf-16-le")),
        ),
    ),
    file("Rechnung März.pdf", b"%PDF-", (0x370E, UNICODE, "application/pdf\0".encode("utf-16-le"))),
    file("logo.png", b"\x89PNG", (0x3712, STRING, b"logo@here\0")),
)


def opened(data: bytes) -> Unpacked:
    found = unpacked(data)
    assert found is not None
    return found


def test_words_and_files_are_unpacked() -> None:
    found = opened(WHOLE)
    assert (found.subject, found.text) == ("Lampe für Köln", "Die Lampe flackert.\r\nGrüße")
    assert [(one.name, one.media_type, one.data, one.content_id) for one in found.files] == [
        ("Rechnung März.pdf", "application/pdf", b"%PDF-", ""),
        ("logo.png", "", b"\x89PNG", "logo@here"),
    ]


def test_a_mail_of_nothing_but_a_winmail_dat_is_read_as_its_writer_saw_it() -> None:
    head = b"From: ann@customer.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n\r\n"
    part = b"--x\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\r\n" + WHOLE + b"\r\n--x--"
    body = parse(head + part, key="k").body
    assert body.text == "Die Lampe flackert.\nGrüße"
    assert [(one.name, one.media_type) for one in body.files] == [
        ("Rechnung März.pdf", "application/pdf"),
        ("logo.png", "image/png"),
    ]


def test_the_words_beside_a_winmail_dat_count_before_those_in_it() -> None:
    head = b"From: ann@customer.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nbeside\r\n"
    part = b"--x\r\nContent-Type: application/octet-stream; name=WINMAIL.DAT\r\n\r\n" + WHOLE + b"\r\n--x--"
    body = parse(head + part, key="k").body
    assert (body.text, len(body.files)) == ("beside", 2)


def test_html_is_taken_as_it_is_and_rich_text_becomes_text() -> None:
    page = winmail(CODEPAGE, attribute(1, 0x00069003, properties((0x1013, BINARY, b"<p>T\xfcr</p>"))))
    rich = winmail(
        CODEPAGE, attribute(1, 0x00069003, properties((0x1009, BINARY, stored(b"{\\rtf1 T\\'fcr\\par zu}"))))
    )
    assert opened(page).html == "<p>Tür</p>"
    assert opened(rich).text == "Tür\nzu"


def test_a_mail_within_it_is_kept_with_its_files() -> None:
    inner = winmail(
        CODEPAGE,
        attribute(1, 0x00018004, b"Inner\0"),
        attribute(1, 0x0002800C, b"inner words\0"),
        file("deep.txt", b"deep"),
    )
    whole = winmail(
        attribute(2, 0x00069002, b"\0" * 14), attribute(2, 0x00069005, properties((0x3701, OBJECT, b"\0" * 16 + inner)))
    )  # fmt: skip
    found = opened(whole)
    assert [(one.name, one.data) for one in found.files] == [("Inner.txt", b"inner words"), ("deep.txt", b"deep")]


def test_mails_within_mails_end_somewhere() -> None:
    whole = winmail(attribute(1, 0x0002800C, b"words\0"))
    for _ in range(50):
        whole = winmail(
            attribute(2, 0x00069002, b""), attribute(2, 0x00069005, properties((0x3701, OBJECT, b"\0" * 16 + whole)))
        )
    assert unpacked(whole) is not None


def test_what_is_cut_off_is_read_as_far_as_it_came() -> None:
    for end in range(len(WHOLE)):
        found = unpacked(WHOLE[:end])
        assert found is None or all(one.data in WHOLE for one in found.files)
    assert unpacked(b"PK\x03\x04") is None


@given(some.binary(max_size=400), some.integers(0, len(WHOLE)))
def test_no_bytes_raise(dirt: bytes, at: int) -> None:
    unpacked(SIGNATURE + dirt)
    unpacked(WHOLE[:at] + dirt + WHOLE[at + len(dirt) :])


def stored(document: bytes) -> bytes:
    """Return a document in the form that holds it as it is (MS-OXRTFCP, 2.1.3.1)."""
    return struct.pack("<II4sI", len(document) + 12, len(document), b"MELA", 0) + document


def compressed(*runs: bytes, size: int) -> bytes:
    content = b"".join(runs)
    return struct.pack("<II4sI", len(content) + 12, size, b"LZFu", 0) + content


def test_a_document_that_was_not_compressed_is_itself() -> None:
    assert decompressed(stored(b"{\\rtf1 a}")) == b"{\\rtf1 a}"


def test_the_example_of_the_specification_is_decompressed() -> None:
    # MS-OXRTFCP, 4.1.1: the document is hello world with the prefix that every reader knows.
    data = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert decompressed(data) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_a_reference_may_reach_into_what_it_writes() -> None:
    # MS-OXRTFCP, 4.1.2: a run that is longer than what it refers to.
    data = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert decompressed(data) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


def test_the_known_beginning_is_as_long_as_the_specification_says() -> None:
    assert len(RAW_PREFIX) == 207


def test_a_small_document_cannot_become_a_large_one() -> None:
    bomb = compressed(b"\xff" + b"\x00\x0f" * 8, size=0xFFFFFFFF) + (b"\xff" + b"\x00\x1f" * 8) * 200_000
    assert len(decompressed(bomb, max_bytes=100_000)) <= 100_000
    assert decompressed(b"") == b""
    assert decompressed(compressed(size=9)) == b""


@given(some.binary(max_size=200))
def test_no_compressed_bytes_raise(dirt: bytes) -> None:
    decompressed(compressed(dirt, size=10_000))
    text_of_rtf(b"{\\rtf1 " + dirt)
    html_of_rtf(b"{\\rtf1\\fromhtml1 " + dirt)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param(rb"{\rtf1 a\par b\line c\tab d}", "a\nb\nc\td", id="lines"),
        pytest.param(rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator x}{\info{\title no}}words}", "words", id="what is no text"),
        pytest.param(rb"{\rtf1\ansicpg1251 \'cf\'f0\'e8}", "При", id="a code page"),
        pytest.param(rb"{\rtf1\uc1 \u8364?5 \u-10179?\u-8704?}", "€5 😀", id="letters beyond the code page"),
        pytest.param(rb"{\rtf1\uc0 \u228 b}", "äb", id="no stand-ins"),
        pytest.param(rb"{\rtf1 a\{b\}\\c\~d\_e}", "a{b}\\c\xa0d-e", id="escapes"),
        pytest.param(rb"{\rtf1 }}}}words", "words", id="braces too many"),
        pytest.param(rb"no document", "", id="something else"),
    ],
)  # fmt: skip
def test_rich_text_is_read(source: bytes, text: str) -> None:
    assert text_of_rtf(source) == text


def test_the_page_from_which_rich_text_was_made_is_found() -> None:
    source = rb"{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\b \htmlrtf0 T\'fcr\htmlrtf \par }\htmlrtf0 {\*\htmltag72 </p>}}"
    assert html_of_rtf(source) == "<p>Tür</p>"
    assert html_of_rtf(rb"{\rtf1 a}") == ""
