"""Every rule of the kit, for ``sms.vonage``."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, OutboundMessage, Secret
from fernamt.testing import ConnectorConformance, Rig
from fernamt_sms.vonage.signature import OLDEST_S

from .fake import ANN, US, FakeVonage


class TestVonage(ConnectorConformance):
    kind = "sms.vonage"
    signs_time_s = OLDEST_S

    def server(self) -> FakeVonage:
        return FakeVonage()

    def settings(self, server: FakeVonage) -> Mapping[str, object]:
        return {
            "user": "abcd1234",
            "secret": Secret("secret-of-the-tests"),
            "signature_secret": Secret("signature-of-the-tests"),
            "sender": US,
            "api": server.url,
        }

    def recipient(self) -> Address:
        return Address("phone", ANN)

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """Both alphabets."""
        return {**super().messages(rig), "gsm": rig.message("Ihr Paket (3 kg) ist da: 5 €")}
