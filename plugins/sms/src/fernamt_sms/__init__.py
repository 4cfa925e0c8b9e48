"""SMS for Fernamt: SMPP, providers, and any gateway that speaks HTTP."""

from fernamt import Registry, hookimpl
from fernamt_sms.count import count


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer every kind; their modules are imported when a channel needs them."""
    registry.command("count", count)
