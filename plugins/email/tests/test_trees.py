"""Whatever comes: no mail raises, none takes long, none takes much."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings

from fernamt import Unparsable
from fernamt_email.page import as_object, as_page
from fernamt_email.parse import Mail, event_key, parse

from .corpus_of_mails import cases
from .mail_trees import mails

MAX_S = 0.05
TIMES = 10
"""So many times its size, and :data:`BESIDE` beside it, may reading a mail take of memory."""
BESIDE = 500_000

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def read(raw: bytes) -> Mail | None:
    try:
        return parse(raw, key=event_key(raw))
    except Unparsable:
        return None


def seconds(raw: bytes) -> float:
    start = time.process_time()
    read(raw)
    return time.process_time() - start


def memory(raw: bytes) -> int:
    tracemalloc.start()
    try:
        read(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_cheap(raw: bytes, *, within_s: float = MAX_S) -> None:
    assert seconds(raw) < within_s or seconds(raw) < within_s or seconds(raw) < within_s


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(mails())
def test_no_mail_raises_and_what_is_read_is_whole(raw: bytes) -> None:
    assert_cheap(raw)
    mail = read(raw)
    if mail is None:
        return
    count = len(mail.body.text.split("\n"))
    at = 0
    for fold in mail.folded:
        assert at <= fold.first < fold.end <= count
        at = fold.end
    assert "\r" not in mail.body.text
    assert "\0" not in mail.body.text
    assert all(file.name and "/" not in file.name and "\\" not in file.name for file in mail.body.files)
    assert "\n" not in mail.subject
    assert as_object(mail, "x")["text"] == mail.body.text
    assert list(as_page(mail, "x", full=False, language="de"))


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(mails())
def test_no_mail_takes_more_than_ten_times_its_size(raw: bytes) -> None:
    assert memory(raw) < TIMES * len(raw) + BESIDE


def test_every_mail_of_the_corpus_may_lose_any_of_its_lines() -> None:
    for case in list(cases())[::4]:
        lines = case.raw.splitlines(keepends=True)
        for n in range(0, len(lines), 3):
            read(b"".join(lines[:n] + lines[n + 1 :]))
            read(b"".join(lines[:n]))


LARGE = [
    pytest.param(b"From: a@b.example\r\n\r\n" + b"Guten Tag, wie geht es?\r\n" * 40_000, id="text"),
    pytest.param(b"From: a@b.example\r\n\r\n" + "Grüße aus Köln\r\n".encode("cp1252") * 60_000, id="text in no charset"),
    pytest.param(b"From: a@b.example\r\n\r\n" + b"> quoted\r\n" * 100_000, id="quoted"),
    pytest.param(b"From: a@b.example\r\n\r\n" + b"Am 1.1.2026 um 1:00 schrieb A:\r\n" * 30_000, id="heads"),
    pytest.param(b"From: a@b.example\r\n\r\n" + b"From: a\r\nTo: b\r\n" * 60_000, id="fields in the text"),
    pytest.param(b"From: a@b.example\r\n\r\n" + b"-- \r\n_____\r\n" * 80_000, id="rules"),
    pytest.param(b"From: a@b.example\r\n\r\n" + b"begin 644 x\r\n%:&5L;&\\`\r\n" * 40_000, id="uuencode without an end"),
    pytest.param(b"From: a@b.example\r\n" + b"X-A: b\r\n" * 120_000 + b"\r\nx", id="fields"),
    pytest.param(b"From: a@b.example\r\nno field\r\n" * 40_000 + b"\r\nx", id="fields and other lines"),
    pytest.param(b"From: " + b"a@b.example, " * 80_000 + b"\r\n\r\nx", id="senders"),
    pytest.param(
        b"".join(b"To: " + b", ".join(b"=?x?Q?=E4=%02X=C4=D6=%02X=FC?= <a%d@b.example>" % (0x80 + n % 120, 0x81 + n % 110, n) for n in range(k, k + 1_400)) + b"\r\n" for k in range(20)) + b"\r\nx",
        id="recipients in no charset",
    ),
    pytest.param(b"Subject: " + b"=?utf-8?Q?a?= " * 70_000 + b"\r\n\r\nx", id="encoded words"),
    pytest.param(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 250_000, id="base64"),
    pytest.param(b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QQ==\r\n" * 160_000, id="padding"),
    pytest.param(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x " * 250_000, id="no boundaries"),
    pytest.param(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n" + b"A" * 1_000_000, id="a line"),
    pytest.param(b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"word \r\n" * 140_000, id="flowed"),
    pytest.param(b"Content-Type: application/rtf\r\n\r\n{\\rtf1 " + b"{\\b a}" * 160_000, id="rtf"),
    pytest.param(b"Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\r\n" + b"ATTENDEE;CN=a:b\r\n" * 60_000, id="guests"),
    pytest.param(b"\r\n" * 500_000, id="blank lines"),
    pytest.param(b"Content-Type: text/calendar\r\n\r\nBEGIN:VEVENT\r\nATTENDEE" + b';a="b","c"' * 60_000 + b":x", id="a guest"),
    pytest.param(
        b"\r\n" + b"-----BEGIN PGP SIGNED MESSAGE-----\r\n" + b"Hash: a\r\n" * 80_000 + b"-----END PGP SIGNATURE-----\r\n", id="hashes"
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("raw", LARGE)
def test_a_large_mail_costs_no_more_than_its_size(raw: bytes) -> None:
    """A second for each megabyte, where the usual ones take some milliseconds, and no more memory than ten times the mail."""
    assert_cheap(raw, within_s=MAX_S + len(raw) / 1_000_000)
    assert memory(raw) < TIMES * len(raw) + BESIDE
