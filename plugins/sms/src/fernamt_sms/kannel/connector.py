"""One Kannel: messages to its smsbox part by part, its calls back."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

from fernamt import (
    Capabilities,
    Channel,
    ChannelError,
    ConnectorContext,
    DeliveryState,
    HttpReply,
    InboundEvent,
    OutboundMessage,
    Request,
    Response,
    Sent,
    Unreachable,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.http import auth
from fernamt_sms.http.settings import InboundSettings
from fernamt_sms.kannel.events import incoming, name_of, told
from fernamt_sms.kannel.settings import KannelSettings
from fernamt_sms.line import Line, OnALine
from fernamt_sms.outcome import AGAIN_S, NO_SUCH_PLACE, NOBODY_THERE, Class, Meaning, error
from fernamt_sms.text import Encoding, header, segment

_ALL_REPORTS: Final = 1 | 2 | 8 | 16
_FAILURES: Final = 2 | 16
_ACCEPTED: Final = 202
_NO_WORDS: Final = Response()
"""What stands in an answer would be sent to the customer."""


class Kannel(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[KannelSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._http = context.http
        self._line = Line(channel.settings, channel.settings.sender)
        self._inbound = InboundSettings(
            auth="path",
            auth_secret=channel.settings.inbound_secret,
            new_auth_secret=channel.settings.new_inbound_secret,
        )

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        receipts = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})
        return self._line.capabilities(receipts=receipts)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Hand over each part that did not get through before, with a header of our own: Kannel would cut a long text."""
        with speaking(self._settings.house_language):
            return await self._sent(message)

    async def _sent(self, message: OutboundMessage) -> Sent:
        to = self._line.recipient(message)
        segments = segment(self._line.text(message))
        ids, total = [*message.sent_ids], len(segments.parts)
        reference = zlib.crc32(message.key.encode())
        for number, part in enumerate(segments.parts, 1):
            if number <= len(message.sent_ids):
                continue
            headers = self._headers(to, segments.encoding) | self._report(message.key, number, last=number == total)
            if total > 1:
                headers["X-Kannel-UDH"] = header(reference, total, number).hex()
            try:
                _accepted(await self._http.request("POST", self._settings.url, headers=headers, body=part.encode()))
            except ChannelError as why:
                why.sent_ids = tuple(ids)
                raise
            ids.append(name_of(message.key, number))
        return Sent(ids=tuple(ids))

    def _headers(self, to: str, encoding: Encoding) -> dict[str, str]:
        headers = self._login() | {
            "X-Kannel-To": to,
            "X-Kannel-Coding": "0" if encoding is Encoding.GSM else "2",
        }
        return headers | ({"X-Kannel-SMSC": self._settings.smsc} if self._settings.smsc else {})

    def _login(self) -> dict[str, str]:
        return {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-Kannel-Username": self._settings.user,
            "X-Kannel-Password": self._settings.password.reveal(),
            "X-Kannel-From": self._settings.sender,
        }

    def _report(self, key: str, number: int, *, last: bool) -> dict[str, str]:
        """Return where the report goes. Of all parts but the last only a failure counts: with the last one all is there."""
        named = urlencode({"key": key, "part": number})
        address = f"{auth.address(f'{self._url}receipts', self._inbound)}{named}&status=%d&answer=%A"
        return {"X-Kannel-DLR-Url": address, "X-Kannel-DLR-Mask": str(_ALL_REPORTS if last else _FAILURES)}

    async def verify(self) -> str:
        """Log in with a message to nobody, which Kannel refuses."""
        reply = await self._http.request("POST", self._settings.url, headers=self._login(), body=b"")
        if reply.status != 400:
            _accepted(reply)
            raise Unreachable("what answers there is no smsbox: it took a message to nobody", certain=False)
        return f"{self._settings.user} at {urlsplit(self._settings.url).netloc}, {self._settings.sender}"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``messages`` and at ``receipts``, with the secret behind."""
        return (
            Webhook(
                path="messages",
                verify=self._verify,
                parse=incoming(self._settings.region, plus_missing=self._settings.plus_missing),
                sign=self._sign,
                done=_NO_WORDS,
            ),
            Webhook(path="receipts", verify=self._verify, parse=self._told, sign=self._sign, done=_NO_WORDS),
        )

    def _told(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(told(request), self._settings.house_language)

    def _verify(self, request: Request) -> None:
        auth.check(request, self._inbound)

    def _sign(self, request: Request) -> Request:
        return auth.sign(request, self._inbound)


def _accepted(reply: HttpReply) -> None:
    """Let a good answer pass; raises ``ChannelError`` for any other."""
    if reply.status == _ACCEPTED and reply.body[:2] in {b"0:", b"3:"}:
        return
    match reply.status:
        case 401 | 403:
            meaning = Meaning(Class.ACCOUNT, "Kannel does not accept user and password")
        case 429:
            meaning = Meaning(Class.THROTTLED, "more messages than Kannel takes")
        case 503 if reply.body.startswith(b"Temporal failure"):
            meaning = Meaning(Class.CERTAIN, "Kannel cannot take messages now")
        case status if status in NO_SUCH_PLACE:
            meaning = NOBODY_THERE
        case status if 400 <= status < 500:
            meaning = Meaning(Class.REFUSED, "Kannel refused the message")
        case _:
            meaning = Meaning(Class.UNCERTAIN, "Kannel has trouble")
    raise error(meaning, str(reply.status), after_s=reply.retry_after_s(AGAIN_S))
