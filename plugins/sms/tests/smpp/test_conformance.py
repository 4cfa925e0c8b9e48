"""Every rule of the kit, for ``sms.smpp``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fernamt import Address, OutboundMessage, Secret
from fernamt.testing import ConnectorConformance, Rig

from .smsc import ANN, PASSWORD, SYSTEM_ID, US, Smsc


class TestSmpp(ConnectorConformance):
    kind = "sms.smpp"

    def server(self) -> Smsc:
        return Smsc()

    def settings(self, server: Smsc) -> Mapping[str, object]:
        return {
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "system_id": SYSTEM_ID,
            "password": Secret(PASSWORD),
            "sender": f"+{US}",
            "answer_s": 0.3,
        }

    def recipient(self) -> Address:
        return Address("phone", f"+{ANN}")

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """Both alphabets, and parts."""
        more: Mapping[str, Any] = {"gsm": "Ihr Paket (3 kg) ist da: 5 €", "parts": "Ihr Paket ist da. " * 10}
        return {
            **super().messages(rig),
            **{name: rig.message(text) for name, text in more.items()},
        }
