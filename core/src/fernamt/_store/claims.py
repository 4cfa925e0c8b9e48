"""Claims: one holder at a time for what must not be done twice, with a fence that tells a late holder from the present one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

from attrs import frozen

from fernamt._store.transaction import Rank, Transaction, locks
from fernamt.errors import FernamtError

_H = TypeVar("_H", bound="Held")
_R = TypeVar("_R")


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
    # Not locked at first: whoever waits for his turn asks often, and mostly in vain.
    if tx.do.rows("SELECT 1 FROM due WHERE key = ? AND until > ?", (wish.key, tx.now_us)):
        return None
    taken = tx.do.one(
        "INSERT INTO due (key, owner, fence, until) VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET"
        " owner = excluded.owner, fence = due.fence + 1, until = excluded.until WHERE due.until <= ?",
        (wish.key, wish.owner, tx.now_us + wish.lease_us, tx.now_us),
    )
    if not taken:
        return None
    [(fence,)] = tx.do.rows("SELECT fence FROM due WHERE key = ?", (wish.key,))
    return Claim(key=wish.key, owner=wish.owner, fence=fence)


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


class Held(Protocol):
    """What is to be written under a claim."""

    @property
    def claim(self) -> Claim: ...


def lost(tx: Transaction, claims: Collection[Claim]) -> dict[Claim, ClaimLost]:
    """Return which claims somebody else holds by now; the others stay as they are until the end of the transaction."""
    share = tx.do.lock and " FOR SHARE"
    sql = f"SELECT key, fence FROM due WHERE key IN {{}} ORDER BY key{share}"
    fences: dict[str, int] = dict(tx.do.among(sql, sorted({claim.key for claim in claims})))
    gone = [claim for claim in claims if fences.get(claim.key) != claim.fence]
    return {claim: ClaimLost(f"{claim.key} is held by somebody else") for claim in gone}


def while_held(tx: Transaction, payloads: Sequence[_H], body: Callable[[Transaction, _H], _R]) -> list[_R | ClaimLost]:
    """Do *body* for each payload whose claim is the present one."""
    gone = lost(tx, {payload.claim for payload in payloads})
    return [gone.get(payload.claim) or body(tx, payload) for payload in payloads]


def require(tx: Transaction, claim: Claim) -> None:
    """Raise ``ClaimLost`` unless *claim* is the present one, and keep it so until the end of the transaction."""
    if gone := lost(tx, [claim]):
        raise gone[claim]


def void(tx: Transaction) -> None:
    """Free every claim: only for a store that nobody else can have open."""
    tx.do.one("UPDATE due SET until = 0")
