"""What people said about messages: written when they say it, read before each message."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from fernamt._store.names import Names
from fernamt._store.people import People
from fernamt._store.statements import Batch, Row, Statements
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import Address, Purpose

MARKETING: Final = "marketing"
"""The scope of consent that outreach needs."""
CUSTOMER: Final = "customer"
PROVIDER: Final = "provider"
"""Who says it, where no agent recorded it."""


@frozen
class Word:
    """The latest that somebody said."""

    allowed: bool
    evidence: str


Said: TypeAlias = Mapping[tuple[str, str], Word]
"""By address and scope."""
_LATEST: Final = " c.id = (SELECT max(x.id) FROM consent x WHERE x.address = c.address AND x.channel = c.channel AND x.scope = c.scope)"


def consent_row(
    do: Statements,
    address: int,
    channel: int,
    *,
    allowed: bool,
    scope: str = "",
    author: str,
    evidence: str,
    at_us: int,
) -> Row:
    """Return the row for the statement ``insert consent``."""
    return (do.next_id("consent"), address, channel, scope, allowed, author, evidence, at_us)


def said_by(do: Statements, names: Names, channel: int, handles: Collection[str]) -> Said:
    """Return what was said last of everything and of marketing; what was stopped before an erasure stays stopped."""
    # To make a mark takes as long as to read a row, and where nobody was erased there is none.
    erased = do.rows("SELECT 1 FROM erased LIMIT 1")
    marks = {names.erased_mark(handle): handle for handle in handles} if erased else {}
    rows = do.among(
        "SELECT a.handle, c.scope, c.allowed, c.evidence FROM address a JOIN consent c ON c.address = a.id"
        f" WHERE c.channel = ? AND c.scope IN (?, ?) AND {_LATEST} AND a.handle IN {{}}",
        [*handles, *marks],
        (channel, "", MARKETING),
    )
    words = {(handle, scope): Word(bool(allowed), evidence) for handle, scope, allowed, evidence in rows}
    stopped = {
        (marks[mark], scope): word for (mark, scope), word in words.items() if mark in marks and not word.allowed
    }
    return stopped | {key: word for key, word in words.items() if key[0] in handles}


def why_not(said: Said, handle: str, purpose: Purpose) -> str:
    """Return why somebody gets no message of that purpose, ``""`` if they do."""
    scopes = ("", MARKETING) if purpose == Purpose.OUTREACH else ("",)
    words = [said.get((handle, scope)) for scope in scopes]
    for word in words:
        if word is not None and not word.allowed:
            return f"the recipient opted out ({word.evidence})"
    if words[-1] is None and purpose == Purpose.OUTREACH:
        return "outreach needs the recipient's consent to marketing, and none is recorded"
    return ""


@frozen(kw_only=True)
class Statement:
    """What a person says at the desk that somebody said: *evidence* is the wording, and where it can be seen."""

    address: Address
    channel: str
    allowed: bool
    scope: str = MARKETING
    evidence: str
    by: str


def state(tx: Transaction, payloads: Sequence[Statement]) -> list[FernamtError | None]:
    """Record what was said; an address that nobody knew yet becomes a customer's."""
    batch = Batch()
    people = People(tx.do, batch, tx.now_us)
    people.look_up([str(payload.address) for payload in payloads])
    results = [_stated(tx, payload, batch, people) for payload in payloads]
    batch.write(tx.do)
    return results


def _stated(tx: Transaction, said: Statement, batch: Batch, people: People) -> FernamtError | None:
    found = tx.do.rows("SELECT id FROM channel WHERE name = ?", (said.channel,))
    if not found:
        return FernamtError(f"There is no channel {said.channel!r}. fernamt channels lists them.")
    address, channel = people.number(said.address, evidence=said.by)[0], found[0][0]
    row = consent_row(
        tx.do,
        address,
        channel,
        allowed=said.allowed,
        scope=said.scope,
        author=said.by,
        evidence=said.evidence,
        at_us=tx.now_us,
    )
    batch.add("insert consent", row)
    return None
