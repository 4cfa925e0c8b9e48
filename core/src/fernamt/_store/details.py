"""What else is known of a message beside its words: kept as the data of its entry."""

from __future__ import annotations

from fernamt.inbound import Received
from fernamt.model import Json


def details(event: Received, follows: int) -> dict[str, Json]:
    """Return what else is known of *event*; *follows*: the conversation that its own takes up again, 0 if none."""
    data: dict[str, Json] = {}
    # Name by name: a loop over names would take four times as long, and each message comes by here.
    if event.subject:
        data["subject"] = event.subject
    if event.sender_name:
        data["sender_name"] = event.sender_name
    if event.choice:
        data["choice"] = event.choice
    if event.at is not None:
        data["at"] = event.at.isoformat()
    if event.window_until is not None:
        data["window_until"] = event.window_until.isoformat()
    if event.cc or event.marks or event.folded or event.automatic or event.silent:
        _add_rarer(data, event)
    if follows:
        data["follows"] = follows
    return data


def _add_rarer(data: dict[str, Json], event: Received) -> None:
    if event.automatic:
        data["automatic"] = True
    if event.silent:
        data["silent"] = True
    if event.cc:
        data["cc"] = [str(person) for person in event.cc]
    if event.marks:
        data["marks"] = list(event.marks)
    if event.folded:
        data["folded"] = [[one.first, one.end, one.kind] for one in event.folded]
