"""E-mail for Fernamt: a mailbox over IMAP, or a listener of the daemon's own; both send through an SMTP server."""

from fernamt import Registry, hookimpl
from fernamt_email.connect import connect
from fernamt_email.demo import demo
from fernamt_email.explaining import explain
from fernamt_email.settings import ImapSettings, ListenerSettings
from fernamt_email.setup import setup


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer both kinds; their modules are imported when a channel needs them."""
    registry.connector(
        "email.imap",
        settings=ImapSettings,
        factory="fernamt_email.imap:Imap",
        about="A mailbox, read over IMAP and answered over SMTP",
    )
    registry.connector(
        "email.listener",
        settings=ListenerSettings,
        factory="fernamt_email.listener:Listener",
        about="Mail that is handed to the daemon itself by SMTP or LMTP, answered over SMTP",
    )
    registry.command("demo", demo)
    registry.command("connect", connect)
    registry.command("explain", explain)
    registry.command("setup", setup)
