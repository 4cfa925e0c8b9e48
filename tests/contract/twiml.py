"""A stranger's telephone line for a provider that wants XML back: one page, and nothing but ``fernamt``."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from attrs import frozen

from fernamt import (
    Address,
    BadSignature,
    Capabilities,
    Channel,
    ConnectorContext,
    Gather,
    Handshake,
    HangUp,
    Happened,
    Hold,
    HungUp,
    InboundEvent,
    LineAction,
    OutboundMessage,
    Polled,
    Pressed,
    Prompt,
    Registry,
    Request,
    Response,
    Say,
    Secret,
    Sent,
    SessionEvent,
    Silence,
    Started,
    Turn,
    Unparsable,
    Unsupported,
    Webhook,
    hookimpl,
)


@frozen(kw_only=True)
class LineSettings:
    token: Secret
    """Signs what the provider sends."""


class Line:
    def __init__(self, channel: Channel[LineSettings], context: ConnectorContext) -> None:
        self._channel = channel

    def capabilities(self) -> Capabilities:
        return Capabilities(max_units=0)

    async def send(self, message: OutboundMessage) -> Sent:
        raise Unsupported("a telephone takes no text")

    def webhooks(self) -> Sequence[Webhook]:
        return [Webhook(path="voice", verify=self._verify, parse=self._parse)]

    def _verify(self, request: Request) -> None:
        form = "".join(name + value for name, value in sorted(parse_qsl(request.body.decode())))
        mac = hmac.new(self._channel.settings.token.reveal().encode(), (request.url + form).encode(), hashlib.sha1)
        if not hmac.compare_digest(base64.b64encode(mac.digest()), request.headers.get("X-Signature", "").encode()):
            raise BadSignature("the signature over address and form does not fit")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        form, asked = dict(parse_qsl(request.body.decode())), request.query
        if "CallSid" not in form or "From" not in form:
            raise Unparsable("there is no CallSid, or no From")
        what = _happened(form, asked.get("then", ""))
        turn = int(asked["turn"]) if "turn" in asked else None
        # The provider numbers nothing: what can happen once in a turn is named by the turn.
        key = f"{type(what).__name__}:{turn}"
        address = Address("phone", form["From"])
        return [SessionEvent(key=key, session=form["CallSid"], turn=turn, address=address, at=request.at, what=what)]

    def answer(self, turn: Turn) -> Response:
        verbs = "".join(self._verb(action, turn.n) for action in turn.actions)
        return Response(body=f"<Response>{verbs}</Response>".encode(), media_type="text/xml")

    def _verb(self, action: LineAction, n: int) -> str:
        back = f"{self._channel.url}voice?turn={n}"

        match action:
            case Say(prompts):
                return _said(prompts)
            case Gather():
                asked = (
                    f"<Gather action={quoteattr(back)} numDigits='{action.max_keys}'>{_said(action.prompts)}</Gather>"
                )
                return asked + f"<Redirect>{escape(back)}&amp;then=silence</Redirect>"
            case Hold():
                pause = f"<Pause length='{action.poll_s:g}'/>"
                return f"{_said(action.prompts)}{pause}<Redirect>{escape(back)}&amp;then=poll</Redirect>"
            case HangUp():
                return "<Hangup/>"
            case _:
                raise Unsupported(f"this line cannot {type(action).__name__}")


def _happened(form: dict[str, str], then: str) -> Happened:
    if form.get("CallStatus") == "completed":
        return HungUp("caller")
    if "Digits" in form:
        return Pressed(form["Digits"])
    if then:
        return Polled() if then == "poll" else Silence()
    return Started(form.get("To", ""))


def _said(prompts: Sequence[Prompt]) -> str:
    return "".join(f"<Say language={quoteattr(one.language)}>{escape(one.text)}</Say>" for one in prompts)


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("twiml", settings=LineSettings, factory=Line, about="a telephone line that speaks XML")
