"""What tests of plugins need. Public."""

from fernamt.testing.client import loopback_http
from fernamt.testing.provider import FaultyProvider, ProviderCall, ProviderFault
from fernamt.testing.proxy import FaultProxy, WireFault
from fernamt.testing.recording import BadRecording, Recording, described, masked, recordings, signed, tampered
from fernamt.testing.webhooks import FaultyWebhooks, WebhookFaults

__all__ = (
    "BadRecording",
    "FaultProxy",
    "FaultyProvider",
    "FaultyWebhooks",
    "ProviderCall",
    "ProviderFault",
    "Recording",
    "WebhookFaults",
    "WireFault",
    "described",
    "loopback_http",
    "masked",
    "recordings",
    "signed",
    "tampered",
)
