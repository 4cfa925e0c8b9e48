"""The answer that a webhook's provider gets when everything is committed."""

from __future__ import annotations

from aiohttp import web

from fernamt.inbound import Response


class FixedResponse(web.Response):
    """An answer that is always the same: its bytes are put together once, for every request that keeps its connection.

    aiohttp's own way to the same bytes costs a fifth of what a message costs in all.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(status=response.status, body=response.body, content_type=response.media_type)
        head = f"HTTP/1.1 {self.status} {self.reason}\r\n"
        if self.status != 204:  # RFC 9110, 8.6: it has no length
            head += f"Content-Type: {response.media_type}\r\nContent-Length: {len(response.body)}\r\n"
        self._whole = f"{head}\r\n".encode() + response.body

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write it; nothing is kept of the request, so one object answers them all."""
        if request.transport is not None:
            request.transport.write(self._whole)

    async def write_eof(self, data: bytes = b"") -> None:
        """All of it is written."""

    @property
    def keep_alive(self) -> bool:
        """It is only given where the connection is kept."""
        return True
