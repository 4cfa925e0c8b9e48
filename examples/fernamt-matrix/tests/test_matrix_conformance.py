"""Every rule of the kit."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt import Address, Secret
from fernamt.testing import ConnectorConformance

from .homeserver import ANN, US, FakeHomeserver


class TestMatrix(ConnectorConformance):
    kind = "matrix"

    def server(self) -> FakeHomeserver:
        return FakeHomeserver()

    def settings(self, server: FakeHomeserver) -> Mapping[str, object]:
        tokens = {"as_token": Secret("what we show to them"), "hs_token": Secret("what they show to us")}
        return {"homeserver": server.url, "user": US, "display_name": "Hilfe", **tokens}

    def recipient(self) -> Address:
        return Address("matrix", ANN)
