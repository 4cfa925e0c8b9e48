"""The way out: what a plugin calls its provider with."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

import orjson
from attrs import frozen

from fernamt.errors import Unreachable
from fernamt.model import Json


@frozen(kw_only=True)
class HttpReply:
    """What a provider answered. A 4xx or 5xx is a reply, not an error."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """Return the body as JSON; raises ``Unreachable(certain=False)`` if it is none."""
        try:
            value: Json = orjson.loads(self.body)
        except orjson.JSONDecodeError as why:
            raise Unreachable(f"the answer with status {self.status} is no JSON: {why}", certain=False) from why
        return value

    def retry_after_s(self, default_s: float) -> float:
        """Return in how many seconds to come again, for ``Throttled``: what ``Retry-After`` says, in either of its forms.

        A date is counted from the ``Date`` of the same answer, so it does not matter whose clock is off. *default_s*: nothing
        is said, or nothing that can be understood.
        """
        said = self.headers.get("Retry-After", "").strip()
        if said.isascii() and said.replace(".", "", 1).isdigit():
            return float(said)
        try:
            wait = parsedate_to_datetime(said) - parsedate_to_datetime(self.headers.get("Date", ""))
        except (TypeError, ValueError):  # no date, or only one of them has a zone
            return default_s
        return max(0.0, wait.total_seconds())


class Http(Protocol):
    """The way out: time-outs, no private addresses, limits, redaction. Raises ``Unreachable`` and knows how certain."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = ...,
        query: Mapping[str, str] = ...,
        json: Json = ...,
        form: Mapping[str, str] = ...,
        body: bytes | AsyncIterable[bytes] = ...,
        timeout_s: float = ...,
    ) -> HttpReply:
        """Make one request, no redirect followed, the answer at most 8 MB.

        Raises:
            Unreachable: ``certain=True`` if the request never left this machine (no connection, TLS refused).
        """

    def download(self, url: str, *, headers: Mapping[str, str] = ..., max_bytes: int) -> AsyncIterator[bytes]:
        """Yield a file in pieces.

        Raises:
            Rejected: The answer is a 4xx, or the file is larger than *max_bytes*.
            Throttled: The answer is a 429.
            Unreachable: There was no answer, or a 5xx; asking again changes nothing there.
        """
