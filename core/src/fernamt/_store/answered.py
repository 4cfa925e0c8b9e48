"""What an answer answers: the words of the person who wrote last, not of a machine that spoke for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson

from fernamt._store.automatic import IS_SILENT
from fernamt._store.statements import Row, Statements
from fernamt.model import Address, moment
from fernamt.outbound import Answered


def heard(received: Sequence[Row]) -> Sequence[Row]:
    """Return what people wrote, or all of it if nobody did: an out-of-office note is no message to answer."""
    return [row for row in received if IS_SILENT not in (row[2] or "")] or received


def answered_by(do: Statements, entries: Collection[int]) -> dict[int, Answered]:
    """Return what was written in these entries."""
    rows = do.among(
        "SELECT e.id, a.handle, c.data, c.text, e.at FROM entry e JOIN content c ON c.entry = e.id"
        " JOIN address a ON a.id = e.author WHERE e.id IN {}",
        sorted(entries),
    )
    found = {}
    for number, handle, data_json, text, at_us in rows:
        data: dict[str, Any] = orjson.loads(data_json) if data_json else {}
        at = datetime.fromisoformat(data["at"]) if "at" in data else moment(at_us)
        found[number] = Answered(
            sender=Address.parse(handle), sender_name=data.get("sender_name", ""), text=text, at=at
        )
    return found


def subject_of(received: Sequence[Row]) -> str:
    """Return the subject that the customer used last, marked as answered once."""
    for _, _, data, *_ in received:
        subject = orjson.loads(data).get("subject", "") if data else ""
        if subject:
            return subject if subject.lower().startswith(("re:", "aw:")) else f"Re: {subject}"
    return ""


def window_of(received: Sequence[Row]) -> tuple[datetime | None, datetime | None]:
    """Return when the latest message came, and until when it lets us answer if it says so."""
    if not received:
        return None, None
    _, _, data, at, _ = received[0]
    until = orjson.loads(data).get("window_until") if data else None
    return moment(at), datetime.fromisoformat(until) if until else None


def references_of(received: Sequence[Row], sent: Sequence[Row]) -> tuple[str, ...]:
    """Return the ids of a conversation, the oldest first."""
    numbered = [(row[0], row[1]) for row in received if row[1]]
    numbered += [(n, one) for n, ids in sent for one in orjson.loads(ids)]
    return tuple(dict.fromkeys(one for _, one in sorted(numbered, key=itemgetter(0))))
