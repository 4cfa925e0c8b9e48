"""What is kept of a received message beside its words."""

from __future__ import annotations

from fernamt.inbound import Received
from fernamt.model import Json


def data_of(event: Received, follows: int) -> dict[str, Json]:
    """Return what else is known of a message; *follows* is the conversation that it would have joined, if that were not over."""
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
    if event.cc or event.part or event.marks or event.folded or event.automatic or event.silent:
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
    if (part := event.part) is not None:
        data["part"] = {"group": part.group, "number": part.number, "total": part.total}
    if event.marks:
        data["marks"] = list(event.marks)
    if event.folded:
        data["folded"] = [[one.first, one.end, one.kind] for one in event.folded]
