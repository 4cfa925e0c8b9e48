"""Random mails for Hypothesis: trees of parts, whole and broken in every way that the corpus knows, and some that nobody knows."""

from __future__ import annotations

import base64
import quopri

from hypothesis import strategies as some
from hypothesis.strategies import SearchStrategy

CHARSETS = [b"utf-8", b"iso-8859-1", b"us-ascii", b"utf-16", b"utf-7", b"iso-2022-jp", b"gb2312", b"big5", b"x-unknown",
            b"hz", b"koi8-r", b"\xff", b"", b"'utf-8", b"idna", b"cp932", b'utf-8"; format=flowed; delsp=yes']  # fmt: skip
KINDS = [b"text/plain", b"text/html", b"text/enriched", b"text/richtext", b"text/calendar", b"application/rtf", b"application/pdf",
         b"application/ms-tnef", b"application/pkcs7-mime; smime-type=signed-data", b"message/rfc822", b"message/delivery-status",
         b"image/png", b"text", b"", b"multipart/mixed", b"/", b"message/partial", b"text/rtf", b"application/ics"]  # fmt: skip
CONTAINERS = [
    b"mixed",
    b"alternative",
    b"related",
    b"signed",
    b"encrypted",
    b"report",
    b"digest",
    b"appledouble",
    b"x-odd",
]
ENCODINGS = [b"7bit", b"8bit", b"base64", b"quoted-printable", b"x-uuencode", b"BASE64 ", b"binary", b"x-fancy", b""]
FIELDS = [
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@customer.example>", b"From: \xfc <a@b.example", b"From:", b"From: ((((((", b"From: <@,,:;<>",
    b'To: a@b.example, Friends: b@c.example;, "x', b"Subject: =?utf-8?B?R3LD?= =?utf-8?B?vMOfZQ==?=", b"Subject: =?x?q?=?=?=",
    b"Subject: \xc4\xe3\xba\xc3", b"Date: Fri, 99 Nov 2026 11:00:00 +0100", b"Date: 9999-12-31T23:59:59-23:00", b"Message-ID: <a@b",
    b"References: <a@b> <c@d>, e@f <", b"Content-ID: <x@y>", b"Content-Location: a.png", b"X-Odd\x00: \x07", b"not a field", b" folded",
    b"Received: from x; yesterday", b"Auto-Submitted: auto-replied", b"Content-Disposition: attachment; filename*0*=utf-8''%E4; filename*2=b",
    b'Content-Disposition: inline; filename="=?utf-8?Q?=', b"Content-Type: text/plain; charset=\xff; name*=''%",
]  # fmt: skip
WORDS = [
    b"Guten Tag,", b"", b"> quoted", b">> older", b"Am 20.11.2026 um 10:00 schrieb Ann:", b"On Fri wrote:", b"-- ", b"Ann Lee",
    b"Von: Support <s@example.org>", b"Gesendet: Freitag", b"An: Ann", b"Betreff: x", b"-----Original Message-----", b"________________",
    b"---------- Forwarded message ---------", b"Sent from my iPhone", b"begin 644 x.txt", b"%:&5L;&\\`", b"end", b"--x", b"--x--", b"\xff\xfe",
    b"<p>a <b>b", b"</div></blockquote>", b"<a href='https://a.example'>x</a>", b"<blockquote>", b"<!--", b"<style>", b"&#0;&#xFFFFFFF;&euro",
    b"\x00", b"\x1b$B-!\x1b(B", b"~{<:~}", b"+AGE-", b"{\\rtf1\\ansi\\'e4\\u8364?\\bin99{\\*\\htmltag <p>}", b"BEGIN:VCALENDAR", b"BEGIN:VEVENT",
    b'DTSTART;TZID="x:20261120T100000', b"DTEND:99999999T999999Z", b"END:VEVENT", b"=E4=", b"=?utf-8?Q?", b"R3LDvMOfZQ", b"\xe4\xf6\xfc",
    b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----", b"-----END PGP SIGNATURE-----", b"a" * 200, b"x :" * 40,
]  # fmt: skip

lines = some.lists(some.one_of(some.sampled_from(WORDS), some.binary(max_size=12)), max_size=12)
ends = some.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])


@some.composite
def leaf(draw: some.DrawFn) -> bytes:
    """Return a part without parts: its head and its content, in the encoding that it claims, or in another."""
    kind, charset = draw(some.sampled_from(KINDS)), draw(some.sampled_from(CHARSETS))
    encoding = draw(some.sampled_from(ENCODINGS))
    content = b"\r\n".join(draw(lines))
    done = draw(some.sampled_from([encoding, draw(some.sampled_from(ENCODINGS))]))
    if done == b"base64":
        content = base64.encodebytes(content)[: draw(some.integers(0, 200))]
    elif done == b"quoted-printable":
        content = quopri.encodestring(content)
    fields = [
        b"Content-Type: " + kind + b'; charset="' + charset + b'"',
        b"Content-Transfer-Encoding: " + encoding,
        *draw(some.lists(some.sampled_from(FIELDS), max_size=3)),
    ]
    return b"\r\n".join(draw(some.permutations(fields))) + b"\r\n\r\n" + content


@some.composite
def container(draw: some.DrawFn, children: SearchStrategy[bytes]) -> bytes:
    """Return a multipart; its boundary may be wrong, missing, or that of another."""
    written = draw(some.sampled_from([b"x", b"y", b"=_(x)", b""]))
    named = draw(some.sampled_from([written, written, written, b"x", b'"']))
    parts = b"".join(b"--" + written + b"\r\n" + one + b"\r\n" for one in draw(some.lists(children, max_size=4)))
    end = draw(some.sampled_from([b"--" + written + b"--\r\n", b"", b"--" + written]))
    kind = draw(some.sampled_from(CONTAINERS))
    extra = draw(
        some.sampled_from([b"", b"; start=<x@y>", b"; protocol=pgp", b"\r\nContent-Transfer-Encoding: base64"])
    )
    return b"Content-Type: multipart/" + kind + b"; boundary=" + named + extra + b"\r\n\r\n" + parts + end


@some.composite
def mails(draw: some.DrawFn) -> bytes:
    """Return a mail, as whole or as broken as it comes."""
    tree = some.recursive(leaf(), lambda inner: some.one_of(container(inner), _wrapped(inner)), max_leaves=6)
    head = b"".join(one + b"\r\n" for one in draw(some.lists(some.sampled_from(FIELDS), max_size=6)))
    raw = head + draw(tree)
    if draw(some.booleans()):  # something was lost on the way
        cut = draw(some.integers(0, len(raw)))
        raw = raw[:cut] + draw(some.binary(max_size=4)) + raw[min(len(raw), cut + draw(some.integers(0, 9))) :]
    return raw.replace(b"\r\n", draw(ends))


def _wrapped(inner: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return inner.map(lambda mail: b"Content-Type: message/rfc822\r\n\r\n" + mail)
