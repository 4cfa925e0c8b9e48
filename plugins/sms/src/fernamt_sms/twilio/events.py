"""What Twilio says, as events: in a call of its own, or in a list that we ask for. Pure; both give the same keys."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from fernamt import (
    Address,
    Attachment,
    ChannelError,
    Consent,
    DeliveryState,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Remote,
    Unparsable,
    Unparsed,
)
from fernamt_sms.number import NAME_SCHEME, sender
from fernamt_sms.outcome import error
from fernamt_sms.twilio.codes import CANCELLED, CODES, NOT_DELIVERED

_SID: Final = re.compile(r"(SM|MM)[0-9a-f]{32}")
_OTHER: Final = re.compile(r"[a-z]+:")
_STATES: Final[Mapping[str, DeliveryState]] = {
    "sent": DeliveryState.SENT,
    "partially_delivered": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}
_ON_ITS_WAY: Final = frozenset({"accepted", "scheduled", "queued", "sending", "receiving", "received"})
_CONSENT: Final = {"STOP": False, "START": True}


def incoming(form: Mapping[str, str]) -> Sequence[InboundEvent]:
    """Return what a call means that brings a message; raises ``Unparsable``."""
    sid = _sid(form)
    who = _sender(form.get("From", ""))
    number = form.get("NumMedia", "0")
    if not re.fullmatch(r"[0-9]{1,2}", number):
        raise Unparsable("NumMedia is no number")
    media = []
    for at in range(int(number)):
        if not (url := form.get(f"MediaUrl{at}", "")):
            raise Unparsable(f"MediaUrl{at} is missing")
        media.append(_file(sid, at, url, form.get(f"MediaContentType{at}", "")))
    return _events(sid, who, form.get("Body", ""), tuple(media), opt_out=form.get("OptOutType", ""))


def status(form: Mapping[str, str], *, message_key: str) -> Sequence[InboundEvent]:
    """Return what a call means that tells what became of a message; raises ``Unparsable``.

    *message_key* is ours, which we gave along with the address of the call.
    """
    sid, said = _sid(form), form.get("MessageStatus") or form.get("SmsStatus", "")
    if said in _ON_ITS_WAY:
        return [Ignored(reason=f"the status {said}")]
    if said not in _STATES:
        raise Unparsable("MessageStatus is missing, or one that we do not know")
    return [receipt(sid, said, form.get("ErrorCode", ""), message_key=message_key)]


def receipt(sid: str, said: str, code: str, *, message_key: str = "", at: datetime | None = None) -> Receipt:
    """Return what a status means; it is one of those that are final, or ``sent``."""
    state = _STATES[said]
    return Receipt(
        key=f"{said}:{sid}",
        id=sid,
        message_key=message_key,
        state=state,
        error=failure(said, code) if state is DeliveryState.FAILED else None,
        at=at,
    )


def failure(said: str, code: str) -> ChannelError:
    """Return why a message was not delivered."""
    return error(CANCELLED if said == "canceled" else CODES.get(code, NOT_DELIVERED), code)


def listed(message: Mapping[str, Any], media: Sequence[tuple[str, str]] = ()) -> Sequence[InboundEvent]:
    """Return what an element of a list of messages means.

    *media* are address and type of what hangs on it. One that we cannot read is kept, and spoils nothing beside it.
    """
    try:
        sid, at = _sid({"MessageSid": _text(message["sid"])}), _at(message)
        if message["direction"] != "inbound":
            said = _text(message["status"])
            if said not in _STATES:
                return [Ignored(reason=f"the status {said}" if said in _ON_ITS_WAY else "an unknown status")]
            return [receipt(sid, said, str(message.get("error_code") or ""), at=at)]
        files = tuple(_file(sid, number, url, kind) for number, (url, kind) in enumerate(media))
        return _events(sid, _sender(_text(message["from"])), _text(message["body"] or ""), files, at=at)
    except (KeyError, TypeError, ValueError, Unparsable) as why:
        raw = orjson.dumps(message)
        key = f"listed:{hashlib.sha256(raw).hexdigest()}"
        return [Unparsed(key=key, reason=f"a message in the list that cannot be read: {why}", raw=raw)]


def _events(
    sid: str, who: Address, text: str, files: tuple[Attachment, ...], *, opt_out: str = "", at: datetime | None = None
) -> Sequence[InboundEvent]:
    received = Received(
        key=sid,
        id=sid,
        sender=who,
        text=text,
        attachments=files,
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=at,
    )
    allowed = _CONSENT.get(opt_out.upper())
    if allowed is None:
        return [received]
    return [received, Consent(key=f"consent:{sid}", address=who, allowed=allowed)]


def _sid(form: Mapping[str, str]) -> str:
    sid = form.get("MessageSid") or form.get("SmsSid", "")
    if not _SID.fullmatch(sid):
        raise Unparsable("MessageSid is missing, or none")
    return sid


def _sender(value: str) -> Address:
    if not value:
        raise Unparsable("From is missing")
    if _OTHER.match(value):
        raise Unparsable(f"a message of another channel than SMS ({value.partition(':')[0]})")
    return sender(value)


def _file(sid: str, number: int, url: str, media_type: str) -> Attachment:
    kind = media_type.partition(";")[0].strip().lower() or "application/octet-stream"
    return Attachment(
        name=f"{sid}-{number + 1}{mimetypes.guess_extension(kind) or ''}", media_type=kind, content=Remote(url)
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text where {type(value).__name__} stands")
    return value


def _at(message: Mapping[str, Any]) -> datetime | None:
    """Return when it was sent, as RFC 2822 says it; not yet: when it was made."""
    said = message.get("date_sent") or message.get("date_created")
    return None if said is None else parsedate_to_datetime(_text(said)).astimezone(UTC)
