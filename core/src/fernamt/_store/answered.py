"""What an answer answers: the words of the person who wrote last, not of a machine that spoke for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
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
