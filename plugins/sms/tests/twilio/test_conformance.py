"""Every rule of the kit, for ``sms.twilio``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, OutboundMessage, Secret
from fernamt.testing import ConnectorConformance, Rig

from ..lines import ANN, US
from .fake import ACCOUNT, TOKEN, FakeTwilio


class TestTwilio(ConnectorConformance):
    kind = "sms.twilio"

    def server(self) -> FakeTwilio:
        return FakeTwilio()

    def settings(self, server: FakeTwilio) -> Mapping[str, object]:
        return {
            "account_sid": ACCOUNT,
            "auth_token": Secret(TOKEN),
            "sender": US,
            "mms": True,
            "plain_characters": True,
            "api": server.url,
        }

    def recipient(self) -> Address:
        return Address("phone", ANN)

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """Also one whose quotes cost a part."""
        return {**super().messages(rig), "plain": rig.message("„Ihr Paket“ ist da – " * 8)}
