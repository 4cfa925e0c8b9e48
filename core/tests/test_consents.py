"""Outreach needs recorded consent: who gave it, when, where and in which words; and what the commands say of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fernamt._store.channels import Entrance, enter
from fernamt._store.consents import Statement, state
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writer
from fernamt.errors import FernamtError
from fernamt.inbound import Consent
from fernamt.model import Address, DeliveryState, Purpose

from .stage import Impatient
from .test_cli_desk import Desk, desk
from .test_outbox import Post

__all__ = ["desk"]
NO_CONSENT = "outreach needs the recipient's consent to marketing, and none is recorded"


@pytest.fixture
async def post(store: Store, writer: Writer) -> AsyncIterator[Post]:
    store.clock = Impatient()
    number = await writer.write(enter, Entrance(id="sms", kind="fake", label="SMS"))
    post = Post(store, writer, Line(number=number, id="sms"))
    yield post
    while post.running:
        await post.die()


def said(scope: str, allowed: bool) -> dict[str, Any]:
    return {"scope": scope, "allowed": allowed}


@pytest.mark.parametrize(
    ("words", "purpose", "refused"),
    [
        ([], Purpose.REPLY, ""),
        ([], Purpose.NOTICE, ""),
        ([], Purpose.OUTREACH, NO_CONSENT),
        ([said("marketing", True)], Purpose.OUTREACH, ""),
        ([said("", True)], Purpose.OUTREACH, NO_CONSENT),
        ([said("marketing", True), said("marketing", False)], Purpose.OUTREACH, "the recipient opted out (box)"),
        ([said("marketing", False)], Purpose.NOTICE, ""),
        ([said("marketing", True), said("", False)], Purpose.OUTREACH, "the recipient opted out (box)"),
        ([said("", False), said("marketing", True)], Purpose.OUTREACH, "the recipient opted out (box)"),
        ([said("", False)], Purpose.NOTICE, "the recipient opted out (box)"),
        ([said("", False), said("", True)], Purpose.REPLY, ""),
        ([said("surveys", True)], Purpose.OUTREACH, NO_CONSENT),
    ],
)
async def test_what_was_said_last_of_a_purpose_decides(
    post: Post, words: list[dict[str, Any]], purpose: Purpose, refused: str
) -> None:
    conversation = await post.customer()
    [[handle]] = post.rows("SELECT handle FROM address")
    for number, word in enumerate(words):
        await post.receive(Consent(key=f"c{number}", address=Address.parse(handle), evidence="box", **word))
    await post.start()
    delivery = await post.answer(conversation, purpose=purpose)
    if refused:
        await post.until("outbox.refused")
    else:
        (await post.called()).sent()
        await post.until()
    assert (post.state(delivery), post.reason(delivery)) == ("refused" if refused else "sent", refused)


async def test_a_consent_of_another_channel_or_address_counts_for_nothing(post: Post) -> None:
    other = await post.writer.write(enter, Entrance(id="chat", kind="fake", label="Chat"))
    conversation = await post.customer()
    [[handle]] = post.rows("SELECT handle FROM address")
    statement = Statement(address=Address.parse(handle), channel="chat", allowed=True, evidence="box", by="agent:maria")
    assert other != post.line.number
    await post.writer.write(state, statement)
    await post.receive(Consent(key="c", address=Address("phone", "+49000"), allowed=True, scope="marketing"))
    await post.start()
    delivery = await post.answer(conversation, purpose=Purpose.OUTREACH)
    await post.until("outbox.refused")
    assert post.reason(delivery) == NO_CONSENT


async def test_a_channel_that_is_not_there_is_named(post: Post) -> None:
    statement = Statement(
        address=Address("phone", "+49"), channel="fax", allowed=True, evidence="box", by="agent:maria"
    )
    with pytest.raises(FernamtError, match="There is no channel 'fax'"):
        await post.writer.write(state, statement)


# ---- the commands
def sql(desk: Desk, statement: str, *values: object) -> None:
    desk.run(lambda tx, _: [tx.do.one(statement, values)], None)


ANN = "email:ann@example.org"


def test_what_was_given_and_withdrawn_is_shown_with_who_said_so_and_kept(desk: Desk) -> None:
    desk.mailed()
    desk.called("consent", ANN)
    assert (
        "Nothing is recorded of email:ann@example.org: replies and notices may go there, outreach may not." in desk.err
    )
    given = desk.json("consent", "give", ANN, "--channel", "mail", "--evidence", "form of 3 May", "--as", "maria")
    assert [(one["channel"], one["scope"], one["allowed"], one["author"], one["evidence"]) for one in given] == [
        ("mail", "marketing", True, "agent:maria", "form of 3 May")
    ]
    out = desk.called("consent", "withdraw", ANN, "--channel", "mail", "--as", "tom")
    assert re.search(r" on mail: stopped marketing messages, recorded by agent:tom: told us\n", out)
    assert re.search(
        r" on mail: allowed marketing messages, recorded by agent:maria: form of 3 May \(said anew since\)", out
    )
    assert [one["counts"] for one in desk.json("consent", "show", ANN)] == [True, False]


def test_everything_is_stopped_and_taken_back_at_the_desk(desk: Desk) -> None:
    number = desk.mailed()
    desk.called("consent", "withdraw", ANN, "--channel", "mail", "--everything")
    [sent] = desk.json("reply", str(number), "Hallo")["deliveries"]
    assert desk.json("why", str(sent["number"]))["waits_for"][0]["kind"] == "stopped"
    desk.called("consent", "give", ANN, "--channel", "mail", "--everything", "--evidence", "asked for it on the phone")
    assert [one["kind"] for one in desk.json("why", str(sent["number"]))["waits_for"]] == ["daemon"]


@pytest.mark.parametrize(
    "typed", ["+491701234567", "+49 170 1234567", "phone:+49 (0)170 / 123 45 67", " phone:+491701234567"]
)
def test_a_number_is_taken_as_people_write_it_and_is_the_one_that_wrote(desk: Desk, typed: str) -> None:
    desk.called("consent", "withdraw", typed, "--channel", "mail", "--everything")
    assert [one["allowed"] for one in desk.json("consent", "show", "phone:+491701234567")] == [False]
    assert [one["allowed"] for one in desk.json("consent", "show", typed)] == [False]


def test_a_short_code_is_an_address_as_well(desk: Desk) -> None:
    desk.called("consent", "withdraw", "phone:72404", "--channel", "mail")
    assert len(desk.json("consent", "show", "phone:72404")) == 1


def test_somebody_who_never_wrote_can_agree_beforehand(desk: Desk) -> None:
    out = desk.called("consent", "give", "email:new@example.org", "--channel", "mail", "--evidence", "shop form")
    assert "allowed marketing messages" in out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("give", "nobody", "--channel", "mail", "--evidence", "x"), 2, "is no address: write it as scheme:value"),
        (("give", "+49 170 x", "--channel", "mail", "--evidence", "x"), 2, "is no telephone number with its country"),
        (("give", ANN, "--channel", "fax", "--evidence", "x"), 1, "There is no channel 'fax'"),
        (("give", ANN, "--channel", "mail", "--evidence", " "), 2, "Say with --evidence what they agreed to"),
        (("give", ANN, "--channel", "mail"), 2, "evidence"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(desk: Desk, words: tuple[str, ...], code: int, told: str) -> None:
    desk.called("consent", *words, code=code)
    assert told in desk.err


def test_why_says_who_stopped_when_on_which_channel_by_which_word(desk: Desk) -> None:
    number = desk.mailed()
    desk.take(Consent(key="c", address=Address.parse(ANN), allowed=False, evidence="wrote STOPP"))
    [sent] = desk.json("reply", str(number), "Hallo")["deliveries"]
    sql(desk, "UPDATE delivery SET state = 'refused', reason = 'the recipient opted out (wrote STOPP)'")
    out = desk.called("why", str(sent["number"]))
    assert "It was not sent, and will not be. the recipient opted out (wrote STOPP).\n" in out
    assert re.search(
        r"\nWhat the recipient said\n  .* on mail: stopped all messages, recorded by provider: wrote STOPP\n", out
    )
    [said] = desk.json("why", str(sent["number"]))["consents"]
    assert (said["channel"], said["allowed"], said["evidence"]) == ("mail", False, "wrote STOPP")


def test_why_says_that_a_consent_is_missing_and_how_one_is_recorded(desk: Desk) -> None:
    number = desk.mailed()
    [sent] = desk.json("reply", str(number), "Hallo")["deliveries"]
    sql(desk, "UPDATE delivery SET purpose = 'outreach'")
    out = desk.called("why", str(sent["number"]))
    assert "It is outreach, and the recipient never agreed to any: it will be refused.\n" in out
    assert f"Record their consent, if you have it: fernamt consent give {ANN} --channel mail" in out
    sql(desk, "UPDATE delivery SET state = ?, reason = ?", DeliveryState.REFUSED, NO_CONSENT)
    assert "fernamt consent give" in desk.called("why", str(sent["number"]))
