"""The way out to Sinch, by HTTP, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from fernamt import Http, Json, Unreachable
from fernamt_sms.answer import good
from fernamt_sms.sinch.codes import of_answer
from fernamt_sms.sinch.settings import SinchSettings

_PAGE: Final = 100
"""So many are the largest page that Sinch gives."""
_MOST_PAGES: Final = 1_000


class Api:
    """Calls one service plan. Errors as in ``send``."""

    def __init__(self, settings: SinchSettings, http: Http) -> None:
        self._base = f"{settings.address}/xms/v1/{settings.plan}"
        self._http = http
        self._headers = {"Authorization": f"Bearer {settings.plan_token.reveal()}"}

    async def send(self, batch: Json) -> str:
        """Send a message, and return its id."""
        reply = await self._http.request("POST", f"{self._base}/batches", headers=self._headers, json=batch)
        id_ = good(reply, of_answer).get("id")
        if not isinstance(id_, str) or not id_:
            raise Unreachable("the answer has no id", certain=False)
        return id_

    async def batches(self, **query: str) -> Sequence[Mapping[str, Any]]:
        """Return the first page of the messages that we sent."""
        return (await self._page("batches", 0, query))[0]

    async def between(
        self, what: Literal["inbounds", "delivery_reports"], start: datetime, end: datetime, **query: str
    ) -> Sequence[Any]:
        """Return everything from *start* on until before *end*, page by page."""
        query = {"start_date": _time(start), "end_date": _time(end), **query}
        found: list[Any] = []
        for number in range(_MOST_PAGES):
            page, count = await self._page(what, number, query)
            found += page
            if not page or len(found) >= count:
                break
        return found

    async def _page(self, what: str, number: int, query: Mapping[str, str]) -> tuple[Sequence[Any], int]:
        """Return a page, and how many there are in all."""
        asked = {"page": str(number), "page_size": str(_PAGE), **query}
        said = good(
            await self._http.request("GET", f"{self._base}/{what}", headers=self._headers, query=asked), of_answer
        )
        items, count = said.get(what), said.get("count")
        if not isinstance(items, list) or not isinstance(count, int):
            raise Unreachable("the answer is none of Sinch's", certain=False)
        return items, count


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
