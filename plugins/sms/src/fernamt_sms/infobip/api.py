"""The way out to Infobip, by HTTP, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fernamt import Http, Json, Unreachable
from fernamt_sms.answer import good
from fernamt_sms.infobip.codes import of_answer
from fernamt_sms.infobip.settings import InfobipSettings


class Api:
    """Calls one account. Errors as in ``send``."""

    def __init__(self, settings: InfobipSettings, http: Http) -> None:
        self._base = settings.api.rstrip("/")
        self._http = http
        self._headers = {"Authorization": f"App {settings.api_key.reveal()}", "Accept": "application/json"}

    async def send(self, message: Json) -> Mapping[str, Any]:
        """Send a message to one, and return what Infobip says of it: its id and its status."""
        reply = await self._http.request(
            "POST", f"{self._base}/sms/3/messages", headers=self._headers, json={"messages": [message]}
        )
        found = _items(good(reply, of_answer), "messages")
        if len(found) != 1:
            raise Unreachable("the answer is not of one message", certain=False)
        return found[0]

    async def logs(self, **query: str) -> Sequence[Mapping[str, Any]]:
        """Return what Infobip knows of messages of the last two days."""
        reply = await self._http.request("GET", f"{self._base}/sms/3/logs", headers=self._headers, query=query)
        return _items(good(reply, of_answer), "results")

    async def balance(self) -> str:
        """Return the account's balance, with its currency."""
        reply = await self._http.request("GET", f"{self._base}/account/1/balance", headers=self._headers)
        said = good(reply, of_answer)
        value = said.get("balance")
        if not isinstance(value, int | float):
            raise Unreachable("the answer is none of Infobip's", certain=False)
        return f"{value:.2f} {said.get('currency', '')}".rstrip()


def _items(said: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    items = said.get(name)
    if not isinstance(items, list):
        raise Unreachable("the answer is none of Infobip's", certain=False)
    return [one for one in items if isinstance(one, Mapping)]
