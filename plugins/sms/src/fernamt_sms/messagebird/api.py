"""The way out to Bird, by HTTP, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fernamt import Http, HttpReply, Json, Unreachable
from fernamt_sms.answer import good
from fernamt_sms.messagebird.codes import of_answer
from fernamt_sms.messagebird.settings import MessageBirdSettings

_PAGE: Final = "50"
_MOST_PAGES: Final = 2_000


class Api:
    """Calls one workspace. Errors as in ``send``."""

    def __init__(self, settings: MessageBirdSettings, http: Http) -> None:
        self._base = f"{settings.address}/v1"
        self._http = http
        self._headers = {"Authorization": f"Bearer {settings.api_key.reveal()}"}

    async def send(self, message: Json, *, key: str, attempt: int) -> Mapping[str, Any]:
        """Send a message, and return it as Bird shows it.

        For some three hours Bird says to a repeat with the same *key* what it said to the first, a refusal too: one that is only
        remembered is no answer to this attempt, and as nothing was sent by it, the message goes out under a key of its own.
        """
        reply = await self._post(message, key)
        if 400 <= reply.status < 500 and reply.headers.get("Idempotency-Replay", "").lower() == "true":
            reply = await self._post(message, f"{key}-{attempt}")
        said = good(reply, of_answer)
        if not isinstance(said.get("id"), str) or not said["id"]:
            raise Unreachable("the answer has no id", certain=False)
        return said

    async def _post(self, message: Json, key: str) -> HttpReply:
        headers = {**self._headers, "Idempotency-Key": key}
        return await self._http.request("POST", f"{self._base}/sms/messages", headers=headers, json=message)

    async def last(self, *, since: datetime | None = None, **query: str) -> Sequence[Any]:
        """Return the last messages that fit, the newest first."""
        asked = query if since is None else {"created_after": _time(since), **query}
        return (await self._page("sms/messages", asked))[0]

    async def between(self, start: datetime, end: datetime, **query: str) -> Sequence[Any]:
        """Return all messages from *start* on until before *end* that fit, the newest first."""
        query = {"created_after": _time(start), "created_before": _time(end), **query}
        found: list[Any] = []
        for _ in range(_MOST_PAGES):
            page, following = await self._page("sms/messages", query)
            found += page
            if not page or not following:
                break
            query["starting_after"] = following
        return found

    async def endpoints(self) -> Sequence[Mapping[str, Any]]:
        """Return the webhook endpoints of the workspace."""
        return [one for one in (await self._page("webhooks", {}))[0] if isinstance(one, Mapping)]

    async def _page(self, what: str, query: Mapping[str, str]) -> tuple[Sequence[Any], str]:
        """Return a page, and where the next one begins."""
        asked = {"limit": _PAGE, **query}
        reply = await self._http.request("GET", f"{self._base}/{what}", headers=self._headers, query=asked)
        said = good(reply, of_answer)
        data, following = said.get("data"), said.get("next_cursor")
        if not isinstance(data, list):
            raise Unreachable("the answer is none of Bird's", certain=False)
        return data, following if isinstance(following, str) else ""


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
