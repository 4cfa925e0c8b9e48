"""Who stops messages by a word, or wants them again, and what they hear of it: in the transaction that stores the word."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from fernamt._store.acknowledgements import Acknowledgements
from fernamt._store.automatic import automatic_since
from fernamt._store.consents import CUSTOMER, consent_row, said_by, why_not
from fernamt._store.names import Names
from fernamt._store.statements import Batch, ConversationRow
from fernamt._store.transaction import Transaction
from fernamt.inbound import Consent
from fernamt.model import Purpose

AUTHOR: Final = "plugin:core"
"""Of confirmations, the only messages that go to who stopped them: no plugin may be called so."""
CONFIRMATIONS_A_DAY: Final = 4
"""Whoever writes STOP and START in turns is not answered for ever."""
_DAY_US: Final = 86_400_000_000
_SAID: Final = {
    False: {
        "de": "Sie bekommen hier keine Nachrichten mehr. Mit START melden Sie sich wieder an.",
        "en": "You get no more messages here. Reply START to get them again.",
    },
    True: {
        "de": "Sie bekommen hier wieder Nachrichten. Mit STOP melden Sie sich ab.",
        "en": "You get messages here again. Reply STOP to end them.",
    },
}


@frozen(kw_only=True)
class Opting(Consent):
    """A person's own word about all messages: it follows the message that it was."""

    key_valid_s: float | None = None
    of: str
    """The key of that message, which is valid as long."""
    word: str = field(repr=False)
    language: str = ""
    confirm: bool = True


class Optings:
    """The words of one transaction."""

    def __init__(self, tx: Transaction, names: Names, batch: Batch, said: Acknowledgements) -> None:
        self._tx = tx
        self._names = names
        self._batch = batch
        self._say = said.say
        self._stopped: dict[tuple[int, int], bool] = {}
        self._told: set[tuple[int, int]] = set()

    def take(self, address: int, channel: int, row: ConversationRow | None, event: Opting) -> None:
        """Stop the address on the channel, or take that back, and say so once in the conversation *row*.

        A word that changes nothing is a message like any other.
        """
        tx, who = self._tx, (address, channel)
        if self._is_stopped(who, str(event.address)) is not event.allowed:
            return
        self._stopped[who] = not event.allowed
        self._batch.add(
            "insert consent",
            consent_row(
                tx.do, *who, allowed=event.allowed, author=CUSTOMER, evidence=f"wrote {event.word}", at_us=tx.now_us
            ),
        )
        if not event.confirm or row is None or who in self._told:
            return
        self._told.add(who)
        since_us = tx.now_us - _DAY_US
        if automatic_since(tx.do, *who, since_us, conversation=row.id, author=AUTHOR) < CONFIRMATIONS_A_DAY:
            self._say(address, channel, row, self._text(row, event), author=AUTHOR)

    def _is_stopped(self, who: tuple[int, int], handle: str) -> bool:
        if who not in self._stopped:
            said = said_by(self._tx.do, self._names, who[1], [handle])
            self._stopped[who] = bool(why_not(said, handle, Purpose.REPLY))
        return self._stopped[who]

    @staticmethod
    def _text(row: ConversationRow, event: Opting) -> str:
        said = _SAID[event.allowed]
        return said.get(event.language or row.language[:2]) or " / ".join(said.values())
