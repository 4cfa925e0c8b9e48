"""Every rule of the kit, for ``sms.sinch``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from ..lines import ANN, US
from .fake import PLAN, SECRET, TOKEN, FakeSinch


class TestSinch(ConnectorConformance):
    kind = "sms.sinch"
    signs_time_s = 300.0

    def server(self) -> FakeSinch:
        return FakeSinch()

    def settings(self, server: FakeSinch) -> Mapping[str, object]:
        return {
            "plan": PLAN,
            "plan_token": Secret(TOKEN),
            "webhook_secret": Secret(SECRET),
            "sender": US,
            "mms": True,
            "api": server.url,
        }

    def recipient(self) -> Address:
        return Address("phone", ANN)
