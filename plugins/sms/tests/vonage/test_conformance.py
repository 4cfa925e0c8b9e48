"""Every rule of the kit, for ``sms.vonage`` by each of its APIs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from ..lines import ANN, US
from .fake import KEY, SECRET, SIGNATURE, FakeVonage


def section(api: str, server: FakeVonage) -> Mapping[str, object]:
    return {
        "api": api,
        "account": KEY,
        "api_secret": Secret(SECRET),
        "signature_secret": Secret(SIGNATURE),
        "sender": US,
        "messages_url": server.url,
        "sms_url": server.url,
    }


class TestVonageMessages(ConnectorConformance):
    kind = "sms.vonage"
    signs_time_s = 25 * 3600.0

    @property
    def folder(self) -> Path:
        return super().folder / "messages"

    def server(self) -> FakeVonage:
        return FakeVonage(api="messages")

    def settings(self, server: FakeVonage) -> Mapping[str, object]:
        return {**section("messages", server), "mms": True}

    def recipient(self) -> Address:
        return Address("phone", ANN)


class TestVonageSms(ConnectorConformance):
    kind = "sms.vonage"
    signs_time_s = 25 * 3600.0

    @property
    def folder(self) -> Path:
        return super().folder / "sms"

    def server(self) -> FakeVonage:
        return FakeVonage(api="sms")

    def settings(self, server: FakeVonage) -> Mapping[str, object]:
        return section("sms", server)

    def recipient(self) -> Address:
        return Address("phone", ANN)
