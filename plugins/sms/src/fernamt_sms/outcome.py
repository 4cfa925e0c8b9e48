"""What a provider's code means for a message: a table for each provider, and the one way from it to an error."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

from fernamt import ChannelError, NeedsLogin, OptedOut, Rejected, Throttled, Unreachable, Unsupported

AGAIN_S: Final = 30.0
"""How long a provider is left alone that does not say for how long."""


class Class(Enum):
    """What follows from a code."""

    REFUSED = "refused"
    """The message will never pass."""
    BAD_NUMBER = "bad number"
    """Nobody can be reached there, now or later."""
    OPTED_OUT = "opted out"
    """The recipient does not want messages."""
    UNSUPPORTED = "unsupported"
    """The line cannot do that."""
    ACCOUNT = "account"
    """No message will pass until a person acts: the login, the balance, a suspension."""
    THROTTLED = "throttled"
    """Certainly not done, because we are too fast."""
    CERTAIN = "certain"
    """Certainly not done, and worth another try."""
    UNCERTAIN = "uncertain"
    """It may have been done."""


@frozen
class Meaning:
    """One row of a table."""

    klass: Class
    says: str
    """For an agent, without the code and without a full stop."""


NO_SUCH_PLACE: Final = frozenset({404, 405, 407})
NOBODY_THERE: Final = Meaning(Class.CERTAIN, "nothing takes messages at this address")
"""Of an answer with one of these and without a code: a wrong address or something on the way, and not the message, is what was refused."""


def error(meaning: Meaning, code: str, *, after_s: float = AGAIN_S) -> ChannelError:
    """Return what ``send`` raises, or a receipt carries, for a code with this meaning."""
    match meaning.klass:
        case Class.REFUSED | Class.BAD_NUMBER:
            return Rejected(meaning.says, code=code)
        case Class.OPTED_OUT:
            return OptedOut(meaning.says, code=code)
        case Class.UNSUPPORTED:
            return Unsupported(meaning.says, code=code)
        case Class.ACCOUNT:
            return NeedsLogin(meaning.says, code=code)
        case Class.THROTTLED:
            return Throttled(meaning.says, after_s=after_s, code=code)
        case Class.CERTAIN | Class.UNCERTAIN:
            return Unreachable(meaning.says, certain=meaning.klass is Class.CERTAIN, code=code)
