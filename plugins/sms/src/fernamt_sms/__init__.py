"""SMS for Fernamt: SMPP, providers, and any gateway that speaks HTTP."""

from fernamt import Registry, hookimpl
from fernamt_sms.count import count
from fernamt_sms.http.settings import HttpSettings
from fernamt_sms.infobip.settings import InfobipSettings
from fernamt_sms.kannel.settings import KannelSettings
from fernamt_sms.messagebird.settings import MessageBirdSettings
from fernamt_sms.sinch.settings import SinchSettings
from fernamt_sms.smpp.settings import SmppSettings
from fernamt_sms.telnyx.settings import TelnyxSettings
from fernamt_sms.twilio.settings import TwilioSettings
from fernamt_sms.vonage.settings import VonageSettings


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer every kind; their modules are imported when a channel needs them."""
    registry.connector(
        "sms.http",
        settings=HttpSettings,
        factory="fernamt_sms.http.connector:Gateway",
        about="Any gateway that takes and brings messages by HTTP, by configuration alone",
    )
    registry.connector(
        "sms.kannel",
        settings=KannelSettings,
        factory="fernamt_sms.kannel.connector:Kannel",
        about="A Kannel gateway of one's own",
    )
    registry.connector(
        "sms.infobip",
        settings=InfobipSettings,
        factory="fernamt_sms.infobip.connector:Infobip",
        about="SMS through Infobip",
    )
    registry.connector(
        "sms.messagebird",
        settings=MessageBirdSettings,
        factory="fernamt_sms.messagebird.connector:MessageBird",
        about="SMS through Bird, which was MessageBird",
    )
    registry.connector(
        "sms.sinch",
        settings=SinchSettings,
        factory="fernamt_sms.sinch.connector:Sinch",
        about="SMS and MMS through Sinch",
    )
    registry.connector(
        "sms.telnyx",
        settings=TelnyxSettings,
        factory="fernamt_sms.telnyx.connector:Telnyx",
        about="SMS and MMS through Telnyx",
    )
    registry.connector(
        "sms.smpp",
        settings=SmppSettings,
        factory="fernamt_sms.smpp.connector:Smpp",
        about="An account at an operator's or aggregator's SMSC, by SMPP 3.4",
    )
    registry.connector(
        "sms.twilio",
        settings=TwilioSettings,
        factory="fernamt_sms.twilio.connector:Twilio",
        about="SMS and MMS through Twilio",
    )
    registry.connector(
        "sms.vonage",
        settings=VonageSettings,
        factory="fernamt_sms.vonage.connector:Vonage",
        about="SMS and MMS through Vonage, by its Messages API or its SMS API",
    )
    registry.command("count", count)
