"""Every rule of the kit, for ``sms.infobip``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from .fake import ANN, KEY, SECRET, US, FakeInfobip


class TestInfobip(ConnectorConformance):
    kind = "sms.infobip"

    def server(self) -> FakeInfobip:
        return FakeInfobip()

    def settings(self, server: FakeInfobip) -> Mapping[str, object]:
        return {"api": server.url, "api_key": Secret(KEY), "call_secret": Secret(SECRET), "sender": US}

    def recipient(self) -> Address:
        return Address("phone", ANN)
