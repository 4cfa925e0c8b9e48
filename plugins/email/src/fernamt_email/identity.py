"""Who we are on a channel: our addresses, the signed reply addresses made of them, and the ids of our own mails."""

from __future__ import annotations

import hmac
import re
from typing import Final

from attrs import evolve, field, frozen

from fernamt import ChannelId
from fernamt_email.address import normalised
from fernamt_email.settings import MailSettings

IDS: Final = "message-ids"
_PROBE: Final = "probe"
NO_ID_DOMAIN: Final = "no-message-id.invalid"
"""Stands in ids that we gave to mails without a Message-ID: never written into a mail of ours."""

_TOKEN = re.compile(r"[a-z0-9-]{1,40}")
TAG_CHARS: Final = 6
"""So much of a token's signature stands in a subject."""
_TAG = re.compile(rf" ?\[#([a-z0-9]{{1,12}}-[a-z2-7]{{{TAG_CHARS}}})\]", re.IGNORECASE)
_OWN_ID = re.compile(r"<([a-z0-9]+)\.([0-9a-f]{16})@[^<>@\s]+>")


def tag_of(token: str) -> str:
    """Return what a subject may carry of a reply token, ``[#c-4fk2qz]``: enough for whoever takes part."""
    number, _, signature = token.partition("-")
    return f"[#{number}-{signature[:TAG_CHARS]}]" if len(signature) >= TAG_CHARS else ""


@frozen(kw_only=True)
class Identity:
    """What the settings and the channel's name say of us. All methods are pure."""

    channel: ChannelId
    address: str
    aliases: frozenset[str]
    """Addresses, and domains with a leading ``@``."""
    delimiter: str
    agents: frozenset[str] = frozenset()
    """Colleagues who pass mails on to us: addresses, and domains with a leading ``@``."""
    tagged: bool = False
    """Our subjects carry what :func:`tag_of` gives."""
    secret: str = field(default="", repr=False)
    """Of the channel and its store: without it nobody makes an id that :meth:`made` takes for ours."""

    @classmethod
    def of(cls, channel: ChannelId, settings: MailSettings, secret: str) -> Identity:
        """Return the identity of a channel; *secret* is what ``ConnectorContext.sign`` makes of :data:`IDS`, for ever."""
        return cls(
            channel=channel,
            address=normalised(settings.address),
            aliases=frozenset(normalised(alias) for alias in settings.aliases),
            delimiter=settings.reply_delimiter,
            agents=frozenset(normalised(agent) for agent in settings.agents),
            tagged=settings.subject_token,
            secret=secret,
        )

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def is_ours(self, address: str) -> bool:
        """Return whether mail to *address* is for us: our address, an alias, or one of them with something after the delimiter."""
        return self._detail(address) is not None

    def is_agent(self, address: str) -> bool:
        """Return whether a colleague writes under *address*. That gives no right to anything: senders can be forged."""
        wanted = normalised(address)
        return wanted in self.agents or wanted[wanted.rfind("@") :] in self.agents

    def token_in(self, address: str) -> str:
        """Return the token of a reply address of ours, ``""`` if *address* is none. Whether we signed it, the core checks."""
        detail = self._detail(address) or ""
        return detail if _TOKEN.fullmatch(detail) else ""

    def untagged(self, subject: str) -> tuple[str, str]:
        """Return the hint in a subject, ``""`` if there is none, and the subject without it.

        Where we write none it stays: it may be another help desk's, which needs it in our answer.
        """
        found = _TAG.search(subject)
        if found is None:
            return "", subject
        return found[1].lower(), _TAG.sub("", subject).strip() if self.tagged else subject

    def _detail(self, address: str) -> str | None:
        """Return what stands after the delimiter, ``""`` if nothing does; ``None`` if the address is not ours."""
        wanted = normalised(address)
        local, at, domain = wanted.rpartition("@")
        known = self.aliases | {self.address}
        if not (local and domain):
            return None
        if wanted in known:
            return ""
        if self.delimiter:
            ends = [n for n, character in enumerate(local) if character == self.delimiter]
            for end in reversed(ends):  # a name of ours may hold the delimiter itself
                if local[:end] + at + domain in known:
                    return local[end + 1 :]
        return (local.partition(self.delimiter)[2] if self.delimiter else "") if at + domain in known else None

    def reply_address(self, token: str) -> str:
        """Return the address under which an answer finds its conversation; without *token* or delimiter our plain one."""
        local, at, domain = self.address.rpartition("@")
        return f"{local}{self.delimiter}{token}{at}{domain}" if token and self.delimiter else self.address

    def message_id(self, entry_key: str) -> str:
        """Return the Message-ID of an entry of ours: the same for every recipient and on every attempt."""
        return f"<{entry_key}.{self._mark(entry_key)}@{self.domain}>"

    def made(self, message_id: str) -> bool:
        """Return whether :meth:`message_id` of this channel made this id, whatever our address was then."""
        found = _OWN_ID.fullmatch(message_id)
        return found is not None and hmac.compare_digest(found[2], self._mark(found[1]))

    def of_a_probe(self) -> Identity:
        """Return the same for a mail to ourselves: a check has no store, and the daemon beside it knows the mail all the same.

        Anybody could make such an id. It would only let us pass by what they wrote themselves.
        """
        return evolve(self, secret=_PROBE)

    def is_probe(self, message_id: str) -> bool:
        """Return whether it is the id of a mail from us to us."""
        return self.of_a_probe().made(message_id)

    def is_of_ours(self, message_id: str) -> bool:
        """Return whether an id looks as another channel with our domain makes them."""
        return _OWN_ID.fullmatch(message_id) is not None and message_id.endswith(f"@{self.domain}>")

    def _mark(self, entry_key: str) -> str:
        return hmac.digest(self.secret.encode(), f"{self.channel}\n{entry_key}".encode(), "sha256").hex()[:16]
