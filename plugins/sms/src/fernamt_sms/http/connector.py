"""One gateway, as its tables in the configuration describe it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    HttpReply,
    InboundEvent,
    OutboundMessage,
    Request,
    Response,
    Sent,
    Unreachable,
    Webhook,
)
from fernamt_sms.german import speaking
from fernamt_sms.http import auth, template
from fernamt_sms.http.codes import Codes
from fernamt_sms.http.events import KEY, Kind, Reader
from fernamt_sms.http.place import Document, Place
from fernamt_sms.http.settings import HttpSettings
from fernamt_sms.http.states import states_of
from fernamt_sms.line import Line, OnALine
from fernamt_sms.outcome import AGAIN_S, error
from fernamt_sms.text import segment


class Gateway(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[HttpSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._send = channel.settings.send
        self._url = channel.url
        self._http = context.http
        self._line = Line(channel.settings, channel.settings.sender)
        self._codes = Codes(channel.settings.errors)
        self._success, self._id = Place.parse(self._send.success), Place.parse(self._send.id)
        self._code = Place.parse(self._send.code) or self._success

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        return self._line.capabilities(receipts=states_of(self._settings.receipt), idempotent=self._send.idempotent)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Hand a message to the gateway."""
        with speaking(self._settings.house_language):
            return await self._handed(message)

    async def _handed(self, message: OutboundMessage) -> Sent:
        to, text = self._line.recipient(message), self._line.text(message)
        segments = segment(text)
        values = self._values() | {
            "to": to,
            "digits": to.removeprefix("+"),
            "text": text,
            "key": message.key,
            "parts": str(len(segments.parts)),
            "encoding": segments.encoding.value,
            "callback": f"{auth.address(f'{self._url}receipts', self._settings.inbound)}{KEY}={message.key}",
        }
        send, address = self._send, template.filled(self._send.url, values, template.in_path)
        if send.query:
            address += ("&" if "?" in address else "?") + template.query(send.query, values)
        headers = self._headers(values)
        content = template.body(send.body, send.format, values)
        if content:
            headers = {"Content-Type": template.MEDIA_TYPES[send.format], **headers}
        reply = await self._http.request(send.method, address, headers=headers, body=content)
        return self._sent(reply)

    def _sent(self, reply: HttpReply) -> Sent:
        said = Document.of(reply.body)
        well = self._success.find(said) if self._success is not None else None
        if reply.status // 100 == 2 and self._is_good(well):
            id_ = self._id.find(said) if self._id is not None else ""
            if id_ is None:
                raise Unreachable("the answer has no id where the settings look for it", certain=False)
            return Sent(ids=(id_,) if id_ else ())
        code = (self._code.find(said) if self._code is not None else None) or ""
        meaning = self._codes.of_answer(reply.status, code)
        raise error(meaning, code or str(reply.status), after_s=reply.retry_after_s(AGAIN_S))

    def _is_good(self, well: str | None) -> bool:
        if self._success is None:
            return True
        return well is not None and (not self._send.success_values or well in self._send.success_values)

    def _values(self) -> dict[str, str]:
        secret = self._settings.secret
        return {"sender": self._settings.sender, "secret": secret.reveal() if secret is not None else ""}

    def _headers(self, values: Mapping[str, str]) -> dict[str, str]:
        headers = {}
        for one in self._send.headers:
            name, _, said = one.partition(":")
            headers[name] = template.filled(said.strip(), values)
        if self._send.user:
            login = base64.b64encode(f"{self._send.user}:{values['secret']}".encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        return headers

    async def verify(self) -> str:
        """Ask ``check_url`` with our login."""
        name = self._send.url.split("/")[2]
        if not self._send.check_url:
            return f"{name} (nothing was asked: set check_url)"
        values = dict.fromkeys(template.NAMES, "") | self._values()
        address = template.filled(self._send.check_url, values, template.in_path)
        reply = await self._http.request("GET", address, headers=self._headers(values))
        if reply.status // 100 == 2:
            return name
        raise error(self._codes.of_answer(reply.status, ""), str(reply.status), after_s=reply.retry_after_s(AGAIN_S))

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``messages`` and at ``receipts``, as far as there are tables for it."""
        inbound = self._settings.inbound
        if inbound is None:
            return ()
        reader = Reader(self._settings, inbound)
        done = Response(body=inbound.answer.encode())

        def verify(request: Request) -> None:
            auth.check(request, inbound)

        def sign(request: Request) -> Request:
            return auth.sign(request, inbound)

        kinds: tuple[tuple[str, Kind], ...] = (("messages", "message"), ("receipts", "receipt"))
        return tuple(
            Webhook(path=path, verify=verify, parse=partial(_read, reader, kind), sign=sign, done=done)
            for path, kind in kinds
        )


def _read(reader: Reader, kind: Kind, request: Request) -> Sequence[InboundEvent]:
    return reader.read(request, kind)
