"""What plugin code asked for, done in the transaction in which what asked for it ends: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from fernamt._store.desk import Composition, compose
from fernamt._store.subscriptions import remember
from fernamt._store.tasks import Errand, cancel_task, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.effects import AddEntry, Effect, Job, Remember, Reply, Timer
from fernamt.errors import Unsupported

_MICROSECOND: Final = timedelta(microseconds=1)


@frozen(kw_only=True)
class Asking:
    """Who asks for effects, and where."""

    plugin: str
    conversation: int
    n: int
    """The entry that it is about."""
    subscriber: str = ""
    """``<plugin>.<name>``, whose timers and memory they are; empty: no subscriber asks."""


def apply_effects(tx: Transaction, asking: Asking, effects: Sequence[Effect]) -> None:
    """Do what was asked for, in its order. The effects are storable: see :mod:`fernamt._runtime.storable`.

    Raises:
        Unsupported: One of them cannot be done here, and never will; nothing may be committed then.
    """
    written = [made for effect in effects if (made := _composition(asking, effect)) is not None]
    for result in compose(tx, written) if written else ():
        if isinstance(result, Exception):
            raise Unsupported(str(result)) from result
    for effect in effects:
        match effect:
            case Timer():
                _set(tx, asking, effect)
            case Job():
                _plan(tx, asking, effect)
            case Remember(memory):
                if not asking.subscriber:
                    raise Unsupported("only a subscriber has a memory")
                remember(tx, asking.subscriber, asking.conversation, memory)
            case _:
                pass


def _composition(asking: Asking, effect: Effect) -> Composition | None:
    author = f"plugin:{asking.plugin}"
    match effect:
        case Reply():
            return Composition(
                conversation=asking.conversation,
                kind="sent",
                author=author,
                text=effect.text,
                to=() if effect.to is None else (effect.to,),
                channel=effect.channel or "",
                attachments=effect.attachments,
                buttons=effect.buttons,
                template=effect.template,
                automatic=True,
            )
        case AddEntry():
            return Composition(
                conversation=asking.conversation, kind=effect.kind, author=author, text=effect.text, data=effect.data
            )
        case _:
            return None


def _set(tx: Transaction, asking: Asking, timer: Timer) -> None:
    if not asking.subscriber:
        raise Unsupported("only a subscriber can set a timer")
    key = f"timer:{asking.subscriber}:{asking.conversation}:{timer.name}"
    if timer.after is None:
        cancel_task(tx, key)
        return
    errand = Errand(
        owner=f"work:{asking.plugin}",
        kind="timer",
        key=key,
        conversation=asking.conversation,
        n=asking.n,
        data={"subscriber": asking.subscriber, "timer": timer.name},
        due_us=tx.now_us + timer.after // _MICROSECOND,
    )
    plan_tasks(tx, [errand], replace=True)


def _plan(tx: Transaction, asking: Asking, job: Job) -> None:
    errand = Errand(
        owner=f"work:{asking.plugin}",
        kind="job",
        key="",
        conversation=asking.conversation,
        n=asking.n,
        data={"subscriber": asking.subscriber, "job": job.name, "data": job.data},
        due_us=tx.now_us,
    )
    plan_tasks(tx, [errand])


def route(tx: Transaction, conversation: int, *, kind: str, team: str) -> None:
    """Note where a conversation goes, and make it one of that kind."""
    said = {"kind": kind, "team": team}
    data = {name: value for name, value in said.items() if value}
    [written] = compose(tx, [Composition(conversation=conversation, kind="routed", author="", data=data)])
    if isinstance(written, Exception):
        raise written
    if kind:
        tx.do.one("UPDATE conversation SET kind = ? WHERE id = ?", (kind, conversation))
