"""Every rule of the kit, for ``sms.infobip``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from ..lines import ANN, US
from .fake import KEY, SECRET, FakeInfobip


class TestInfobip(ConnectorConformance):
    kind = "sms.infobip"

    def server(self) -> FakeInfobip:
        return FakeInfobip()

    def settings(self, server: FakeInfobip) -> Mapping[str, object]:
        return {"api": server.url, "api_key": Secret(KEY), "call_secret": Secret(SECRET), "sender": US}

    def recipient(self) -> Address:
        return Address("phone", ANN)
