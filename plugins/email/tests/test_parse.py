"""Whole mails: German and English, nested, broken, hostile."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fernamt import Unparsable
from fernamt_email.parse import Mail, event_key, parse


def read(raw: bytes) -> Mail:
    return parse(raw, key=event_key(raw))


def mail(text: str, charset: str = "utf-8") -> bytes:
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode(charset)


ORDER = """
    From: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <Joerg@customer.test>
    To: Support <support@example.org>, Ann <ann@customer.test>
    Cc: bob@customer.test
    Subject: =?utf-8?q?Lieferung_f=C3=BCr_K=C3=B6ln?=
    Date: Fri, 20 Nov 2026 11:00:00 +0100
    Message-ID: <order-1@customer.test>
    In-Reply-To: <reply-9@example.org> <reply-8@example.org>
    References: <reply-1@example.org> <reply-5@example.org>
      <reply-9@example.org>
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 8bit

    Guten Tag,

    wo bleibt mein Paket?
    """


def test_a_plain_mail_is_read() -> None:
    found = read(mail(ORDER))
    assert found.id == "<order-1@customer.test>"
    assert (found.sender, found.sender_name) == ("Joerg@customer.test", "Jörg Müller")
    assert found.recipients == ("support@example.org", "ann@customer.test", "bob@customer.test")
    assert found.subject == "Lieferung für Köln"
    assert found.at == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert found.body.text == "Guten Tag,\n\nwo bleibt mein Paket?\n"
    assert not found.automatic


def test_what_a_mail_answers_is_named_nearest_first() -> None:
    assert read(mail(ORDER)).references == (
        "<reply-9@example.org>",
        "<reply-8@example.org>",
        "<reply-5@example.org>",
        "<reply-1@example.org>",
    )


def test_where_a_mail_arrived_counts_before_whom_it_names() -> None:
    raw = b"Delivered-To: support+c1@example.org\r\nX-Original-To: support+c2@example.org\r\n" + mail(ORDER)
    assert read(raw).arrived_for[:3] == ("support+c1@example.org", "support+c2@example.org", "support@example.org")


BODIES = [
    pytest.param(
        "Content-Type: text/plain; charset=iso-8859-1\n\nGrüße aus Köln", "latin-1", "Grüße aus Köln", id="8 bit"
    ),
    pytest.param("Content-Type: text/plain\n\nGrüße", "utf-8", "Grüße", id="no charset"),
    pytest.param("Content-Type: text/plain; charset=wingdings\n\nGrüße", "utf-8", "Grüße", id="no such charset"),
    pytest.param("X-No: type\n\nHello", "ascii", "Hello", id="no content type"),
    pytest.param("Content-Type: rubbish\n\nHello", "ascii", "Hello", id="broken content type"),
    pytest.param(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe=\n!",
        "ascii",
        "Grüße!",
        id="quoted-printable",
    ),
    pytest.param(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQ",
        "ascii",
        "Grüße",
        id="base64 without its end",
    ),
    pytest.param("Content-Type: text/plain\n\na\x00b\x0bc", "ascii", "abc", id="control characters"),
    pytest.param(
        "Content-Type: text/html; charset=utf-8\n\n<p>Guten Tag</p><ul><li>eins</li><li>zwei</li></ul><script>x()</script>",
        "utf-8",
        "Guten Tag\n\n* eins\n* zwei",
        id="html alone",
    ),
    pytest.param("Content-Type: text/html\n\n", "utf-8", "", id="empty html"),
    pytest.param("Content-Type: text/html\n\n<<p>a<b", "utf-8", "<\n\na", id="broken html"),
    pytest.param(
        "Content-Type: multipart/alternative; boundary=x\n\n"
        "--x\nContent-Type: text/plain\n\nplain words\n--x\nContent-Type: text/html\n\n<b>rich words</b>\n--x--",
        "utf-8",
        "plain words",
        id="alternatives",
    ),
    pytest.param(
        "Content-Type: multipart/alternative; boundary=x\n\n"
        "--x\nContent-Type: text/plain\n\n \n--x\nContent-Type: text/html\n\n<b>rich words</b>\n--x--",
        "utf-8",
        "rich words",
        id="a blank alternative",
    ),
    pytest.param(
        "Content-Type: multipart/mixed; boundary=x\n\n"
        "--x\nContent-Type: text/plain\n\nfirst\n--x\nContent-Type: text/html\n\n<p>second</p>\n--x--",
        "utf-8",
        "first\n\nsecond",
        id="two parts to be read",
    ),
    pytest.param(
        "Content-Type: multipart/signed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=y\n\n"
        "--y\nContent-Type: text/plain\n\ndeep inside\n--y--\n--x\nContent-Type: application/pgp-signature\n\nabc\n--x--",
        "utf-8",
        "deep inside",
        id="nested and signed",
    ),
    pytest.param(
        "Content-Type: multipart/mixed; boundary=x\n\nno boundary ever comes", "utf-8", "no boundary ever comes", id="lost boundary"
    ),
    pytest.param(
        "Content-Type: multipart/mixed\n\nno boundary is named", "utf-8", "no boundary is named", id="no boundary"
    ),
    pytest.param(
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\ncut off", "utf-8", "cut off", id="cut off"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "charset", "text"), BODIES)
def test_the_words_of_a_mail_are_found(content: str, charset: str, text: str) -> None:
    found = read(b"From: ann@customer.test\r\n" + mail(content, charset))
    assert found.body.text.strip() == text


def test_html_is_handed_over_as_it_came() -> None:
    found = read(b"Content-Type: text/html\r\n\r\n<p onclick=x()>Hi</p>")
    assert found.body.html == "<p onclick=x()>Hi</p>"


def test_plain_parts_beside_html_stay_readable_in_it() -> None:
    raw = mail("""
        Content-Type: multipart/mixed; boundary=x

        --x
        Content-Type: text/html

        <p>rich</p>
        --x
        Content-Type: text/plain

        a < b
        --x--
        """)
    assert "<pre>a &lt; b" in read(raw).body.html


FILES = """
    From: ann@customer.test
    Content-Type: multipart/mixed; boundary=x

    --x
    Content-Type: text/plain

    see there
    --x
    Content-Type: application/pdf; name="old.pdf"
    Content-Disposition: attachment; filename*=utf-8''Rechnung%20M%C3%A4rz.pdf
    Content-Transfer-Encoding: base64

    aGVsbG8=
    --x
    Content-Type: image/png
    Content-ID: <logo@customer.test>
    Content-Transfer-Encoding: base64

    aGVsbG8=
    --x
    Content-Type: text/plain; name="=?utf-8?q?Gr=C3=BC=C3=9Fe?=.txt"

    a file, not words
    --x
    Content-Type: message/rfc822

    From: bob@customer.test
    Subject: Re: forwarded/inner
    Content-Type: multipart/mixed; boundary=inner

    --inner
    Content-Type: text/plain

    inner words
    --inner--
    --x--
    """


def test_files_are_kept_with_name_type_and_content() -> None:
    found = read(mail(FILES)).body
    assert found.text.strip() == "see there"
    assert [(file.name, file.media_type, file.content_id) for file in found.files] == [
        ("Rechnung März.pdf", "application/pdf", ""),
        ("file.png", "image/png", "logo@customer.test"),
        ("Grüße.txt", "text/plain", ""),
        ("Re: forwarded-inner.eml", "message/rfc822", ""),
    ]
    assert found.files[0].data == b"hello"
    assert b"inner words" in found.files[3].data


def test_a_mail_without_a_message_id_gets_one_from_its_content() -> None:
    raw = b"From: ann@customer.test\r\n\r\nHello\r\n"
    assert read(raw).id == read(raw).id
    assert read(raw).id.endswith("@no-message-id.invalid>")
    assert read(raw).id != read(raw + b"again\r\n").id


def test_a_mail_without_a_date_is_read() -> None:
    assert read(b"From: ann@customer.test\r\n\r\nHello\r\n").at is None


def test_a_mail_without_a_sender_is_read() -> None:
    assert read(b"Subject: Hello\r\n\r\nHello\r\n").sender == ""


def test_the_sender_is_found_where_from_names_none() -> None:
    raw = b"Return-Path: <envelope@customer.test>\r\nFrom: undisclosed\r\nSender: real@customer.test\r\n\r\nHello\r\n"
    assert read(raw).sender == "real@customer.test"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(b"X-A: 1\r\nquite broken line: x\r\nFrom: ann@customer.test\r\nSubject: Hi", "Hallo\n", id="a line between"),
        pytest.param(b"From : ann@customer.test\r\nSubject\t: Hi", "Hallo\n", id="blanks before the colon"),
        pytest.param(b"From ann Mon Nov 1\r\nFrom: ann@customer.test\r\nSubject: Hi", "Hallo\n", id="from a mailbox file"),
        pytest.param(b"\xff\r\nFrom: ann@customer.test\r\nSubject: Hi", "Hallo\n", id="rubbish at the top"),
        pytest.param(b"From: ann@customer.test\r\nSubject: Hi\r\nDear all", "Dear all\n\nHallo\n", id="text without a blank line"),
    ],
)  # fmt: skip
def test_a_broken_head_is_read_to_its_end(head: bytes, body: str) -> None:
    for line_end in (b"\r\n", b"\n"):
        found = read((head + b"\r\n\r\nHallo\r\n").replace(b"\r\n", line_end))
        assert (found.sender, found.subject, found.body.text) == ("ann@customer.test", "Hi", body)


def test_bare_bytes_in_a_head_are_in_the_charset_of_the_text() -> None:
    raw = b"From: a@b.test\r\nSubject: \xc4\xe3\xba\xc3\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n\xc4\xe3\xba\xc3\r\n"
    assert (read(raw).subject, read(raw).body.text) == ("你好", "你好\n")


def test_a_file_name_in_bare_bytes_is_read() -> None:
    raw = (
        "From: a@b.test\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=für.pdf\r\n\r\nx"
    )
    assert [file.name for file in read(raw.encode()).body.files] == ["für.pdf"]


KEYED = mail(ORDER)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(KEYED, True, id="the same bytes"),
        pytest.param(b"Delivered-To: info@example.org\r\nReceived: by mx2\r\n" + KEYED, True, id="by another way"),
        pytest.param(KEYED.replace(b"Paket", b"Brief"), False, id="other words under the same id"),
        pytest.param(KEYED.replace(b"f=C3=BCr", b"nach"), False, id="another subject under the same id"),
        pytest.param(KEYED.replace(b"order-1", b"order-2"), False, id="another id"),
    ],
)
def test_one_mail_has_one_key_and_another_mail_another(other: bytes, same: bool) -> None:
    assert (event_key(KEYED) == event_key(other)) is same


def test_without_a_message_id_the_way_of_a_mail_counts_too() -> None:
    alarm = b"From: alarm@customer.test\r\nDate: Fri, 20 Nov 2026 11:00:00 +0100\r\n\r\nDisk full\r\n"
    assert event_key(b"Received: id 1\r\n" + alarm) != event_key(b"Received: id 2\r\n" + alarm)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(200))
            + b"\n" * 200_000,
            id="boundaries",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\nhi\r\n" * 300 + b"--x--", id="parts"
        ),
    ],
)
@pytest.mark.timeout(10)
def test_a_mail_made_to_cost_minutes_is_refused(raw: bytes) -> None:
    with pytest.raises(Unparsable):
        read(raw)


def test_a_field_made_of_quotes_costs_no_more_than_others() -> None:
    part = b'--x\r\nContent-Type: application/x; a="' + b'\\";' * 20_000 + b"\r\n\r\nhi\r\n"
    raw = b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 20
    start = time.process_time()
    assert len(read(raw).body.files) == 20
    assert time.process_time() - start < 5


@given(
    some.lists(
        some.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=x",
                b"Content-Type: multipart/report; report-type=delivery-status; boundary=x",
                b'Content-Type: multipart/alternative; boundary="',
                b"Content-Type: message/rfc822",
                b"Content-Type: message/delivery-status",
                b"Content-Type: text/html; charset*=''%ff",
                b"Content-Type: text/plain; charset=\xff",
                b"Content-Disposition: attachment; filename*0*=utf-8''%E4; filename*2=b",
                b"Content-Transfer-Encoding: base64",
                b"Content-Transfer-Encoding: x-uuencode",
                b"From: \xfc <a@b.test>",
                b"Message-ID: <a@b> <c@d>",
                b"--x",
                b"--x--",
                b"",
                b"",
                b"<p>\xff</p>",
                b"QUJD\xff",
            ]
        ),
        max_size=30,
    )
)
def test_however_the_pieces_are_put_together_it_is_a_mail(lines: list[bytes]) -> None:
    assert read(b"\r\n".join(lines)).id
