"""An SMSC that misbehaves as it is told: binds, takes messages, offers what waits until it is taken, all in memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections import deque
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Final, Self

from attrs import define, evolve, field

from fernamt.testing import Trouble
from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.codec import Framer, decode, encode
from fernamt_sms.smpp.coding import text_of
from fernamt_sms.smpp.command import RESPONSE, Command, name_of, response_to
from fernamt_sms.smpp.pdu import Bind, Body, Bound, Message, Opaque, Party, Pdu, Queried, Query, Taken
from fernamt_sms.smpp.status import Status

SYSTEM_ID: Final = "shop"
PASSWORD: Final = "geheim-8"
"""The specification allows no more than eight characters."""
ANN: Final = "4915112345678"
US: Final = "4930123456"
_AGAIN_S: Final = 0.03
_BINDS: Final = {Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER}
_REFUSES: Final = {Trouble.THROTTLED: Status.RTHROTTLED, Trouble.REFUSED: Status.RINVDSTADR}
_BRINGS: Final = {Command.BIND_TRANSCEIVER, Command.BIND_RECEIVER}


def from_ann(words: str = "Hallo", **more: object) -> Message:
    """Return what Ann writes to us, in UCS-2."""
    said = {"source": Party(ANN, 1, 1), "dest": Party(US, 1, 1), "data_coding": 8, "text": words.encode("utf-16-be")}
    return Message(**said | more)  # type: ignore[arg-type]


def receipt(name: str, state: str = "DELIVRD", **more: object) -> Message:
    """Return a receipt in words, as the specification suggests them."""
    text = f"id:{name} sub:001 dlvrd:001 submit date:2611301200 done date:2611301201 stat:{state} err:000 text:Hallo"
    said: dict[str, object] = {
        "source": Party(ANN, 1, 1),
        "dest": Party(US, 1, 1),
        "esm_class": 4,
        "text": text.encode("latin-1"),
    }
    return Message(**said | more)  # type: ignore[arg-type]


@define(eq=False)
class Held:
    """Something that waits for us."""

    body: Body
    command: int = Command.DELIVER_SM
    offers: int = 0
    answers: list[int] = field(factory=list)


@define(eq=False)
class Connection:
    """One session, seen from here."""

    writer: asyncio.StreamWriter
    bound: int = 0
    open: dict[int, Held] = field(factory=dict)
    """What was offered on it and is not answered."""
    numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def write(self, pdu: Pdu) -> None:
        self.writer.write(encode(pdu))


class Smsc:
    """Entered, it listens on :attr:`port` of this machine."""

    troubles: Collection[Trouble] = frozenset(
        {
            Trouble.NOT_THERE,
            Trouble.LOST_QUESTION,
            Trouble.LOST_ANSWER,
            Trouble.SILENCE,
            Trouble.CUT_SHORT,
            Trouble.NONSENSE,
            Trouble.THROTTLED,
            Trouble.REFUSED,
            Trouble.LOGIN,
        }
    )

    def __init__(self, *, tls: ssl.SSLContext | None = None, window: int = 10) -> None:
        self.port = 0
        self.asked = 0
        self.trouble: Trouble | None = None
        self.binds: list[tuple[int, Bind]] = []
        self.requests: list[Pdu] = []
        """Everything that we were asked, in order."""
        self.submitted: list[Message] = []
        """What was taken."""
        self.statuses: deque[int] = deque()
        """How the next submits are answered; 0: taken."""
        self.name: Callable[[int], str] = lambda number: f"{number:010x}"
        """The id of the message of that number."""
        self.answers_enquiries = True
        self.states: dict[str, int] = {}
        """What query_sm is told, by id."""
        self.again_s = _AGAIN_S
        self.held: list[Held] = []
        self.taken: list[Held] = []
        """What was held and is acknowledged."""
        self.connections: list[Connection] = []
        self._tls = tls
        self._window = window
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    # ---- what a test does
    async def hold(self, *texts: str) -> None:
        self.bring(*(from_ann(text) for text in texts))

    async def hold_poison(self) -> None:
        self.held.append(Held(Opaque(b"\0\1\1no end of this")))
        self._offer()

    async def put(self, content: bytes) -> None:
        """Let what a recording holds wait: the command and the body of a PDU."""
        pdu = decode(content)
        self.held.append(Held(pdu.body, pdu.command))
        self._offer()

    def bring(self, *messages: Message) -> list[Held]:
        """Let messages wait, behind those that wait already."""
        held = [Held(one) for one in messages]
        self.held += held
        self._offer()
        return held

    async def until(self, look: Callable[[], object], *, within_s: float = 10.0) -> None:
        """Return when *look* is true."""
        async with asyncio.timeout(within_s):
            while not look():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._changed.wait()

    def cut(self) -> None:
        """Cut every connection, as a cable that is pulled."""
        for one in self.connections:
            one.writer.transport.abort()

    def say(self, pdu: Pdu | bytes) -> None:
        """Say something on each connection."""
        for one in self.connections:
            one.writer.write(pdu if isinstance(pdu, bytes) else encode(pdu))

    # ---- what the kit asks
    @property
    def arrived(self) -> Sequence[str]:
        """What people can read: parts are joined as their phones do."""
        shown: dict[object, str] = {}
        for number, one in enumerate(self.submitted):
            content, joined_by = one.content, object()
            key: object = joined_by
            if one.esm_class & 0x40:
                end = content[0] + 1
                key, content = (one.dest.value, content[1 : end - 1]), content[end:]
            elif tlv.SAR_MSG_REF_NUM in one.tlvs:
                key = (one.dest.value, one.tlvs[tlv.SAR_MSG_REF_NUM])
            text = text_of(content, one.data_coding, "gsm") or ""
            shown[key if key is not joined_by else number] = shown.get(key, "") + text
        return [*shown.values()]

    def transcript(self) -> Sequence[str]:
        """What was submitted, field by field."""
        said = []
        for one in self.submitted:
            fields = {
                "service_type": one.service_type,
                "source": f"{one.source.ton}/{one.source.npi} {one.source.value}",
                "dest": f"{one.dest.ton}/{one.dest.npi} {one.dest.value}",
                "esm_class": f"0x{one.esm_class:02x}",
                "registered_delivery": str(one.registered),
                "data_coding": str(one.data_coding),
                "short_message": one.text.hex(" "),
                **{f"0x{tag:04x}": value.hex(" ") for tag, value in one.tlvs.items()},
            }
            said.append("submit_sm\n" + "\n".join(f"{name}: {value}".rstrip() for name, value in fields.items()))
        return said

    async def meet(self, trouble: Trouble | None) -> None:
        self.trouble = trouble
        if trouble is Trouble.NOT_THERE:
            await self._close()
        else:
            self.cut()
            await self._listen()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        await asyncio.sleep(0)

    # ---- a session
    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        one, framer = Connection(writer), Framer()
        self.connections.append(one)
        try:
            while data := await reader.read(65_536):
                for frame in framer.feed(data):
                    self._take(one, decode(frame))
                self._changed.set()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.connections.remove(one)
            # What was not answered is offered again, in its old place.
            self.held[:0] = one.open.values()
            writer.close()
            self._changed.set()

    def _take(self, one: Connection, pdu: Pdu) -> None:
        self.requests.append(pdu)
        if pdu.command & RESPONSE:
            self._answered(one, pdu)
        elif pdu.command in _BINDS and isinstance(pdu.body, Bind):
            self._bind(one, pdu, pdu.body)
        elif pdu.command == Command.SUBMIT_SM and isinstance(pdu.body, Message):
            self._submit(one, pdu, pdu.body)
        elif pdu.command == Command.QUERY_SM and isinstance(pdu.body, Query):
            state = self.states.get(pdu.body.message_id)
            if state is None:
                one.write(Pdu(response_to(pdu.command), pdu.sequence, status=Status.RQUERYFAIL))
            else:
                one.write(pdu.answer(Queried(pdu.body.message_id, "", state, 0)))
        elif pdu.command == Command.ENQUIRE_LINK:
            if self.answers_enquiries:
                one.write(pdu.answer())
        elif pdu.command == Command.UNBIND:
            one.write(pdu.answer())
            one.writer.close()
        else:
            raise AssertionError(f"nobody asks an SMSC for {name_of(pdu.command)}")

    def _bind(self, one: Connection, pdu: Pdu, body: Bind) -> None:
        if self.trouble is Trouble.LOST_QUESTION:
            one.writer.close()
            return
        self.binds.append((pdu.command, body))
        if self.trouble is Trouble.LOGIN or (body.system_id, body.password) != (SYSTEM_ID, PASSWORD):
            one.write(Pdu(response_to(pdu.command), pdu.sequence, status=Status.RINVPASWD))
            return
        one.bound = pdu.command
        one.write(pdu.answer(Bound("smsc")))
        self._offer()

    def _submit(self, one: Connection, pdu: Pdu, body: Message) -> None:
        status = self.statuses.popleft() if self.statuses else 0
        status = _REFUSES.get(self.trouble, status) if self.trouble else status
        if status:
            one.write(Pdu(response_to(pdu.command), pdu.sequence, status=status))
            return
        self.submitted.append(body)
        answer = encode(pdu.answer(Taken(self.name(len(self.submitted)))))
        match self.trouble:
            case Trouble.SILENCE:
                return
            case Trouble.LOST_ANSWER:
                one.writer.close()
            case Trouble.CUT_SHORT:
                one.writer.write(answer[:-5])
                one.writer.close()
            case Trouble.NONSENSE:
                one.writer.write(b"<!doctype html><p>503 Service Unavailable")
            case _:
                one.writer.write(answer)

    # ---- what waits
    def _offer(self) -> None:
        for one in self.connections:
            while one.bound in _BRINGS and self.held and len(one.open) < self._window:
                what = self.held.pop(0)
                number = next(one.numbers)
                what.offers += 1
                one.open[number] = what
                one.write(Pdu(what.command, number, what.body))

    def _answered(self, one: Connection, pdu: Pdu) -> None:
        what = one.open.pop(pdu.sequence, None)
        if what is None:
            return
        what.answers.append(pdu.status)
        if not pdu.status:
            self.taken.append(what)
            self._offer()
            return

        async def again() -> None:
            await asyncio.sleep(self.again_s)
            self.held.insert(0, what)
            self._offer()

        task = asyncio.ensure_future(again())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def changed(message: Message, **more: object) -> Message:
    """Return a message with other fields."""
    return evolve(message, **more)  # type: ignore[arg-type]
