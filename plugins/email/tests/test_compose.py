"""The mails that we write: read back with the standard library's strict reader."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from fernamt import Address, Attachment, Blob, Purpose, Rejected
from fernamt_email.compose import compose, subject_of
from fernamt_email.identity import Identity
from fernamt_email.layout import Style
from fernamt_email.parse import parse
from fernamt_email.settings import LayoutSettings

from .given import CHANNEL, message

US = Identity(channel=CHANNEL, address="support@example.org", aliases=frozenset(), delimiter="+")
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
BLOB = Blob("0" * 64, 5)


def raw(
    *,
    name: str = "Hilfe für Köln",
    files: tuple[bytes, ...] = (),
    utf8: bool = False,
    style: Style | None = None,
    unsubscribe: tuple[str, ...] = (),
    **changes: Any,
) -> bytes:
    mail = message(**changes)
    return compose(mail, US, sender_name=name, at=AT, files=files, utf8=utf8, style=style, unsubscribe=unsubscribe)


def written(**changes: Any) -> EmailMessage:
    found = message_from_bytes(raw(**changes), policy=default)
    assert isinstance(found, EmailMessage)
    assert found.defects == []
    return found


def words(mail: EmailMessage) -> str:
    content: str = mail.get_content()
    return content.replace("\r\n", "\n")


def file(name: str, media_type: str, content_id: str = "") -> Attachment:
    return Attachment(name=name, media_type=media_type, content=BLOB, content_id=content_id)


def test_a_mail_has_what_its_reader_and_the_servers_need() -> None:
    mail = written(cc=(Address("email", "bob@customer.test"),), reply_token="t0-k3n")
    assert mail["From"] == "Hilfe für Köln <support@example.org>"
    assert mail["To"] == "ann@customer.test"
    assert mail["Cc"] == "bob@customer.test"
    assert mail["Reply-To"] == "Hilfe für Köln <support+t0-k3n@example.org>"
    assert mail["Subject"] == "Meine Bestellung"
    assert mail["Date"] == "Sat, 21 Nov 2026 09:30:00 +0000"
    assert mail["Message-ID"] == US.message_id("e1")
    assert mail["Auto-Submitted"] is None
    assert words(mail) == "Guten Tag,\n\nIhre Bestellung ist unterwegs.\n"


def test_the_id_is_the_same_for_every_recipient_and_attempt() -> None:
    ids = {
        written(to=Address("email", to), key=key, attempt=attempt)["Message-ID"]
        for to, key, attempt in [
            ("ann@customer.test", "k1", 1),
            ("ann@customer.test", "k1", 7),
            ("bob@x.test", "k2", 1),
        ]
    }
    assert len(ids) == 1


def test_everything_is_ascii_with_short_lines_that_end_in_crlf() -> None:
    data = raw(text="Grüße\n" + "ä" * 5_000 + "\nfrom\n.\n", subject="Ä" * 300)
    assert data.isascii()
    assert data.count(b"\n") == data.count(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "text", ["Grüße\n", "ä" * 5_000 + "\n", ".\n", "From me\n", "\n", "a\n\n\n", "x" * 2_000 + "\n"]
)
def test_the_words_arrive_unchanged(text: str) -> None:
    assert words(written(text=text)) == text


@pytest.mark.parametrize(
    ("subject", "reply_to", "expected"),
    [
        ("Paket", "<q@customer.test>", "Re: Paket"),
        ("Re: Paket", "<q@customer.test>", "Re: Paket"),
        ("AW: Paket", "<q@customer.test>", "AW: Paket"),
        ("re[2]: Paket", "<q@customer.test>", "re[2]: Paket"),
        ("Rechnung", "<q@customer.test>", "Re: Rechnung"),
        ("", "<q@customer.test>", "Re:"),
        ("Paket", "", "Paket"),
    ],
)
def test_an_answer_says_so_once(subject: str, reply_to: str, expected: str) -> None:
    assert written(subject=subject, reply_to=reply_to)["Subject"] == expected


def test_an_answer_stands_in_the_readers_thread() -> None:
    mail = written(reply_to="<c@customer.test>", references=("<a@customer.test>", "<b@example.org>"))
    assert mail["In-Reply-To"] == "<c@customer.test>"
    assert mail["References"] == "<a@customer.test> <b@example.org> <c@customer.test>"


def test_a_long_thread_keeps_its_root_and_the_latest() -> None:
    chain = tuple(f"<{n}@customer.test>" for n in range(500))
    kept = written(reply_to=chain[-1], references=chain)["References"].split()
    assert kept == [chain[0], *chain[-20:]]


def test_a_very_long_id_is_written_as_it_is() -> None:
    long = f"<{'x' * 400}@customer.test>"
    data = raw(reply_to=long, references=(long,))
    assert f"In-Reply-To: {long}\r\n".encode() in data
    assert f"References: {long}\r\n".encode() in data


def test_an_id_that_we_made_up_is_never_written() -> None:
    mail = written(reply_to="<0123@no-message-id.invalid>", references=("<0123@no-message-id.invalid>", "<a@b>"))
    assert mail["In-Reply-To"] is None
    assert mail["References"] == "<a@b>"


@pytest.mark.parametrize("reply_to", ["<a@b>\r\nBcc: x@y.org", "no id", "<a b@c>", "<ä@b>"])
def test_what_is_no_id_is_not_written(reply_to: str) -> None:
    assert written(reply_to=reply_to)["In-Reply-To"] is None


def test_a_machines_mail_says_so() -> None:
    assert written(automatic=True)["Auto-Submitted"] == "auto-generated"
    assert written(automatic=True, reply_to="<a@b>")["Auto-Submitted"] == "auto-replied"
    assert written(automatic=True)["X-Auto-Response-Suppress"] == "All"


def test_html_comes_beside_the_text_with_its_pictures() -> None:
    mail = written(
        html='<p>Hallo <img src="cid:logo@x"></p>',
        attachments=(file("logo.png", "image/png", "logo@x"), file("Rechnung März.pdf", "application/pdf")),
        files=(b"PNG", b"%PDF"),
    )
    assert mail.get_content_type() == "multipart/mixed"
    rich = mail.get_body(("html",))
    plain = mail.get_body(("plain",))
    assert rich is not None
    assert plain is not None
    assert "<p>Hallo" in rich.get_content()
    assert "unterwegs" in plain.get_content()
    parts = {part.get_content_type(): part for part in mail.walk()}
    assert parts["image/png"]["Content-ID"] == "<logo@x>"
    assert parts["image/png"].get_content() == b"PNG"
    [pdf] = mail.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("Rechnung März.pdf", b"%PDF")


@pytest.mark.parametrize("media_type", ["message/rfc822", "multipart/mixed", "rubbish", "text", "a/b\r\nX: y", ""])
def test_a_file_of_a_type_that_cannot_be_attached_goes_as_bytes(media_type: str) -> None:
    mail = written(attachments=(file("old.eml", media_type),), files=(b"Subject: x\n\nhi",))
    [part] = mail.iter_attachments()
    assert (part.get_content_type(), part.get_content()) == ("application/octet-stream", b"Subject: x\n\nhi")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "Hi\r\nBcc: x@y.org"}, id="subject"),
        pytest.param({"subject": "Hi\u2028there"}, id="subject with a line separator"),
        pytest.param({"name": "Support\nBcc: x@y.org"}, id="name"),
        pytest.param({"to": Address("email", "ann@customer.test\r\nBcc: x@y.org")}, id="recipient"),
        pytest.param({"to": Address("email", "ann@customer.test, bob@customer.test")}, id="two recipients"),
        pytest.param({"to": Address("email", "no address")}, id="no recipient"),
        pytest.param({"to": Address("email", "@")}, id="nearly no recipient"),
        pytest.param({"cc": (Address("email", "a@b\nX: y"),)}, id="copy"),
        pytest.param({"attachments": (file("a\r\nX: y", "text/plain"),), "files": (b"",)}, id="file name"),
        pytest.param(
            {"html": "cid:a\nb", "attachments": (file("a", "image/png", "a\nb"),), "files": (b"",)}, id="content id"
        ),
    ],
)
def test_nothing_from_outside_adds_a_field_to_our_mail(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        raw(**changes)


def test_an_address_beyond_ascii_is_written_as_it_is() -> None:
    data = raw(to=Address("email", "jörg@customer.test"), utf8=True)
    assert "To: jörg@customer.test\r\n".encode() in data


# ---- outreach, layout, and what a hostile value may not do
def test_outreach_says_how_it_is_stopped_and_nothing_else_does() -> None:
    stops = (
        "https://desk.example.org/in/support-mail/unsubscribe?token=" + "t" * 200,
        "mailto:support@example.org?subject=x",
    )
    outreach = written(purpose=Purpose.OUTREACH, unsubscribe=stops)
    assert outreach["List-Unsubscribe"] == f"<{stops[0]}>, <{stops[1]}>"
    assert outreach["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert outreach["Precedence"] == "bulk"
    assert written(purpose=Purpose.OUTREACH, unsubscribe=stops[1:])["List-Unsubscribe-Post"] is None
    assert written(unsubscribe=stops)["List-Unsubscribe"] is None


def test_a_subject_carries_the_sign_of_its_conversation_once() -> None:
    mail = written(subject="Paket", reply_to="<q@x.test>", reply_token="c-4fk2qzabcdef2345", style=Style(tagged=True))
    assert mail["Subject"] == "Re: Paket [#c-4fk2qz]"


def test_the_layout_is_in_both_forms() -> None:
    style = Style(layout=LayoutSettings(text_en="{text}\n-- \nExample", html_en="<p>{text}</p><p>Example</p>"))
    plain, html = written(text="Größe", style=style).iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == "Größe\n-- \nExample\n"
    assert html.get_content().strip() == "<p>Größe</p><p>Example</p>"


FIELDS = {
    "From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version",
    "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    subject=some.text(max_size=300),
    name=some.text(max_size=100),
    text=some.text(max_size=2_000),
    file_name=some.text(max_size=200),
    reply_to=some.text(max_size=50) | some.just("<q@x.test>"),
    to=some.sampled_from(["ann@customer.test", "a b@x.test", "a@x.test\r\nBcc: eve@x.test"]),
)
def test_whatever_a_value_is_it_adds_no_field_and_every_reader_sees_it(
    subject: str, name: str, text: str, file_name: str, reply_to: str, to: str
) -> None:
    changes: dict[str, Any] = {
        "subject": subject,
        "text": text,
        "reply_to": reply_to,
        "to": Address("email", to),
        "reply_token": "c-1",
    }
    try:
        mail = raw(name=name, files=(b"hello",), attachments=(file(file_name, "text/x-any"),), **changes)
    except (Rejected, ValueError, LookupError):
        return  # refused: nothing was written
    mail.decode("ascii")
    lines = mail.split(b"\r\n")
    assert not any(b"\n" in line or b"\r" in line or len(line) > 998 for line in lines)
    head = BytesParser().parsebytes(mail)
    assert {*head.keys()} <= FIELDS
    assert len(head.keys()) == len({*head.keys()})
    ours = parse(mail, key="k" * 64)  # a reader that shares nothing with the writer
    if subject.isprintable():  # of the rest nothing has to be shown
        assert ours.subject.split() == subject_of(message(**changes)).split()
    assert ours.recipients == (to,)
