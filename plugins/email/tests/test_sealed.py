"""S/MIME in one lump, written here byte by byte: with lengths that are known, and with those that a stream writes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fernamt_email.parse import parse
from fernamt_email.sealed import cleartext, content_of_signed

INNER = "Content-Type: text/plain; charset=utf-8\r\n\r\nBitte kündigen.\r\n".encode()
SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
DATA = bytes.fromhex("06092a864886f70d010701")
ENVELOPED = bytes.fromhex("06092a864886f70d010703")


def der(tag: int, *values: bytes) -> bytes:
    content = b"".join(values)
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def stream(tag: int, *values: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(values) + b"\0\0"


ALGORITHMS = der(0x31, der(0x30, bytes.fromhex("0609608648016503040201")))
KNOWN = der(
    0x30,
    SIGNED_DATA,
    der(0xA0, der(0x30, b"\x02\x01\x01", ALGORITHMS, der(0x30, DATA, der(0xA0, der(0x04, INNER))), der(0x31))),
)
PIECES = stream(0x24, der(0x04, INNER[:20]), der(0x04, INNER[20:]))
STREAMED = stream(
    0x30,
    SIGNED_DATA,
    stream(0xA0, stream(0x30, b"\x02\x01\x01", ALGORITHMS, stream(0x30, DATA, stream(0xA0, PIECES)), der(0x31))),
)
DETACHED = der(0x30, SIGNED_DATA, der(0xA0, der(0x30, b"\x02\x01\x01", ALGORITHMS, der(0x30, DATA), der(0x31))))


def mail(content: bytes, kind: str) -> bytes:
    head = f"From: ann@customer.example\r\nContent-Type: application/pkcs7-mime; {kind}name=smime.p7m\r\n"
    return head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)


@pytest.mark.parametrize("content", [pytest.param(KNOWN, id="known lengths"), pytest.param(STREAMED, id="a stream")])
@pytest.mark.parametrize("kind", ["smime-type=signed-data; ", ""])
def test_what_was_only_signed_is_read_and_the_signature_stays_a_file(content: bytes, kind: str) -> None:
    body = parse(mail(content, kind), key="k").body
    assert (body.text, body.marks) == ("Bitte kündigen.\n", ("signed",))
    assert [(file.name, file.data) for file in body.files] == [("smime.p7m", content)]


@pytest.mark.parametrize(
    ("content", "kind", "marks"),
    [
        pytest.param(der(0x30, ENVELOPED, der(0xA0)), "smime-type=enveloped-data; ", ("encrypted",), id="encrypted"),
        pytest.param(der(0x30, ENVELOPED, der(0xA0)), "", ("encrypted",), id="encrypted and not declared"),
        pytest.param(DETACHED, "smime-type=signed-data; ", ("signed",), id="a signature without its words"),
        pytest.param(KNOWN[:40], "smime-type=signed-data; ", ("signed",), id="cut off"),
        pytest.param(b"x", "smime-type=compressed-data; ", (), id="compressed"),
    ],
)
def test_what_cannot_be_opened_stays_a_file(content: bytes, kind: str, marks: tuple[str, ...]) -> None:
    body = parse(mail(content, kind), key="k").body
    assert body.marks == marks
    assert [file.data for file in body.files] == [content]
    assert ("verschlüsselt" in body.text) is ("encrypted" in marks)


def test_a_lump_within_a_lump_within_a_lump_ends_somewhere() -> None:
    content = KNOWN
    for _ in range(6):
        content = content.replace(INNER, mail(content, ""))
        parse(mail(content, ""), key="k")


@given(some.binary(max_size=200), some.integers(0, len(STREAMED)))
def test_no_bytes_raise(dirt: bytes, at: int) -> None:
    content_of_signed(STREAMED[:at] + dirt + STREAMED[at + len(dirt) :])
    content_of_signed(SIGNED_DATA + DATA + dirt)
    cleartext("-----BEGIN PGP SIGNED MESSAGE-----\n\n" + dirt.decode("latin-1") + "\n-----END PGP SIGNATURE-----")
