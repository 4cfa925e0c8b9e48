"""Claims: one holder at a time for what must not be done twice, with a fence that tells a late holder from the present one."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fernamt._store.engine import Rank, Transaction, locks
from fernamt.errors import FernamtError


class ClaimLost(FernamtError):
    """Somebody else holds it now: whatever was to be written is not."""


@frozen(kw_only=True)
class Claim:
    """What is held; *fence* grows with every holder."""

    key: str
    owner: str
    fence: int


@frozen(kw_only=True)
class Wish:
    """A request for a claim that holds for *lease_us* unless it is renewed."""

    key: str
    owner: str
    lease_us: int


@locks(Rank.CLAIMS)
def take(tx: Transaction, payloads: Sequence[Wish]) -> list[Claim | None]:
    """Give each claim that nobody holds; ``None``: it is taken. Judged by the store's clock."""
    return [_take(tx, wish) for wish in payloads]


def _take(tx: Transaction, wish: Wish) -> Claim | None:
    select = "SELECT fence, until FROM due WHERE key = ?"
    # Not locked at first: whoever waits for his turn asks often, and mostly in vain.
    if any(until > tx.now_us for _, until in tx.do.rows(select, (wish.key,))):
        return None
    rows = tx.do.rows(select + tx.do.lock, (wish.key,))
    if rows and rows[0][1] > tx.now_us:
        return None
    until = tx.now_us + wish.lease_us
    if not rows:
        tx.do.one("INSERT INTO due (key, owner, fence, until) VALUES (?, ?, 1, ?)", (wish.key, wish.owner, until))
        return Claim(key=wish.key, owner=wish.owner, fence=1)
    fence = rows[0][0]
    tx.do.one("UPDATE due SET owner = ?, fence = ?, until = ? WHERE key = ?", (wish.owner, fence + 1, until, wish.key))
    return Claim(key=wish.key, owner=wish.owner, fence=fence + 1)


@frozen(kw_only=True)
class Renewal:
    """A request to hold on; *lease_us* of 0 gives the claim back."""

    claim: Claim
    lease_us: int


@locks(Rank.CLAIMS)
def renew(tx: Transaction, payloads: Sequence[Renewal]) -> list[bool]:
    """Prolong what is still held by its holder; ``False``: it is lost."""
    tx.topics.update(f"claim:{renewal.claim.key}" for renewal in payloads if not renewal.lease_us)
    return [
        tx.do.one(
            "UPDATE due SET until = ? WHERE key = ? AND fence = ?",
            (tx.now_us + renewal.lease_us, renewal.claim.key, renewal.claim.fence),
        )
        == 1
        for renewal in payloads
    ]


def require(tx: Transaction, claim: Claim) -> None:
    """Raise ``ClaimLost`` unless *claim* is the present one, and keep it so until the end of the transaction."""
    share = " FOR SHARE" if tx.do.lock else ""
    rows = tx.do.rows(f"SELECT fence FROM due WHERE key = ?{share}", (claim.key,))
    if not rows or rows[0][0] != claim.fence:
        raise ClaimLost(f"{claim.key} is held by somebody else")


def void(tx: Transaction) -> None:
    """Free every claim: only for a store that nobody else can have open."""
    tx.do.one("UPDATE due SET until = 0")
