"""One line at Vonage: its SMS API out, its signed calls in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    HttpReply,
    InboundEvent,
    OutboundMessage,
    Request,
    Sent,
    Unparsable,
    Unreachable,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line
from fernamt_sms.outcome import AGAIN_S, Class, Meaning, error
from fernamt_sms.text import Encoding, encoding_of
from fernamt_sms.vonage.codes import ANSWERS, of_status
from fernamt_sms.vonage.events import incoming, told
from fernamt_sms.vonage.settings import VonageSettings
from fernamt_sms.vonage.signature import check, fields_of, sign


class Vonage:
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[VonageSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._api = channel.settings.api.rstrip("/")
        self._http = context.http
        self._line = Line(channel.settings)

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        receipts = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})
        return self._line.capabilities(receipts=receipts)

    def units(self, message: OutboundMessage) -> int:
        """Count parts."""
        return self._line.units(message)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send a text; Vonage splits it."""
        with speaking(self._settings.house_language):
            return await self._sent(message)

    async def _sent(self, message: OutboundMessage) -> Sent:
        to, text = self._line.recipient(message, sender=self._settings.sender), self._line.text(message)
        form = self._login() | {
            "from": self._settings.sender.removeprefix("+"),
            "to": to.removeprefix("+"),
            "text": text,
            "type": "text" if encoding_of(text) is Encoding.GSM else "unicode",
            # It comes back with each receipt: so it settles a message whose answer was lost.
            "client-ref": message.key,
            "callback": f"{self._url}receipts",
        }
        return Sent(ids=_ids(_said(await self._http.request("POST", f"{self._api}/sms/json", form=form))))

    def _login(self) -> dict[str, str]:
        return {"api_key": self._settings.user, "api_secret": self._settings.secret.reveal()}

    async def verify(self) -> str:
        """Ask for the balance."""
        said = _said(await self._http.request("GET", f"{self._api}/account/get-balance", query=self._login()))
        if "value" not in said:
            raise Unreachable("what answers there is not Vonage", certain=False)
        return f"{self._settings.user}, {self._settings.sender}, balance {said['value']}"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``sms`` with messages, and at ``receipts`` with what became of ours."""
        return (
            Webhook(path="sms", verify=self._verify, parse=self._incoming, sign=self._sign),
            Webhook(path="receipts", verify=self._verify, parse=self._told, sign=self._sign),
        )

    def _verify(self, request: Request) -> None:
        check(request, self._settings)

    def _sign(self, request: Request) -> Request:
        return sign(request, self._settings)

    def _incoming(self, request: Request) -> Sequence[InboundEvent]:
        return incoming(_fields(request), self._settings.region)

    def _told(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(told(_fields(request)), self._settings.house_language)


def _fields(request: Request) -> Mapping[str, str]:
    try:
        return fields_of(request)
    except ValueError as why:
        raise Unparsable(f"this is no call of Vonage's: {type(why).__name__}") from None


def _said(reply: HttpReply) -> Mapping[str, Any]:
    """Return what an answer holds; Vonage says 200 to almost everything."""
    if reply.status != 200:
        raise error(of_status(reply.status), str(reply.status), after_s=reply.retry_after_s(AGAIN_S))
    said = reply.json()
    if not isinstance(said, Mapping):
        raise Unreachable("the answer is none of Vonage's", certain=False)
    return said


def _ids(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the parts; raises what the first part says that was not taken."""
    parts = said.get("messages")
    if not isinstance(parts, list) or not parts or not all(isinstance(one, Mapping) for one in parts):
        raise Unreachable("the answer tells of no message", certain=False)
    ids = tuple(str(one["message-id"]) for one in parts if one.get("status") == "0" and one.get("message-id"))
    if len(ids) == len(parts):
        return ids
    code = next((str(one.get("status", "")) for one in parts if one.get("status") != "0"), "")
    if ids:
        # Some parts are on their way: to send it all again would bring those twice.
        raise Unreachable("Vonage took only some parts of the message", certain=False, code=code)
    unknown = Meaning(Class.REFUSED if code else Class.UNCERTAIN, "Vonage refused the message")
    raise error(ANSWERS.get(code, unknown), code)
