"""What the way in brings to the store."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeAlias

from attrs import field, frozen

from fernamt._store.names import id_hash, sent_hash
from fernamt.inbound import Cursor, InboundEvent
from fernamt.model import Blob

Made: TypeAlias = tuple[int, int] | tuple[None, None]
"""The entry that an event made: its conversation and its n there."""


@frozen(kw_only=True)
class Line:
    """What the store has to know of a channel."""

    number: int
    id: str
    reopen_days: float = 14.0
    fetches: bool = False
    """Its connector brings pages of history."""
    brings_media: bool = False


@frozen(kw_only=True, slots=False)
class Submission:
    """What one call of ``Intake.accept`` brings: storable values, attachments in the blob store already."""

    line: Line
    events: tuple[InboundEvent, ...]
    raw: bytes | Blob | None = field(default=None, repr=False)
    cursor: Cursor | None = None


def key_hash(line: Line, key: str) -> bytes:
    """Return what identifies an event of a channel."""
    return blake2b(b"k%d:%s" % (line.number, key.encode()), digest_size=16).digest()


def id_hashes(line: Line, provider_id: str) -> tuple[bytes, ...]:
    """Return by what a message with that id may be known: it was sent, it was received, or the id is its key as well."""
    return sent_hash(line.number, provider_id), id_hash(line.number, provider_id), key_hash(line, provider_id)
