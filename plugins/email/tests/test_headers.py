"""Header fields as they come: whatever they are, they are read and nothing raises."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fernamt_email.charset import decoded
from fernamt_email.headers import Headers, head


def headers(*lines: bytes) -> Headers:
    written = b"\r\n".join(lines) + b"\r\n\r\n"
    return head(written, 0, len(written))[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(b"Ihre Bestellung", "Ihre Bestellung", id="plain"),
        pytest.param(b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße", id="quoted"),
        pytest.param(b"=?iso-8859-1?q?Gr=FC=DFe_aus_K=F6ln?=", "Grüße aus Köln", id="latin"),
        pytest.param(b"=?utf-8?B?R3LDvMOf?= =?utf-8?B?ZQ==?=", "Grüße", id="two words"),
        pytest.param(b"=?utf-8?B?R3LD?=\r\n =?utf-8?B?vMOfZQ==?=", "Grüße", id="a letter cut in two"),
        pytest.param(b"Re: =?utf-8?Q?=C3=84rger?= again", "Re: Ärger again", id="words between text"),
        pytest.param("Grüße".encode(), "Grüße", id="bare utf-8"),
        pytest.param("Grüße =?utf-8?Q?=C3=9F?=".encode(), "Grüße ß", id="bare and encoded"),
        pytest.param(b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße", id="no padding"),
        pytest.param(b"=?utf-8?B?a?=", "a", id="base64 that is none"),
        pytest.param(b"=?utf-8*de?Q?Gr=C3=BC=C3=9Fe?=", "Grüße", id="with a language"),
        pytest.param(b"=?klingon?Q?Gr=C3=BC=C3=9Fe?=", "Grüße", id="no such charset"),
        pytest.param(b"=?unicode_escape?Q?=5Cx41?=", "\\x41", id="a codec that is no charset"),
        pytest.param(b"=?utf-8?Q?Was ist das??=", "Was ist das?", id="spaces and marks inside"),
        pytest.param(b"=?utf-8?Q?a?", "=?utf-8?Q?a?", id="never ended"),
        pytest.param(b"a\r\n  folded\r\n\tline", "a folded line", id="folded"),
        pytest.param(b"a\x00b\x07c", "a b c", id="control characters"),
        pytest.param(b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x", id="a line break inside"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_a_subject_is_read_as_its_writer_meant_it(written: bytes, expected: str) -> None:
    assert headers(b"Subject: " + written).text("subject") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(b"ann@example.org", [("", "ann@example.org")], id="bare"),
        pytest.param(b"Ann <ann@example.org>", [("Ann", "ann@example.org")], id="with a name"),
        pytest.param(b'"Lee, Ann" <ann@example.org>', [("Lee, Ann", "ann@example.org")], id="comma in the name"),
        pytest.param(b"=?utf-8?q?J=C3=B6rg=2C_M?= <j@example.org>", [("Jörg, M", "j@example.org")], id="encoded comma"),
        pytest.param("Jörg <j@example.org>".encode(), [("Jörg", "j@example.org")], id="bare utf-8"),
        pytest.param(b"ann @example.org", [("", "ann@example.org")], id="space inside"),
        pytest.param(b"Ann ann@example.org", [("Ann", "ann@example.org")], id="no brackets"),
        pytest.param(b"a@x.org, b@y.org", [("", "a@x.org"), ("", "b@y.org")], id="two"),
        pytest.param(b"undisclosed-recipients:;", [], id="nobody"),
        pytest.param(b"<>", [], id="empty"),
        pytest.param(b"(((((", [], id="broken"),
    ],
)
def test_addresses_are_found(written: bytes, expected: list[tuple[str, str]]) -> None:
    assert headers(b"From: " + written).addresses("from") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"<a@b>", ["<a@b>"]),
        (b"<a@b> <c@d>", ["<a@b>", "<c@d>"]),
        (b"<a@b>\r\n\t<c@d>", ["<a@b>", "<c@d>"]),
        (b"<a@b>,<c@d>", ["<a@b>", "<c@d>"]),
        (b"a@b c@d", ["<a@b>", "<c@d>"]),
        (b"Your message of Monday", []),
        (b"<a b@c>", []),
    ],
)
def test_ids_are_found(written: bytes, expected: list[str]) -> None:
    assert headers(b"References: " + written).ids("references") == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"Fri, 20 Nov 2026 11:00:00 +0100", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        (b"Fri, 20 Nov 2026 11:00:00 -0000", datetime(2026, 11, 20, 11, tzinfo=UTC)),
        (b"20 Nov 26 11:00 MEZ", datetime(2026, 11, 20, 11, tzinfo=UTC)),
        (b"yesterday", None),
        (b"Fri, 99 Nov 2026 11:00:00 +0100", None),
        (b"Fri, 31 Dec 9999 23:30:00 -2300", None),
        (b"", None),
    ],
)
def test_a_date_is_utc_or_missing(written: bytes, expected: datetime | None) -> None:
    assert headers(b"Date: " + written).date() == expected


@pytest.mark.parametrize(
    ("data", "declared", "expected"),
    [
        pytest.param("Straße".encode("cp1252"), "iso-8859-1", "Straße", id="latin 1"),
        pytest.param(b"\x84so\x93", "iso-8859-1", "„so“", id="the quotation marks of Windows"),
        pytest.param("Straße".encode(), "us-ascii", "Straße", id="ascii that is utf-8"),
        pytest.param("Straße".encode(), "us-ascii(sic)", "Straße", id="facetious"),
        pytest.param("你好".encode("gb18030"), "x-gbk", "你好", id="an alias"),
        pytest.param("你好".encode("gb18030"), "iso-gb2312", "你好", id="another alias"),
        pytest.param("コンニチハ".encode("iso2022_jp"), "ISO-2022-JP", "コンニチハ", id="japanese"),
        pytest.param("Straße".encode(), "x-unknown", "Straße", id="unknown"),
        pytest.param("Straße".encode(), "a\x00b", "Straße", id="no name at all"),
        pytest.param(b"abc", "zip", "abc", id="a codec for bytes"),
        pytest.param(b"abc", "punycode", "abc", id="a slow codec"),
    ],
)
def test_text_is_decoded_whatever_it_claims_to_be(data: bytes, declared: str, expected: str) -> None:
    assert decoded(data, declared) == expected


def test_text_in_no_known_charset_is_guessed() -> None:
    sentence = "Моя посылка до сих пор не пришла, пожалуйста, помогите мне. " * 4
    assert decoded(sentence.encode("cp1251"), "x-unknown") == sentence


@given(some.binary(max_size=300), some.text(max_size=30))
def test_no_bytes_in_no_charset_raise(data: bytes, declared: str) -> None:
    assert isinstance(decoded(data, declared), str)


@given(some.binary(max_size=300))
def test_no_field_raises(data: bytes) -> None:
    found = headers(b"Subject: " + data, b"From: " + data, b"References: " + data, b"Date: " + data)
    assert "\n" not in found.text("subject")
    assert all("@" in address for _, address in found.addresses("from"))
    assert all(one.startswith("<") for one in found.ids("references"))
    at = found.date()
    assert at is None or at.tzinfo is UTC
