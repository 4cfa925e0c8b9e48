"""What the tests of ``sms.smpp`` have in common: a channel, its settings, a message."""

from __future__ import annotations

from typing import Any

from fernamt import Address, Channel, ChannelId, OutboundMessage, Secret
from fernamt.testing import FakeContext
from fernamt_sms.smpp.connector import Smpp
from fernamt_sms.smpp.settings import SmppSettings

from .smsc import ANN, PASSWORD, SYSTEM_ID, US


def settings(**more: Any) -> SmppSettings:
    """Return the settings of an account at this machine."""
    said: dict[str, Any] = {
        "host": "127.0.0.1",
        "security": "none",
        "system_id": SYSTEM_ID,
        "password": Secret(PASSWORD),
        "sender": f"+{US}",
    }
    return SmppSettings(**said | more)


def channel(port: int, context: FakeContext, **more: Any) -> Smpp:
    """Return a channel at the SMSC on *port*."""
    found = settings(port=port, **more)
    return Smpp(Channel(id=ChannelId("sms"), name="SMS", kind="sms.smpp", settings=found, url=""), context)


def message(text: str = "Ihr Paket ist da", key: str = "k1", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"entry_key": f"e{key}", "attempt": 1, "to": Address("phone", f"+{ANN}")}
    return OutboundMessage(key=key, text=text, **said | more)
