"""What our own servers say of a mail counts, and what anybody wrote into it does not."""

from __future__ import annotations

import time

import pytest

from fernamt_email.marks import is_junk, marks_of, topmost_server

OURS = "mx.support.test"


def head(*fields: str) -> bytes:
    return (
        "".join(f"{field}\r\n" for field in (*fields, "From: ann@customer.test", "")).encode() + b"X-Spam-Flag: YES\r\n"
    )


@pytest.mark.parametrize(
    ("fields", "marks"),
    [
        pytest.param([], (), id="nothing said"),
        pytest.param(
            [f"Authentication-Results: {OURS}; spf=pass smtp.mailfrom=a@b.c; dkim=pass header.d=b.c; dmarc=pass"],
            ("dmarc=pass", "dkim=pass", "spf=pass"),
            id="all in one field",
        ),
        pytest.param(
            [f"Authentication-Results: {OURS} 1;\r\n\tdmarc=fail (p=reject; (sp=none) dis=none)\r\n header.from=b.c"],
            ("dmarc=fail",),
            id="folded, a version, nested comments with semicolons",
        ),
        pytest.param(
            [f"Authentication-Results: {OURS}; dkim=fail header.d=x.y; dkim=pass header.d=b.c"],
            ("dkim=pass",),
            id="one of two signatures holds",
        ),
        pytest.param(
            ["authentication-results: MX.Support.Test; SPF=SoftFail", f"Authentication-Results: {OURS}; dkim=none"],
            ("dkim=none", "spf=softfail"),
            id="two filters, a field each, in any case",
        ),
        pytest.param(["Authentication-Results: mx.evil.test; dmarc=pass"], (), id="another server"),
        pytest.param([f"Authentication-Results: {OURS}.evil.test; dmarc=pass"], (), id="a longer name"),
        pytest.param(
            [
                f"Authentication-Results: {OURS}; dmarc=fail",
                "Received: from mx.evil.test by mx.support.test; Mon, 30 Nov 2026 10:00:00 +0000",
                f"Authentication-Results: {OURS}; dmarc=pass; dkim=pass",
            ],
            ("dmarc=fail",),
            id="forged below",
        ),
        pytest.param(
            [
                "Received: from mx.support.test by store.support.test; Mon, 30 Nov 2026 10:00:00 +0000",
                f"Authentication-Results: {OURS}; dmarc=fail",
                f"Authentication-Results: {OURS}; dmarc=pass",
            ],
            ("dmarc=fail",),
            id="below a hop of our own, forged beside it",
        ),
        pytest.param(
            [f'Authentication-Results: {OURS}; spf=fail reason="no; dmarc=pass"'], ("spf=fail",), id="in quotes"
        ),
        pytest.param([f"Authentication-Results: {OURS}; none"], (), id="nothing was looked at"),
        pytest.param([f"Authentication-Results: {OURS}; (((dmarc=pass"], (), id="a comment without an end"),
        pytest.param(["X-Spam-Flag: YES"], ("spam",), id="spam"),
        pytest.param(["X-Spam-Flag: NO"], (), id="no spam"),
    ],
)
def test_marks_come_from_our_own_servers_only(fields: list[str], marks: tuple[str, ...]) -> None:
    assert marks_of(head(*fields), OURS) == marks


def test_without_the_name_of_our_server_no_result_counts() -> None:
    assert marks_of(head(f"Authentication-Results: {OURS}; dmarc=pass"), "") == ()


def test_of_a_mail_of_our_own_the_topmost_field_names_our_server() -> None:
    fields = (f"Authentication-Results: {OURS} (filter); spf=pass", "Authentication-Results: mx.evil.test; spf=pass")
    assert topmost_server(head(*fields)) == OURS
    assert topmost_server(head("Subject: none")) == ""


@pytest.mark.parametrize(
    ("flags", "junk"),
    [((b"$Junk",), True), ((b"Junk", b"\\Seen"), True), ((b"$Junk", b"$NotJunk"), False), ((b"\\Seen",), False)],
)
def test_flags_of_junk_are_known(flags: tuple[bytes, ...], junk: bool) -> None:
    assert is_junk(flags) is junk


def test_a_hostile_head_costs_little_time() -> None:
    hostile = head(f"Authentication-Results: {OURS}; " + "(" * 60_000 + '"' * 60_000 + "a=b;" * 20_000)
    began = time.process_time()
    marks_of(hostile, OURS)
    assert time.process_time() - began < 1.0
