"""SMS for Fernamt: SMPP, providers, and any gateway that speaks HTTP."""

from fernamt import Registry, hookimpl
from fernamt_sms.count import count
from fernamt_sms.smpp.settings import SmppSettings


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer every kind; their modules are imported when a channel needs them."""
    registry.connector(
        "sms.smpp",
        settings=SmppSettings,
        factory="fernamt_sms.smpp.connector:Smpp",
        about="An account at an operator's or aggregator's SMSC, by SMPP 3.4",
    )
    registry.command("count", count)
