"""What a conversation gets of a live exchange: an entry for what happened, and nothing of what must not be kept."""

from __future__ import annotations

from fernamt._runtime.script import Script
from fernamt._store.sessions import Noted
from fernamt.model import Attachment, Json
from fernamt.session import (
    Gather,
    Happened,
    HungUp,
    LookedUp,
    LookUpFailed,
    Polled,
    Pressed,
    Recorded,
    Said,
    SessionEvent,
    Started,
    Transferred,
)


def is_secret(script: Script, what: Happened) -> bool:
    """Say whether what happened answers a question whose answer must not be kept."""
    asked = any(isinstance(action, Gather) and action.sensitive for action in script.actions)
    return asked and isinstance(what, Pressed | Said | Recorded)


def minutes(event: SessionEvent, *, begins: bool, secret: bool) -> list[Noted]:
    """Return the entries of an event. Of what was *secret* not even the key: a provider may make it of the digits."""
    what, at = event.what, event.at.isoformat()
    entries: list[Noted] = []
    if begins:
        called = what.called if isinstance(what, Started) else ""
        entries.append(Noted(kind="call", data={"called": called, "call": event.session, "at": at}, by_caller=True))
    match what:
        case Started() | Polled():
            pass
        case HungUp(by):
            entries.append(Noted(kind="hung-up", data={"at": at, "by": by}, by_caller=by == "caller"))
        case LookedUp():
            entries.append(Noted(kind="step", data={"at": at, "what": "looked-up"}))
        case LookUpFailed(reason):
            entries.append(Noted(kind="step", data={"at": at, "what": "look-up-failed", "reason": reason}))
        case _ if secret:
            kind = type(what).__name__.lower()
            entries.append(Noted(kind="step", data={"at": at, "what": kind, "secret": True}, by_caller=True))
        case _:
            entries.append(_step(event, at))
    return entries


def _step(event: SessionEvent, at: str) -> Noted:
    data: dict[str, Json] = {"at": at, "what": type(event.what).__name__.lower()}
    text = ""
    files: tuple[Attachment, ...] = ()
    match event.what:
        case Pressed(keys):
            text = keys
        case Said(words, confidence):
            text, data["confidence"] = words, confidence
        case Transferred(outcome):
            data["outcome"] = outcome
        case Recorded(recording):
            files = (recording,)
        case _:
            pass
    return Noted(kind="step", text=text, data=data, by_caller=True, attachments=files, key=event.key)


def handover(menu: str, why: str) -> Noted:
    """Return what tells an agent that a caller was left without an answer; *menu* is empty if none was configured."""
    text = f"The menu {menu} could not go on: {why}." if menu else "Somebody called, and no menu answers this channel."
    return Noted(kind="handover", text=text, data={"menu": menu})
