"""The way out to Telnyx, by HTTP, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fernamt import Http, Json, Unreachable
from fernamt_sms.answer import good
from fernamt_sms.telnyx.codes import of_answer
from fernamt_sms.telnyx.settings import TelnyxSettings


class Api:
    """Calls one account. Errors as in ``send``."""

    def __init__(self, settings: TelnyxSettings, http: Http) -> None:
        self._base = f"{settings.api.rstrip('/')}/v2"
        self._http = http
        self._headers = {"Authorization": f"Bearer {settings.api_key.reveal()}"}

    async def send(self, message: Json, *, key: str) -> Mapping[str, Any]:
        """Send a message, and return it as Telnyx shows it.

        A repeat with the same *key* and the same message within a day makes no second one; ``""``: it is no repeat of anything.
        """
        headers = {**self._headers, "Idempotency-Key": key} if key else self._headers
        data = _data(
            good(await self._http.request("POST", f"{self._base}/messages", headers=headers, json=message), of_answer)
        )
        if not isinstance(data.get("id"), str) or not data["id"]:
            raise Unreachable("the answer has no id", certain=False)
        return data

    async def balance(self) -> Mapping[str, Any]:
        """Return what Telnyx says of the account's balance."""
        return await self._get("balance")

    async def profile(self, id_: str) -> Mapping[str, Any]:
        """Return what Telnyx says of a messaging profile."""
        return await self._get(f"messaging_profiles/{id_}")

    async def _get(self, path: str) -> Mapping[str, Any]:
        return _data(good(await self._http.request("GET", f"{self._base}/{path}", headers=self._headers), of_answer))


def _data(said: Mapping[str, Any]) -> Mapping[str, Any]:
    data = said.get("data")
    if not isinstance(data, Mapping):
        raise Unreachable("the answer is none of Telnyx's", certain=False)
    return data
