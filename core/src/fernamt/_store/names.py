"""The names that we give out: keys of messages, reply tokens, signed values. Made from the store's salt and secret."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from zlib import crc32

from fernamt._store.engine import Keys
from fernamt.errors import BadSignature
from fernamt.model import microseconds

ERASED: Final = "erased"
"""The scheme of an address that was erased: what follows is a keyed hash of what it was."""
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOKEN_BYTES: Final = 10
"""80 bits: a forger would need more tries than any mail server lets through."""
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE32_PAIRS: Final = [one + other for one in _BASE32 for other in _BASE32]
_PAIRS_AT: Final = tuple(range(70, -1, -10))
"""Each message has a token, and the library's base32 takes as long as the rest of it."""

_HINT: Final = 6
"""So many characters of a signature at least: 30 bits, beside having to write as somebody who takes part."""


class Names:
    """Makes names and reads them back. Pure."""

    def __init__(self, keys: Keys) -> None:
        self._salt = keys.salt
        self._secret = keys.secret

    def message_key(self, delivery: int, part: int = 1) -> str:
        """Return the key that the provider gets, one for each part of a split message (up to 99); only ``[a-z0-9]``."""
        return f"{self._salt}d{_base36(delivery)}" if part == 1 else f"{self._salt}p{part:02}{_base36(delivery)}"

    def entry_key(self, entry: int) -> str:
        """Return the key of an entry; only ``[a-z0-9]``."""
        return f"{self._salt}e{_base36(entry)}"

    def delivery_of(self, key: str) -> int:
        """Return the delivery of a message key, 0 if it is not one of ours."""
        head, number = key[: len(self._salt) + 1], key[len(self._salt) + 1 :]
        if head == f"{self._salt}p" and number[:2].isdecimal():
            return _number(number[2:])
        return _number(number) if head == f"{self._salt}d" else 0

    def reply_token(self, conversation: int) -> str:
        """Return a token that lets whoever brings it back join the conversation; ``[a-z0-9-]``, below 40 characters."""
        number = _base36(conversation)
        return f"{number}-{self._mac('reply', number)}"

    def conversation_of(self, token: str) -> int:
        """Return the conversation of a reply token, 0 if we did not make it. Upper case is read as lower case."""
        number, _, mac = token.lower().partition("-")
        if not hmac.compare_digest(self._mac("reply", number).encode(), _bytes(mac)):
            return 0
        return _number(number)

    def hinted(self, hint: str) -> int:
        """Return the conversation of the beginning of a reply token, 0 if it is none or too short to have been made here."""
        number, _, mac = hint.lower().partition("-")
        whole = self._mac("reply", number)[: len(mac)]
        return _number(number) if len(mac) >= _HINT and hmac.compare_digest(whole.encode(), _bytes(mac)) else 0

    def sign(self, value: str, purpose: str, until: datetime) -> str:
        """Return *value* with a signature for *purpose* that holds until *until*."""
        stamped = f"{_base36(microseconds(until) // 1_000_000)}.{value}"
        return f"{self._mac(purpose, stamped)}.{stamped}"

    def unsign(self, token: str, purpose: str, now: datetime) -> str:
        """Return what was signed; raises ``BadSignature``."""
        mac, _, stamped = token.partition(".")
        if not hmac.compare_digest(self._mac(purpose, stamped).encode(), _bytes(mac)):
            raise BadSignature("the token was not made here, or for something else")
        until, _, value = stamped.partition(".")
        if timedelta(seconds=_number(until)) < timedelta(microseconds=microseconds(now)):
            raise BadSignature("the token is too old")
        return value

    def erased_hash(self, handle: str) -> bytes:
        """Return what is kept of an address that was erased: who lacks the store's secret cannot even guess it."""
        return hmac.digest(self._secret, _bytes(f"erased:{handle}"), "sha256")[:16]

    def erased_mark(self, handle: str) -> str:
        """Return what stands where the address stood."""
        return f"{ERASED}:{self.erased_hash(handle).hex()}"

    def _mac(self, purpose: str, value: str) -> str:
        digest = hmac.digest(self._secret, _bytes(f"{purpose}:{value}"), "sha256")
        number = int.from_bytes(digest[:_TOKEN_BYTES], "big")
        return "".join([_BASE32_PAIRS[number >> bits & 1023] for bits in _PAIRS_AT])


def _bytes(text: str) -> bytes:
    """Encode whatever somebody brings: a lone surrogate is no token, and no reason to fail."""
    return text.encode(errors="surrogatepass")


def id_hash(channel: int, provider_id: str) -> bytes:
    """Return what identifies a provider's id on a channel."""
    return blake2b(b"i%d:%s" % (channel, provider_id.encode()), digest_size=16).digest()


def sent_hash(channel: int, provider_id: str) -> bytes:
    """Return what identifies the id of a message that was sent: :func:`id_hash`, behind what those share that follow one another.

    So they stand side by side in the table. By their hashes alone each would change a page of its own, and that was nine tenths
    of all that sending wrote.
    """
    return _shared(channel, provider_id.partition("@")[0][:-2]) + id_hash(channel, provider_id)


@lru_cache(maxsize=256)
def _shared(channel: int, beginning: str) -> bytes:
    return blake2b(b"n%d:%s" % (channel, beginning.encode()), digest_size=4).digest()


def handle_topic(handle: str) -> str:
    """Return what is told when an address becomes known; it does not say whose it is, and may be that of another one, too."""
    return f"handle:{crc32(handle.encode()):x}"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
        if not number:
            return digits


def _number(digits: str) -> int:
    if not digits or len(digits) > 12 or not all(digit in _DIGITS for digit in digits):
        return 0
    return int(digits, 36)
