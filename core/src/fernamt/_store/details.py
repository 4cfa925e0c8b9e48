"""What else is known of a message beside its words: kept as the data of its entry."""

from __future__ import annotations

from typing import Final

from fernamt.inbound import Received
from fernamt.model import Json

_PLAIN: Final = ("subject", "sender_name", "choice", "automatic", "silent")
_TIMES: Final = ("at", "window_until")


def details(event: Received, follows: int) -> dict[str, Json]:
    """Return what else is known of *event*; *follows*: the conversation that its own takes up again, 0 if none."""
    data: dict[str, Json] = {name: value for name in _PLAIN if (value := getattr(event, name))}
    for name in _TIMES:
        if (at := getattr(event, name)) is not None:
            data[name] = at.isoformat()
    if event.cc:
        data["cc"] = [str(person) for person in event.cc]
    if event.marks:
        data["marks"] = list(event.marks)
    if event.folded:
        data["folded"] = [[one.first, one.end, one.kind] for one in event.folded]
    if follows:
        data["follows"] = follows
    return data
