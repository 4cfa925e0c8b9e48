"""The channel against an SMSC that misbehaves as it is told: what goes out, what comes in, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fernamt import (
    Address,
    ChannelError,
    DeliveryState,
    NeedsLogin,
    OptedOut,
    OutboundMessage,
    Receipt,
    Received,
    Rejected,
    Secret,
    Sent,
    Throttled,
    Unreachable,
)
from fernamt.testing import FakeContext, FakeIntake, Trouble
from fernamt_sms.smpp.codec import encode
from fernamt_sms.smpp.command import GENERIC_NACK, RESPONSE, Command, response_to
from fernamt_sms.smpp.connector import Smpp
from fernamt_sms.smpp.inbox import WAITING_MAX
from fernamt_sms.smpp.outgoing import number_of
from fernamt_sms.smpp.pdu import Opaque, Pdu
from fernamt_sms.smpp.settings import StatusSettings
from fernamt_sms.smpp.status import Status

from .given import channel, message
from .smsc import ANN, Smsc, from_ann, receipt

LONG = "Ihr Paket ist da. " * 20
"""Three parts."""


class Line:
    """A channel that runs, its SMSC, and what is around it."""

    def __init__(self, smsc: Smsc, context: FakeContext, connector: Smpp, running: asyncio.Task[None]) -> None:
        self.smsc = smsc
        self.context = context
        self.connector = connector
        self.running = running

    async def outcome(self, one: OutboundMessage | None = None) -> Any:
        try:
            return await self.connector.send(one or message())
        except Exception as why:  # noqa: BLE001 - it is what is looked at
            return why

    async def taken(self, count: int) -> list[Any]:
        """Return what intake has, when it has so many different things."""
        await self.context.intake.until(lambda it: len(it.keys) >= count)
        return self.context.intake.events


@asynccontextmanager
async def line(*, offers: int = 10, **more: Any) -> AsyncIterator[Line]:
    """Run a channel, bound to an SMSC that offers so many messages at a time."""
    async with Smsc(window=offers) as smsc:
        context = FakeContext()
        connector = channel(smsc.port, context, **{"answer_s": 0.2} | more)
        running = asyncio.create_task(connector.run())
        try:
            await context.ready()
            yield Line(smsc, context, connector, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


# ---- the bind
@pytest.mark.parametrize(
    ("bind", "commands"),
    [
        ("transceiver", [Command.BIND_TRANSCEIVER]),
        ("pair", [Command.BIND_TRANSMITTER, Command.BIND_RECEIVER]),
    ],
)
async def test_a_line_binds_works_both_ways_and_says_goodbye(bind: str, commands: list[Command]) -> None:
    async with line(bind=bind, system_type="shop") as it:
        it.smsc.bring(from_ann("Wo bleibt es?"))
        [event] = await it.taken(1)
        sent = await it.connector.send(message())
        smsc = it.smsc

    assert [command for command, _ in smsc.binds] == commands
    assert {(one.system_id, one.system_type, one.interface_version) for _, one in smsc.binds} == {
        ("shop", "shop", 0x34)
    }
    assert (event.text, event.sender) == ("Wo bleibt es?", Address("phone", f"+{ANN}"))
    assert sent.ids[0] == "1"
    assert smsc.arrived == ["Ihr Paket ist da"]
    assert [pdu.command for pdu in smsc.requests].count(Command.UNBIND) == len(commands)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (Status.RINVPASWD, NeedsLogin, "password"),
        (Status.RINVSYSID, NeedsLogin, "system_id"),
        (Status.RBINDFAIL, NeedsLogin, "refuses the bind"),
        (Status.RALYBND, Unreachable, "bound already"),
        (Status.RSYSERR, Unreachable, "trouble of its own"),
        (Status.RTHROTTLED, Unreachable, "too fast"),
    ],
)
async def test_a_refused_bind_says_why_and_whether_a_person_has_to_act(
    status: Status, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(one: Any, pdu: Pdu, _body: object) -> None:
        one.write(Pdu(response_to(pdu.command), pdu.sequence, status=status))

    async with Smsc() as smsc:
        monkeypatch.setattr(smsc, "_bind", refuse)
        with pytest.raises(error, match=said) as why:
            await channel(smsc.port, FakeContext()).run()

    assert getattr(why.value, "certain", True)


@pytest.mark.parametrize("password", ["geheim-€", "ge\0heim"])
async def test_a_password_that_smpp_cannot_say_is_told_without_being_shown(password: str) -> None:
    async with Smsc() as smsc:
        with pytest.raises(NeedsLogin, match="a character that SMPP cannot say") as why:
            await channel(smsc.port, FakeContext(), password=Secret(password)).verify()

    assert "geheim" not in f"{why.value!r}"


async def test_an_smsc_that_is_silent_is_asked_and_then_let_go() -> None:
    async with line(answer_s=0.05) as it:
        it.smsc.answers_enquiries = False
        for _ in range(200):
            it.context.clock.advance(30)
            await asyncio.sleep(0.005)
            if it.running.done():
                break
        enquiries = [pdu for pdu in it.smsc.requests if pdu.command == Command.ENQUIRE_LINK]

        with pytest.raises(Unreachable, match="2 enquire_links unanswered"):
            await it.running
    assert len(enquiries) == 2


async def test_an_smsc_that_ends_the_session_is_answered_and_bound_anew() -> None:
    async with line() as it:
        it.smsc.say(Pdu(Command.UNBIND, 77))
        with pytest.raises(Unreachable, match="the SMSC ended the session"):
            await it.running
        await it.smsc.until(lambda: any(pdu.command == response_to(Command.UNBIND) for pdu in it.smsc.requests))


async def test_an_smsc_that_ends_the_session_may_still_answer_what_it_has() -> None:
    async with line(answer_s=5.0) as it:
        it.smsc.trouble = Trouble.SILENCE
        sending = asyncio.create_task(it.outcome())
        await it.smsc.until(lambda: it.smsc.submitted)
        number = next(pdu.sequence for pdu in it.smsc.requests if pdu.command == Command.SUBMIT_SM)
        it.smsc.say(Pdu(Command.UNBIND, 77))
        it.smsc.say(Pdu(Command.ENQUIRE_LINK, 78))
        await it.smsc.until(lambda: any(pdu.sequence == 78 for pdu in it.smsc.requests))
        late = await it.outcome(message(key="k2"))
        it.smsc.say(encode(Pdu(response_to(Command.SUBMIT_SM), number, Opaque(b"00AB\0"))))

        with pytest.raises(Unreachable, match="the SMSC ended the session"):
            await it.running
        assert isinstance(await sending, Sent)
        assert isinstance(late, Throttled)
        await it.smsc.until(lambda: any(pdu.sequence == 77 for pdu in it.smsc.requests))


async def test_an_smsc_that_ends_the_session_and_answers_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fernamt_sms.smpp.session._UNBIND_S", 0.05)
    async with line(answer_s=5.0) as it:
        it.smsc.trouble = Trouble.SILENCE
        sending = asyncio.create_task(it.outcome())
        await it.smsc.until(lambda: it.smsc.submitted)
        it.smsc.say(Pdu(Command.UNBIND, 77))

        with pytest.raises(Unreachable, match="the SMSC ended the session"):
            await it.running
        found = await sending
        assert isinstance(found, Unreachable)
        assert not found.certain


# ---- every PDU is answered
@pytest.mark.parametrize(
    ("pdu", "answer", "status"),
    [
        (Pdu(Command.ENQUIRE_LINK, 5), response_to(Command.ENQUIRE_LINK), Status.ROK),
        (Pdu(0x7777, 5, Opaque(b"what")), GENERIC_NACK, Status.RINVCMDID),
        (Pdu(Command.SUBMIT_SM, 5, from_ann()), response_to(Command.SUBMIT_SM), Status.RINVBNDSTS),
        (Pdu(Command.REPLACE_SM, 5, Opaque(b"")), response_to(Command.REPLACE_SM), Status.RINVBNDSTS),
        (Pdu(Command.BIND_RECEIVER, 5, Opaque(b"x")), GENERIC_NACK, Status.RINVCMDLEN),
        (Pdu(Command.DELIVER_SM, 5, Opaque(b"\0\1\1no end")), response_to(Command.DELIVER_SM), Status.ROK),
    ],
)
async def test_whatever_the_smsc_asks_is_answered_and_the_session_lives_on(pdu: Pdu, answer: int, status: int) -> None:
    async with line() as it:
        it.smsc.say(pdu)
        await it.smsc.until(lambda: any(one.sequence == 5 and one.command & RESPONSE for one in it.smsc.requests))

        [found] = [one for one in it.smsc.requests if one.sequence == 5 and one.command & RESPONSE]
        assert (found.command, found.status) == (answer, status)
        assert isinstance(await it.outcome(), Sent)


@pytest.mark.parametrize("pdu", [Pdu(Command.ALERT_NOTIFICATION, 5, Opaque(b"x")), Pdu(GENERIC_NACK, 4711)])
async def test_what_has_no_answer_gets_none(pdu: Pdu) -> None:
    async with line() as it:
        it.smsc.say(pdu)

        assert isinstance(await it.outcome(), Sent)
        assert not [one for one in it.smsc.requests if one.sequence == 5 and one.command & RESPONSE]


async def test_what_is_no_pdu_ends_the_session_with_a_nack() -> None:
    async with line() as it:
        it.smsc.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unreachable, match="no PDU"):
            await it.running
        await it.smsc.until(lambda: any(one.command == GENERIC_NACK for one in it.smsc.requests))


# ---- out
async def test_parts_go_one_after_the_other_and_have_an_id_each() -> None:
    async with line() as it:
        sent = await it.connector.send(message(LONG))

        assert it.smsc.arrived == [LONG]
        assert sent.ids == ("1", "2", "3", it.connector.id_for(message(LONG)))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status.RTHROTTLED, Throttled),
        (Status.RMSGQFUL, Throttled),
        (Status.RSYSERR, Unreachable),
        (Status.RINVDSTADR, Rejected),
    ],
)
async def test_a_part_that_is_refused_names_those_that_were_taken_and_the_next_attempt_goes_on_behind_them(
    status: Status, error: type[Exception]
) -> None:
    async with line() as it:
        it.smsc.statuses.extend([0, status])

        refused = await it.outcome(message(LONG))
        again = await it.connector.send(message(LONG, attempt=2, sent_ids=refused.sent_ids))

        assert isinstance(refused, ChannelError)
        assert isinstance(refused, error)
        assert refused.code == f"ESME_{status.name}"
        assert refused.sent_ids == ("1",)
        assert it.smsc.arrived == [LONG]
        assert again.ids[:3] == ("1", "2", "3")


def _answered(smsc: Smsc, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Pdu], bytes]) -> None:
    """Let the SMSC answer each submit_sm with these bytes."""

    def submit(one: Any, pdu: Pdu, _body: object) -> None:
        one.writer.write(answer(pdu))

    monkeypatch.setattr(smsc, "_submit", submit)


@pytest.mark.parametrize("status", [Status.ROK, Status.RINVCMDLEN])
async def test_a_nack_takes_no_message_whatever_its_status_says(
    status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line() as it:
        _answered(it.smsc, monkeypatch, lambda pdu: encode(Pdu(GENERIC_NACK, pdu.sequence, status=status)))

        assert isinstance(await it.outcome(), Rejected)


async def test_a_nack_is_no_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Smsc() as smsc:
        monkeypatch.setattr(smsc, "_bind", lambda one, pdu, _body: one.write(Pdu(GENERIC_NACK, pdu.sequence)))

        with pytest.raises(Unreachable, match="does not know bind_transceiver"):
            await channel(smsc.port, FakeContext()).run()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (Status.RTHROTTLED, b"no end", Throttled),
        (Status.RINVDSTADR, b"\0\0", Rejected),
        (Status.ROK, b"00AB\0\0", Sent),
        (Status.ROK, b"00AB\0\x04\x27\x00\x09\x02", Sent),
    ],
)
async def test_of_an_answer_status_and_id_count_whatever_hangs_behind_them(
    status: Status, body: bytes, expected: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line() as it:
        _answered(
            it.smsc,
            monkeypatch,
            lambda pdu: encode(Pdu(response_to(pdu.command), pdu.sequence, Opaque(body), status)),
        )

        found = await it.outcome()

        assert type(found) is expected
        assert getattr(found, "ids", ("ab",))[0] == "ab"


async def test_an_smsc_that_gives_no_id_has_taken_the_message_all_the_same() -> None:
    async with line() as it:
        it.smsc.name = lambda _number: ""

        sent = await it.connector.send(message(LONG))

        assert sent.ids[:3] == ("k1-1", "k1-2", "k1-3")
        assert it.smsc.arrived == [LONG]


async def test_an_agent_reads_why_in_the_language_of_the_house() -> None:
    async with line(house_language="de") as it:
        it.smsc.statuses.append(Status.RINVDSTADR)
        refused = await it.outcome()
        it.smsc.bring(receipt("77", "UNDELIV"))
        [told] = await it.taken(1)

        assert str(refused) == "Das SMSC sagt, diese Nummer gebe es nicht (ESME_RINVDSTADR)"
        assert told.error.reason == "Das Netz konnte sie dieser Nummer nicht zustellen"


async def test_statuses_of_the_smscs_own_mean_what_the_operator_says() -> None:
    own = StatusSettings(
        throttled=("0x0400", "8"), opted_out=("1025",), certain=("0x402",), account=("0x403",), uncertain=("0x404",)
    )
    async with line(errors=own) as it:
        it.smsc.statuses.extend([0x400, Status.RSYSERR, 0x401, 0x402, 0x403, 0x404, 0x405])

        found = [await it.outcome(message(key=f"k{number}")) for number in range(7)]

        assert [type(one) for one in found] == [
            Throttled,
            Throttled,
            OptedOut,
            Unreachable,
            NeedsLogin,
            Unreachable,
            Rejected,
        ]
        assert [one.certain for one in found if isinstance(one, Unreachable)] == [True, False]
        assert found[6].code == "0x00000405"


@pytest.mark.parametrize("trouble", [Trouble.SILENCE, Trouble.LOST_ANSWER, Trouble.CUT_SHORT, Trouble.NONSENSE])
async def test_in_the_middle_of_a_window_what_was_written_is_uncertain_and_nothing_goes_twice(trouble: Trouble) -> None:
    async with line() as it:
        it.smsc.trouble = trouble

        found = await asyncio.gather(*(it.outcome(message(key=f"k{number}")) for number in range(8)))

        assert {(type(one), one.certain) for one in found} == {(Unreachable, False)}
        assert len(it.smsc.submitted) <= 8


async def test_an_answer_that_comes_too_late_settles_the_message() -> None:
    async with line() as it:
        it.smsc.trouble = Trouble.SILENCE
        sent = message()
        uncertain = await it.outcome(sent)
        number = next(pdu.sequence for pdu in it.smsc.requests if pdu.command == Command.SUBMIT_SM)
        it.smsc.say(encode(Pdu(response_to(Command.SUBMIT_SM), number, Opaque(b"00AB\0"))))

        [settled] = await it.taken(1)

        assert not uncertain.certain
        assert settled == Receipt(key="late:k1:ab", state=DeliveryState.SENT, id="ab", message_key="k1")


async def test_a_refusal_that_comes_too_late_settles_it_too_and_too_fast_does_not() -> None:
    async with line() as it:
        it.smsc.trouble = Trouble.SILENCE
        await asyncio.gather(*(it.outcome(message(key=f"k{number}")) for number in (1, 2)))
        numbers = [pdu.sequence for pdu in it.smsc.requests if pdu.command == Command.SUBMIT_SM]
        for number, status in zip(numbers, (Status.RTHROTTLED, Status.RINVDSTADR), strict=True):
            it.smsc.say(Pdu(response_to(Command.SUBMIT_SM), number, status=status))

        [settled] = await it.taken(1)

        assert (settled.state, settled.message_key) == (DeliveryState.FAILED, "k2")
        assert isinstance(settled.error, Rejected)


async def test_a_second_answer_to_one_request_says_nothing_new() -> None:
    async with line() as it:
        await it.connector.send(message())
        number = next(pdu.sequence for pdu in it.smsc.requests if pdu.command == Command.SUBMIT_SM)
        it.smsc.say(Pdu(response_to(Command.SUBMIT_SM), number, status=Status.RINVDSTADR))
        it.smsc.bring(from_ann())

        [came] = await it.taken(1)

        assert isinstance(came, Received)


async def test_while_the_line_is_being_bound_the_sender_waits_and_then_pauses() -> None:
    async with line() as it:
        await it.smsc.meet(Trouble.NOT_THERE)
        with pytest.raises(Unreachable):
            await it.running
        connector = it.connector
        waiting = asyncio.create_task(connector.send(message()))
        await it.smsc.meet(None)
        again = asyncio.create_task(connector.run())

        assert isinstance(await waiting, Sent)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_nothing_is_tried_on_a_line_that_is_not_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernamt_sms.smpp.connector._REBOUND_S", 0.01)
    async with line() as it:
        await it.smsc.meet(Trouble.NOT_THERE)
        with pytest.raises(Unreachable):
            await it.running

        found = await it.outcome()

        assert isinstance(found, Throttled)
        assert "not bound" in found.reason


async def test_so_many_messages_are_under_way_as_the_window_holds_and_of_each_one_part() -> None:
    async with line(window=3, answer_s=5.0) as it:
        assert it.connector.capabilities().in_flight == 3  # the core keeps to it
        it.smsc.trouble = Trouble.SILENCE
        long = asyncio.create_task(it.outcome(message(LONG)))
        await it.smsc.until(lambda: len(it.smsc.submitted) == 1)
        short = asyncio.create_task(it.outcome(message("short", key="k2")))
        await it.smsc.until(lambda: len(it.smsc.submitted) == 2)
        assert it.smsc.submitted[1].text == b"short"  # and no second part of the long one before it
        for one in (long, short):
            one.cancel()
        await asyncio.gather(long, short, return_exceptions=True)


@pytest.mark.parametrize(("state", "found"), [(1, Sent), (2, Sent), (6, Sent), (5, str), (7, str), (None, str)])
async def test_query_sm_settles_a_message_whose_id_is_known(state: int | None, found: type) -> None:
    async with line() as it:
        if state is not None:
            it.smsc.states["ab"] = state

        assert isinstance(await it.connector.lookup(message(sent_ids=("ab",))), found)


async def test_without_an_id_an_smsc_can_be_asked_for_nothing() -> None:
    async with line() as it:
        assert await it.connector.lookup(message()) == "unknown"
        assert await it.connector.lookup(message(LONG, sent_ids=("a", "b"))) == "unknown"
        assert not [pdu for pdu in it.smsc.requests if pdu.command == Command.QUERY_SM]


async def test_verify_says_whom_we_are_bound_to() -> None:
    async with Smsc() as smsc:
        assert await channel(smsc.port, FakeContext()).verify() == f"shop at 127.0.0.1:{smsc.port} (smsc)"


# ---- in
async def test_a_message_is_answered_only_when_it_is_kept() -> None:
    async with line() as it:
        it.context.intake.hold = asyncio.Event()
        [held] = it.smsc.bring(from_ann())
        await it.context.intake.entered.wait()
        await asyncio.sleep(0.05)
        assert held.answers == []

        it.context.intake.hold.set()
        await it.smsc.until(lambda: held.answers == [0])


async def test_what_cannot_be_kept_is_refused_for_now_and_comes_again_as_the_same() -> None:
    async with line() as it:
        it.context.intake.refuse = 2
        [held] = it.smsc.bring(from_ann())

        await it.smsc.until(lambda: len(held.answers) == 3)

        assert held.answers == [Status.RX_T_APPN, Status.RX_T_APPN, Status.ROK]
        assert len(it.context.intake.events) == 1


async def test_what_there_is_no_room_for_is_offered_again() -> None:
    async with line(offers=WAITING_MAX * 2) as it:
        it.context.intake.hold = asyncio.Event()
        held = it.smsc.bring(*(from_ann(f"Nachricht {number}") for number in range(WAITING_MAX + 300)))
        await it.smsc.until(lambda: any(one.answers for one in held))
        assert {status for one in held for status in one.answers} == {Status.RMSGQFUL}

        it.context.intake.hold.set()
        await it.smsc.until(lambda: len(it.smsc.taken) == len(held))
        assert len(it.context.intake.keys) == len(held)


async def test_messages_of_one_moment_are_kept_together_in_their_order() -> None:
    texts = [f"Nachricht {number}" for number in range(50)]
    async with line(offers=50) as it:
        it.smsc.bring(*(from_ann(text) for text in texts))
        events = await it.taken(50)

        assert [event.text for event in events] == texts
        assert len(it.context.intake.taken) < 25


async def test_a_customer_who_says_the_same_twice_is_heard_twice() -> None:
    async with line() as it:
        first, second = it.smsc.bring(from_ann("Ja"), from_ann("Ja"))
        await it.smsc.until(lambda: first.answers and second.answers)

        assert len(it.context.intake.keys) == 2


@pytest.mark.parametrize("store_dies", [True, False])
async def test_what_is_offered_again_after_a_break_is_kept_once(*, store_dies: bool) -> None:
    async with Smsc() as smsc:
        context = FakeContext()
        context.intake.dies = store_dies
        smsc.bring(from_ann("Ja"))
        for number in (1, 2):
            running = asyncio.create_task(channel(smsc.port, context).run())
            await context.intake.until(lambda it, number=number: len(it.taken) >= min(number, 1 + store_dies))  # type: ignore[misc]
            await asyncio.sleep(0.02)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert len(context.intake.keys) == 1
        assert len(context.intake.events) == 1 + store_dies


async def test_at_the_end_what_was_taken_is_kept_and_the_rest_left_to_the_smsc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernamt_sms.smpp.connector._REST_S", 10.0)  # a machine that has other things to do
    async with line() as it:
        it.smsc.again_s = 60.0
        it.context.intake.hold = asyncio.Event()
        [held] = it.smsc.bring(from_ann())
        await it.context.intake.entered.wait()
        it.running.cancel()
        await asyncio.sleep(0.02)
        [late] = it.smsc.bring(from_ann("zu spät"))
        await it.smsc.until(lambda: late.answers)
        it.context.intake.hold.set()
        await asyncio.gather(it.running, return_exceptions=True)
        await it.smsc.until(lambda: held.answers)

        assert held.answers == [Status.ROK]
        assert late.answers == [Status.RX_T_APPN]
        assert [pdu.command for pdu in it.smsc.requests].count(Command.UNBIND) == 1


async def test_a_receipt_finds_its_message_and_a_message_is_no_receipt() -> None:
    async with line() as it:
        sent = await it.connector.send(message())
        it.smsc.bring(receipt("0000000001"), from_ann("id:1 stat:DELIVRD err:000"))
        told, written = await it.taken(2)

        assert isinstance(told, Receipt)
        assert (told.id, told.state) == (sent.ids[0], DeliveryState.DELIVERED)
        assert isinstance(written, Received)


async def test_an_early_receipt_is_told_and_the_core_keeps_it_for_its_message() -> None:
    async with line() as it:
        it.smsc.bring(receipt("0000000001"))
        [told] = await it.taken(1)

        assert told.id == (await it.connector.send(message())).ids[0]


async def test_what_nobody_is_there_to_keep_is_not_lost() -> None:
    async with Smsc() as smsc:
        [held] = smsc.bring(from_ann())

        assert await channel(smsc.port, FakeContext()).verify()
        await smsc.until(lambda: held.answers)
        assert held.answers[0] == Status.RX_T_APPN


async def test_our_own_number_goes_along_only_if_the_smsc_takes_it() -> None:
    async with line(references=False) as it:
        sent = await it.connector.send(message())

        assert sent.ids == ("1",)
        assert it.connector.id_for(message()) == ""
        assert it.smsc.submitted[0].tlvs == {}
    assert 0 < number_of(message()) < 0x10000


async def test_a_fault_that_nobody_foresaw_ends_the_run_and_says_yes_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object, **__: object) -> Any:
        raise RuntimeError("nobody foresaw it")

    async with line() as it:
        monkeypatch.setattr(FakeIntake, "accept", fail)
        [held] = it.smsc.bring(from_ann())

        with pytest.raises(RuntimeError, match="nobody foresaw it"):
            await it.running
        assert held.answers == []
