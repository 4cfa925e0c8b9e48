"""The way out to Vonage, by HTTP, and what its answers mean."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from fernamt import Http, HttpReply, Json, Sent, Unreachable
from fernamt_sms.answer import good
from fernamt_sms.outcome import error
from fernamt_sms.vonage.codes import of_answer, of_sms_answer
from fernamt_sms.vonage.settings import VonageSettings


class Api:
    """Calls one account. Errors as in ``send``."""

    def __init__(self, settings: VonageSettings, http: Http) -> None:
        self._messages = settings.messages_url.rstrip("/")
        self._sms = settings.sms_url.rstrip("/")
        self._http = http
        login = base64.b64encode(f"{settings.account}:{settings.api_secret.reveal()}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    async def balance(self) -> str:
        """Return what Vonage says of the account: its balance, in euros."""
        reply = await self._http.request("GET", f"{self._sms}/account/get-balance", headers=self._headers)
        value = good(reply, of_answer).get("value")
        if not isinstance(value, int | float):
            raise Unreachable("the answer is none of Vonage's", certain=False)
        return f"{value:.2f}"

    async def send(self, message: Json) -> Sent:
        """Send a message by the Messages API."""
        reply = await self._http.request("POST", f"{self._messages}/v1/messages", headers=self._headers, json=message)
        uuid = good(reply, of_answer).get("message_uuid")
        if not isinstance(uuid, str) or not uuid:
            raise Unreachable("the answer has no message_uuid", certain=False)
        return Sent(ids=(uuid,))

    async def send_sms(self, form: Mapping[str, str]) -> Sent:
        """Send a message by the SMS API."""
        reply = await self._http.request("POST", f"{self._sms}/sms/json", headers=self._headers, form=form)
        return _sent(reply)


def _sent(reply: HttpReply) -> Sent:
    """Return the ids of the parts: the answer is a good one of HTTP even if Vonage took none of them."""
    parts = good(reply, of_answer).get("messages")
    if not isinstance(parts, list) or not parts or not all(isinstance(one, Mapping) for one in parts):
        raise Unreachable("the answer is none of Vonage's", certain=False)
    taken = [one for one in parts if str(one.get("status")) == "0"]
    ids = tuple(one["message-id"] for one in taken if isinstance(one.get("message-id"), str) and one["message-id"])
    if len(taken) == len(parts):
        if len(ids) < len(parts):
            raise Unreachable("the answer has no message-id", certain=False)
        return Sent(ids=ids)
    refused: Any = next(one for one in parts if one not in taken)
    code = str(refused.get("status", ""))[:5]
    if taken:
        # Some parts are under way, and nobody can send the rest of such a message alone.
        raise Unreachable("Vonage took only some parts of the message", certain=False, code=code, sent_ids=ids)
    raise error(of_sms_answer(code), code)
