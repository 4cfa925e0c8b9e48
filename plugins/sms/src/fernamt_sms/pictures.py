"""Pictures of an MMS on their way to a provider, which fetches them from us by a signed address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from aiohttp import web

from fernamt import Attachment, BadSignature, Blob, ConnectorContext, Rejected

_VALID: Final = timedelta(hours=4)
_PURPOSE: Final = "picture"


class Pictures:
    """Signs the address of each picture, and gives it to whoever has one."""

    def __init__(self, url: str, context: ConnectorContext) -> None:
        self._url = url
        self._context = context

    def address(self, file: Attachment) -> str:
        """Return where a picture can be fetched for some hours; raises ``Rejected`` if it is not here."""
        if not isinstance(file.content, Blob):
            raise Rejected("an attachment is not here")
        said = f"{_PURPOSE} {file.content.digest} {file.content.size} {file.media_type}"
        token = quote(self._context.sign(said, valid=_VALID), safe="")
        return f"{self._url}media/{quote(file.name, safe='')}?token={token}"

    def routes(self) -> Sequence[web.RouteDef]:
        """See ``Serves``."""
        return (web.get("/media/{name}", self._give),)

    async def _give(self, request: web.Request) -> web.StreamResponse:
        try:
            purpose, digest, size, media_type = self._context.unsign(request.query.get("token", "")).split(" ", 3)
        except (BadSignature, ValueError):
            raise web.HTTPForbidden(text="the address is not valid, or not any more\n") from None
        if purpose != _PURPOSE:
            raise web.HTTPForbidden(text="the address is not valid, or not any more\n")
        answer = web.StreamResponse(headers={"Content-Type": media_type, "X-Content-Type-Options": "nosniff"})
        answer.content_length = int(size)
        pieces = self._context.blobs.open(Blob(digest, int(size)))
        try:
            first = await anext(pieces)
        except (FileNotFoundError, StopAsyncIteration):
            raise web.HTTPNotFound(text="the picture was erased\n") from None
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        await answer.write(first)
        async for piece in pieces:
            await answer.write(piece)
        return answer
