"""Both kinds of e-mail channels keep the rules of the kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fernamt import Address, OutboundMessage, Secret
from fernamt.testing import ConnectorConformance, Recording, Rig

from .fake_mail import PASSWORD, FakeMailbox, FakeRelay, MailProvider


class MailConformance(ConnectorConformance):
    """What both kinds have in common."""

    def settings(self, server: MailProvider) -> Mapping[str, object]:
        return {
            "address": "support@support.test",
            "smtp": {
                "host": "127.0.0.1",
                "port": server.smtp_port,
                "security": "none",
                "user": "support",
                "password": Secret(PASSWORD),
                "timeout_s": 0.5,
            },
        }

    def recipient(self) -> Address:
        return Address("email", "ann@customer.test")

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """What else a mail says by its headers."""
        asked = "<frage-1@customer.test>"
        more: Mapping[str, Any] = {
            "answer": {"subject": "Re: Größe", "reply_to": asked, "references": (asked, "<e0@support.test>")},
            "automatic": {"automatic": True},
            "copied": {"cc": (Address("email", "bob@customer.test"),), "reply_token": "a1b2c3"},
        }
        return {**super().messages(rig), **{name: rig.message(**said) for name, said in more.items()}}


class TestImap(MailConformance):
    kind = "email.imap"

    def server(self) -> FakeMailbox:
        return FakeMailbox()

    def settings(self, server: Any) -> Mapping[str, object]:
        return {
            **super().settings(server),
            "host": "127.0.0.1",
            "port": server.imap_port,
            "security": "none",
            "user": "support",
            "password": Secret(PASSWORD),
            "timeout_s": 0.5,
        }


class TestListener(MailConformance):
    kind = "email.listener"

    def recorded(self) -> Sequence[Recording]:
        """Whoever hands a mail over names its sender, if the mail itself does not."""
        return [one for one in super().recorded() if one.name != "0006-no-sender"]

    def server(self) -> FakeRelay:
        return FakeRelay()

    def settings(self, server: Any) -> Mapping[str, object]:
        return {**super().settings(server), "port": server.our_port}
