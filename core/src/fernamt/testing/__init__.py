"""What tests of plugins need. Public."""

from fernamt.testing.client import loopback_http
from fernamt.testing.provider import FaultyProvider, ProviderCall, ProviderFault
from fernamt.testing.proxy import FaultProxy, WireFault
from fernamt.testing.webhooks import FaultyWebhooks, WebhookFaults

__all__ = (
    "FaultProxy",
    "FaultyProvider",
    "FaultyWebhooks",
    "ProviderCall",
    "ProviderFault",
    "WebhookFaults",
    "WireFault",
    "loopback_http",
)
