"""Every rule of the kit, for ``sms.messagebird``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from ..lines import ANN, US
from .fake import KEY, SECRET, FakeBird


class TestMessageBird(ConnectorConformance):
    kind = "sms.messagebird"
    signs_time_s = 300.0

    def server(self) -> FakeBird:
        return FakeBird()

    def settings(self, server: FakeBird) -> Mapping[str, object]:
        return {"api_key": Secret(KEY), "webhook_secret": Secret(SECRET), "sender": US, "api": server.url}

    def recipient(self) -> Address:
        return Address("phone", ANN)
