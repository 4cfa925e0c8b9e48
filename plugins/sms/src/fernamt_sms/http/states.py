"""Which receipts a table of words can give."""

from __future__ import annotations

from fernamt import DeliveryState
from fernamt_sms.http.settings import ReceiptSettings


def states_of(receipt: ReceiptSettings | None) -> frozenset[DeliveryState]:
    """Return the states for which an operator named words."""
    if receipt is None:
        return frozenset()
    words = {
        DeliveryState.SENT: receipt.sent,
        DeliveryState.DELIVERED: receipt.delivered,
        DeliveryState.READ: receipt.read,
        DeliveryState.FAILED: receipt.failed,
    }
    return frozenset(state for state, said in words.items() if said)
