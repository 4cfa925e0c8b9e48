"""Every rule of the kit, for ``sms.telnyx``: with pictures, and without, where a repeat is known by its key."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Request, Secret
from fernamt.testing import ConnectorConformance

from ..lines import ANN, US
from .fake import PRIVATE, TOKEN, FakeTelnyx, public, sign


class TestTelnyx(ConnectorConformance):
    kind = "sms.telnyx"
    signs_time_s = 300.0

    def server(self) -> FakeTelnyx:
        return FakeTelnyx()

    def settings(self, server: FakeTelnyx) -> Mapping[str, object]:
        return {"api_key": Secret(TOKEN), "verify_key": public(PRIVATE), "sender": US, "api": server.url}

    def signed(self, request: Request) -> Request:
        return sign(request)

    def recipient(self) -> Address:
        return Address("phone", ANN)
