"""What is said at once to whoever opens a conversation: in the transaction that opens it, so never twice and never forgotten."""

from __future__ import annotations

from typing import Final

from fernamt._store.automatic import automatic_since
from fernamt._store.conversations import Conversations
from fernamt._store.statements import Batch, ConversationRow
from fernamt._store.transaction import Transaction
from fernamt.inbound import Acknowledgement
from fernamt.model import DeliveryState, Json, Purpose

AUTHOR: Final = "plugin:acknowledgement"
_DAY_US: Final = 86_400_000_000


class Acknowledgements:
    """The acknowledgements of one transaction."""

    def __init__(self, tx: Transaction, batch: Batch, conversations: Conversations) -> None:
        self._tx = tx
        self._batch = batch
        self._conversations = conversations
        self._told: set[tuple[int, int]] = set()

    def add(self, address: int, channel: int, row: ConversationRow, said: Acknowledgement) -> None:
        """Write to who opened the conversation *row*, unless they had one within a day. Nobody has answered them by that."""
        tx = self._tx
        if (address, channel) in self._told:
            return
        self._told.add((address, channel))
        if automatic_since(tx.do, address, channel, tx.now_us - _DAY_US, author=AUTHOR):
            return
        text, subject = (one.replace("{number}", str(row.id)) for one in (said.text, said.subject))
        self.say(address, channel, row, text, subject=subject, author=AUTHOR)

    def say(
        self, address: int, channel: int, row: ConversationRow, text: str, *, subject: str = "", author: str
    ) -> None:
        """Write to somebody in the conversation *row*, which stays in its state."""
        tx, state = self._tx, row.state
        entry = self._conversations.enter(row, "sent", channel=channel)
        row.state = state
        data: dict[str, Json] = {"automatic": True, **({"subject": subject} if subject else {})}
        self._conversations.fill(entry, text, author=author, data=data)
        number, now = tx.do.next_id("delivery"), tx.now_us
        queued = (number, entry, row.id, channel, address, DeliveryState.QUEUED, 0, now, None, now, now)
        self._batch.add("insert delivery", (*queued, "[]", "", "", Purpose.REPLY, 0, 0, 1))
        tx.topics.add(f"send:{channel}")
