"""Everything that Fernamt raises on purpose. Out of a connector, the class of an error says what happens next.

FernamtError
├── ConfigError(section, problem, fix)   the start is refused; a running channel goes down until its settings change
├── NotStored(after_s)        raised by intake: nothing was committed; keep the event and offer it again
├── BadSignature              raised by a webhook's verify: 403, counted, nothing stored
├── Unparsable                raised by a webhook's parse: the raw bytes go to quarantine and are acknowledged
└── ChannelError              out of send, run, dial ...
    ├── Rejected              never again: the provider said no to this message
    ├── Unsupported           never again: this channel cannot do that
    ├── OptedOut              never again, and the address gets nothing more on this channel
    ├── WindowClosed          never again in this form: only a template may pass
    ├── NeedsLogin            the channel stops until a person acts
    ├── Throttled(after_s)    again, and the sender slows down
    └── Unreachable(certain)  True: it certainly did not happen, so again; False: uncertain, settled, never blindly repeated

Any other exception out of ``send`` or ``dial`` counts as ``Unreachable(certain=False)``.
"""

from __future__ import annotations


class FernamtError(Exception):
    """The root of the tree."""


class ConfigError(FernamtError):
    """A setting is wrong. *section* is where (``channels.support-mail``), *fix* is what the operator can do."""

    def __init__(self, section: str, problem: str, *, fix: str) -> None:
        super().__init__(f"[{section}] {problem}. {fix}")
        self.section = section
        self.problem = problem
        self.fix = fix


class NotStored(FernamtError):
    """Nothing was committed: keep the event and offer it again after *after_s* seconds."""

    def __init__(self, reason: str, *, after_s: float = 1.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s


class BadSignature(FernamtError):
    """A request or token does not carry a signature that we made or that the provider's secret explains."""


class Unparsable(FernamtError):
    """The bytes are not what the provider's documentation says. They are kept in quarantine."""


class ChannelError(FernamtError):
    """What a connector raises; *reason* is read by an agent, *code* is the provider's own, *sent_ids* the parts that got through."""

    def __init__(self, reason: str, *, code: str = "", sent_ids: tuple[str, ...] = ()) -> None:
        super().__init__(f"{reason} ({code})" if code else reason)
        self.reason = reason
        self.code = code
        self.sent_ids = sent_ids


class Rejected(ChannelError):
    """The provider refused this message for good."""


class Unsupported(ChannelError):
    """This channel cannot do what was asked."""


class OptedOut(ChannelError):
    """The recipient does not want messages: the address gets nothing more on this channel."""


class WindowClosed(ChannelError):
    """The provider's reply window is over: only an approved template may pass."""


class NeedsLogin(ChannelError):
    """The provider does not accept our credentials: the channel stops until a person acts."""


class Throttled(ChannelError):
    """Too fast: the same message again after *after_s* seconds, and the sender slows down."""

    def __init__(self, reason: str, *, after_s: float, code: str = "", sent_ids: tuple[str, ...] = ()) -> None:
        super().__init__(reason, code=code, sent_ids=sent_ids)
        self.after_s = after_s


class Unreachable(ChannelError):
    """The provider could not be reached or did not answer.

    *certain* is ``True`` only if it certainly did not happen: no connection, a failed TLS handshake, or a code that the
    connector's table names. A read time-out, a reset after the first byte and an unlisted 5xx are not certain.
    """

    def __init__(self, reason: str, *, certain: bool, code: str = "", sent_ids: tuple[str, ...] = ()) -> None:
        super().__init__(reason, code=code, sent_ids=sent_ids)
        self.certain = certain
