"""The kind ``sms.smpp``: an ESME at one SMSC."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from typing import Any, Final, Literal

from fernamt import (
    Capabilities,
    Channel,
    ChannelError,
    ConnectorContext,
    DeliveryState,
    OutboundMessage,
    Receipt,
    Rejected,
    Sent,
    Throttled,
    Unreachable,
)
from fernamt_sms.german import speaking, spoken, tell
from fernamt_sms.line import Line, OnALine
from fernamt_sms.smpp.command import Command
from fernamt_sms.smpp.ids import Habit
from fernamt_sms.smpp.inbox import Inbox
from fernamt_sms.smpp.incoming import Incoming
from fernamt_sms.smpp.link import Link, bound, first
from fernamt_sms.smpp.outgoing import Outgoing, number_of, reference_id
from fernamt_sms.smpp.pdu import Message, Pdu, Queried, Query, Taken
from fernamt_sms.smpp.session import Broken, Session
from fernamt_sms.smpp.settings import SmppSettings
from fernamt_sms.smpp.status import Status, error_of

_REBOUND_S: Final = 5.0
"""So long nothing is tried when the line is not bound."""
_REST_S: Final = 1.0
"""So long what has come may take to be kept when we stop."""
_TAKEN_STATES: Final = frozenset({1, 2, 6})
"""enroute, delivered, accepted: what query_sm says of a message that is with the SMSC, or was."""


class Smpp(OnALine):
    """A channel: one account at one SMSC."""

    def __init__(self, channel: Channel[SmppSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context
        self._line = Line(channel.settings, channel.settings.sender)
        self._outgoing = Outgoing(channel.settings)
        self._incoming = Incoming(channel.settings, told=self._found_out)
        self._own = channel.settings.errors.by_status()
        self._is_run = False
        self._link: Link | None = None
        self._up = asyncio.Event()
        self._reports: set[asyncio.Task[None]] = set()

    # ---- what it can do
    def capabilities(self) -> Capabilities:
        """See ``Describes``."""
        states = (
            {DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED} if self._settings.receipts else set()
        )
        return self._line.capabilities(in_flight=self._settings.window, receipts=frozenset(states))

    def units(self, message: OutboundMessage) -> int:
        """See ``Measures``: as this SMSC's alphabet makes them."""
        self._check(message)
        return len(self._outgoing.segments(message).parts)

    def id_for(self, message: OutboundMessage) -> str:
        """See ``ChoosesId``: what a receipt gives back as user_message_reference, if the SMSC does that."""
        if not self._settings.references:
            return ""
        try:
            return reference_id(number_of(message), self._outgoing.recipient(message))
        except Rejected:
            return ""  # send says why

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """See ``Connector``: each part in its turn, behind those that got through before."""
        try:
            recipient = self._outgoing.recipient(message)
            parts = self._outgoing.parts(message, recipient)
            if self._link is not None and not self._link.sender.is_over:  # as nearly always
                return await self._sent(self._link, message, recipient, parts)
            async with await self._bound() as link:
                return await self._sent(link, message, recipient, parts)
        except ChannelError as why:
            tell(why, self._settings.house_language)
            raise

    async def _sent(self, link: Link, message: OutboundMessage, recipient: str, parts: Sequence[Message]) -> Sent:
        ids = [*message.sent_ids]
        for at, part in enumerate(parts, 1):
            if at > len(message.sent_ids):
                taken = await self._submit(link, message, part, tuple(ids), is_last=at == len(parts))
                ids.append(taken or f"{message.key}-{at}")
        if self._settings.references:
            ids.append(reference_id(number_of(message), recipient))
        return Sent(ids=tuple(ids))

    async def _submit(
        self, link: Link, message: OutboundMessage, part: Message, before: tuple[str, ...], *, is_last: bool
    ) -> str:
        """Submit one part and return its id; ``""``: the SMSC took it and gave none."""
        late = partial(self._came_late, message, part, is_last=is_last)
        try:
            answer = await link.sender.request(Command.SUBMIT_SM, part, late=late)
        except Unreachable as why:
            raise Unreachable(why.reason, certain=why.certain, code=why.code, sent_ids=before) from None
        if answer.status:
            raise error_of(answer.status, self._own, pause_s=self._settings.pause_s, sent_ids=before)
        name = answer.body.message_id if isinstance(answer.body, Taken) else ""
        return self._incoming.ids.submitted(name, part.dest.value, is_last=is_last) if name else ""

    def _came_late(self, message: OutboundMessage, part: Message, answer: Pdu, *, is_last: bool) -> None:
        """Settle a message that is uncertain by now. Of a part that is not the last one nothing follows for the whole."""
        self._context.log.info("answer_late", message=message.key, status=answer.status, last_part=is_last)
        task = asyncio.ensure_future(self._settle_late(message, part, answer, is_last=is_last))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _settle_late(self, message: OutboundMessage, part: Message, answer: Pdu, *, is_last: bool) -> None:
        taken = answer.body.message_id if isinstance(answer.body, Taken) else ""
        if not answer.status and taken and is_last:
            name = self._incoming.ids.submitted(taken, part.dest.value)
            receipt = Receipt(
                key=f"late:{message.key}:{name}", state=DeliveryState.SENT, id=name, message_key=message.key
            )
        elif answer.status and isinstance(
            error := error_of(answer.status, self._own, pause_s=self._settings.pause_s), Rejected
        ):
            receipt = Receipt(
                key=f"late:{message.key}:{message.attempt}",
                state=DeliveryState.FAILED,
                message_key=message.key,
                error=error,
            )
        else:
            return
        await self._context.intake.accept(spoken([receipt], self._settings.house_language), wait=True)

    async def _bound(self) -> AbstractAsyncContextManager[Link]:
        """Return the line that :meth:`run` holds; without it, where nobody runs, one of its own."""
        if not self._is_run:
            return bound(self._settings, _not_now, self._own)
        if not self._up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_REBOUND_S):
                    await self._up.wait()
        if self._link is None or self._link.sender.is_over:
            raise Throttled("the line is not bound: nothing is sent until it is", after_s=_REBOUND_S)
        return nullcontext(self._link)

    # ---- asking
    async def verify(self) -> str:
        """Bind, ask whether somebody is there, and unbind; return whom we are bound to. Errors as in ``send``."""
        async with bound(self._settings, _not_now, self._own) as link:
            await link.sender.request(Command.ENQUIRE_LINK)
            whom = f" ({link.smsc})" if link.smsc else ""
            return f"{self._settings.system_id} at {self._settings.host}:{self._settings.port}{whom}"

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Ask for the last part by its id, if all parts have one: an SMSC knows messages by nothing else."""
        parts = self._outgoing.parts(message, self._outgoing.recipient(message))
        names = [one for one in message.sent_ids if not one.startswith("ref-")]
        if len(names) < len(parts):
            return "unknown"
        async with await self._bound() as link:
            answer = await link.sender.request(Command.QUERY_SM, Query(names[-1], self._outgoing.source))
        found = answer.body
        if answer.status or not isinstance(found, Queried) or found.state not in _TAKEN_STATES:
            return "unknown"
        return Sent(ids=tuple(names))

    # ---- the line
    async def run(self) -> None:
        """Be bound until cancelled. What comes is kept before it is answered; at the end it gets a moment for that.

        Raises:
            NeedsLogin: The SMSC does not accept the account.
            Unreachable: It cannot be reached, or the line broke.
        """
        self._is_run = True
        inbox = Inbox(self._incoming, self._context.intake)
        try:
            with speaking(self._settings.house_language):
                async with bound(self._settings, inbox.take, self._own) as link:
                    why = await self._held(link, inbox)
        except asyncio.CancelledError:
            self._is_run = False
            raise
        raise Unreachable(why, certain=True)

    async def _held(self, link: Link, inbox: Inbox) -> str:
        """Work on a bound line until it breaks; return why it did."""
        keeping = asyncio.ensure_future(inbox.run())
        self._link = link
        self._up.set()
        self._context.log.info("smsc_bound", host=self._settings.host, smsc=link.smsc, sessions=len(link.sessions))
        self._context.report_state("up")
        try:
            watched = link.watched(self._context.clock, self._settings.enquire_s)
            return str(await first(link.ended(), watched, _outcome_of(keeping)))
        finally:
            self._link = None
            self._up.clear()
            inbox.close()
            await _within(_REST_S, inbox.emptied(), keeping)
            for task in (keeping, *self._reports):
                task.cancel()
            await asyncio.gather(keeping, *self._reports, return_exceptions=True)

    def _found_out(self, habit: Habit) -> None:
        self._context.log.warning(
            "receipt_ids_differ",
            found=habit,
            fix=f"set receipt_ids = {habit!r}, so that it is known after a restart, too",
        )


def _not_now(session: Session, pdu: Pdu | Broken) -> None:
    """Answer what comes while nobody is there to keep it: it is offered again."""
    session.answer(pdu.request if isinstance(pdu, Broken) else pdu, status=Status.RX_T_APPN)


async def _outcome_of(task: asyncio.Task[Any]) -> None:
    """Raise what *task* raises; cancelled, leave it as it is."""
    await asyncio.shield(task)


async def _within(seconds: float, body: Coroutine[Any, Any, None], task: asyncio.Task[Any]) -> None:
    """Run *body*, at most so long, and not beyond the end of *task*."""
    with suppress(Exception, asyncio.CancelledError):
        async with asyncio.timeout(seconds):
            await first(body, _outcome_of(task))
