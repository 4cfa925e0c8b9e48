"""Outreach is stopped by whoever has the signed address, in one click or by mail, and by nobody who only looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from fernamt import Address, Consent, Received
from fernamt.testing import FakeContext
from fernamt_email.identity import Identity
from fernamt_email.reading import Reader
from fernamt_email.unsubscribe import Unsubscribing

from .given import CHANNEL

US = Identity(channel=CHANNEL, address="support@example.org", aliases=frozenset(), delimiter="+")
ANN = Address("email", "ann+shop@customer.test")


@pytest.fixture
def stopping(context: FakeContext) -> Unsubscribing:
    return Unsubscribing(US, context, "https://desk.example.org/in/support-mail/")


@pytest.fixture
async def browser(stopping: Unsubscribing) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.add_routes(stopping.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


def path(stopping: Unsubscribing) -> str:
    by_button, _ = stopping.addresses(ANN)
    return by_button.removeprefix("https://desk.example.org/in/support-mail")


async def test_one_click_stops_it(
    context: FakeContext, stopping: Unsubscribing, browser: TestClient[web.Request, web.Application]
) -> None:
    reply = await browser.post(path(stopping), data={"List-Unsubscribe": "One-Click"})
    assert (reply.status, "keine Rundmails" in await reply.text()) == (200, True)
    [stopped] = context.intake.events
    assert isinstance(stopped, Consent)
    assert (stopped.address, stopped.allowed, stopped.scope) == (ANN, False, "marketing")


async def test_who_only_looks_stops_nothing(
    context: FakeContext, stopping: Unsubscribing, browser: TestClient[web.Request, web.Application]
) -> None:
    reply = await browser.get(path(stopping))
    assert (reply.status, '<form method="post">' in await reply.text()) == (200, True)
    assert context.intake.events == []


@pytest.mark.parametrize(
    "query", ["", "?token=", "?token=stop%3Aemail%3Aann%40x", "?token=other%3Aemail%3Aa%40x.signed"]
)
async def test_an_address_that_we_did_not_sign_stops_nothing(
    context: FakeContext, browser: TestClient[web.Request, web.Application], query: str
) -> None:
    assert (await browser.post(f"/unsubscribe{query}")).status == 404
    assert context.intake.events == []


async def test_a_full_disk_is_told(
    context: FakeContext, stopping: Unsubscribing, browser: TestClient[web.Request, web.Application]
) -> None:
    context.intake.refuse = 1
    assert (await browser.post(path(stopping))).status == 503


@pytest.mark.parametrize("url", ["", "http://localhost/in/support-mail/"])
async def test_without_https_it_is_stopped_by_mail_alone(context: FakeContext, url: str) -> None:
    [by_mail] = Unsubscribing(US, context, url).addresses(ANN)
    assert by_mail.startswith("mailto:support@example.org?subject=unsubscribe%20stop")


@pytest.mark.parametrize("shape", ["{}", "Re: {}", "  {} "])
async def test_a_mail_with_the_signed_subject_stops_it_whoever_sends_it(
    context: FakeContext, stopping: Unsubscribing, shape: str
) -> None:
    subject = shape.format(unquote(stopping.addresses(ANN)[1].partition("subject=")[2]))
    [stopped], _ = await Reader(US, context, "en", stopping).read(
        f"From: b@x.test\r\nSubject: {subject}\r\n\r\n".encode()
    )
    assert isinstance(stopped, Consent)
    assert stopped.address == ANN


async def test_any_other_mail_about_it_is_read_by_a_person(context: FakeContext, stopping: Unsubscribing) -> None:
    for subject in ("unsubscribe", "unsubscribe stop:email:ann@x", "Please unsubscribe me"):
        [found], _ = await Reader(US, context, "en", stopping).read(
            f"From: b@x.test\r\nSubject: {subject}\r\n\r\n".encode()
        )
        assert isinstance(found, Received)
