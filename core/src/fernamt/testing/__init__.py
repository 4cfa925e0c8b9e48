"""What tests of plugins need. Public."""

from fernamt.testing.calls import Call, CallFailed, Coverage, Exchange, Played, read_calls
from fernamt.testing.client import loopback_http
from fernamt.testing.conformance import ConnectorConformance
from fernamt.testing.context import FakeBlobs, FakeClock, FakeContext, FakeIntake, SkewedClock
from fernamt.testing.guard import local_only
from fernamt.testing.menus import MenuConformance
from fernamt.testing.ports import free_port
from fernamt.testing.provider import FaultyProvider, ProviderCall, ProviderFault
from fernamt.testing.proxy import FaultProxy, WireFault
from fernamt.testing.readme import settings_table
from fernamt.testing.recording import Recording
from fernamt.testing.rig import Rig
from fernamt.testing.trouble import (
    FakeServer,
    Holds,
    HoldsHistory,
    HoldsMedia,
    Poisons,
    Puts,
    ReadElsewhere,
    Transcribes,
    Trouble,
)
from fernamt.testing.webhooks import FaultyWebhooks, WebhookFaults

__all__ = (
    "Call",
    "CallFailed",
    "ConnectorConformance",
    "Coverage",
    "Exchange",
    "FakeBlobs",
    "FakeClock",
    "FakeContext",
    "FakeIntake",
    "FakeServer",
    "FaultProxy",
    "FaultyProvider",
    "FaultyWebhooks",
    "Holds",
    "HoldsHistory",
    "HoldsMedia",
    "MenuConformance",
    "Played",
    "Poisons",
    "ProviderCall",
    "ProviderFault",
    "Puts",
    "ReadElsewhere",
    "Recording",
    "Rig",
    "SkewedClock",
    "Transcribes",
    "Trouble",
    "WebhookFaults",
    "WireFault",
    "free_port",
    "local_only",
    "loopback_http",
    "read_calls",
    "settings_table",
)
