"""A provider that keeps pictures: what customers sent, for whoever has their address."""

from __future__ import annotations

import itertools
from typing import Any

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall


class KeepsPictures(FaultyProvider):
    """See ``HoldsMedia`` of the kit; the fake of a provider answers with :meth:`picture` first."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._pictures: dict[str, bytes] = {}
        self._kept = itertools.count(1)

    async def hold_media(self, content: bytes) -> str:
        """Keep a picture."""
        path = f"/media/{next(self._kept)}.png"
        self._pictures[path] = content
        return f"{self.url}{path}"

    async def lose_media(self) -> None:
        """Forget them."""
        self._pictures.clear()

    def picture(self, call: ProviderCall) -> Response | None:
        """Return the picture that is asked for, if it is one."""
        found = self._pictures.get(call.path)
        return None if found is None else Response(body=found, media_type="image/png")
