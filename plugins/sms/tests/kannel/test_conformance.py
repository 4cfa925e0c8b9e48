"""Every rule of the kit, for ``sms.kannel``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, OutboundMessage, Secret
from fernamt.testing import ConnectorConformance, Rig

from .fake import FakeKannel


class TestKannel(ConnectorConformance):
    kind = "sms.kannel"

    def server(self) -> FakeKannel:
        return FakeKannel()

    def settings(self, server: FakeKannel) -> Mapping[str, object]:
        return {
            "url": f"{server.url}/cgi-bin/sendsms",
            "user": "fernamt",
            "password": Secret("password-of-the-tests"),
            "sender": "Example",
            "inbound_secret": Secret("inbound-secret-of-the-tests"),
        }

    def recipient(self) -> Address:
        return Address("phone", "+4915112345678")

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """Also one of several parts."""
        return {**super().messages(rig), "parts": rig.message("Ihr Paket ist da. " * 10)}
