"""Whatever the menu and whatever happens: a step never raises, it ends within the limits, and nobody is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from fernamt import (
    Action,
    AddEntry,
    BuiltMenu,
    Gather,
    HangUp,
    Happened,
    Hold,
    HungUp,
    Job,
    LineAction,
    LookUp,
    MenuDefinition,
    MenuState,
    Record,
    Reply,
    Say,
    Started,
    Step,
    Transfer,
)
from fernamt._runtime.script import Scribe
from fernamt._runtime.walk import ACTIONS_MAX, STATE_MAX_BYTES
from fernamt.menus import engine
from fernamt.menus.engine import GRACE, HOPS_MAX

from .walks import START, beginnings, definitions, events, gone, pauses

ENDS = {"person", "message", "call-back", "goodbye", "gone"}
scribe = Scribe()


def possible(step: Step, *, hung_up: bool) -> None:
    """Fail unless the step can happen on a line, as the core demands it."""
    actions = step.actions
    line = [one for one in actions if isinstance(one, LineAction)]
    look_ups = [one for one in actions if isinstance(one, LookUp)]
    assert all(isinstance(one, LineAction | LookUp | AddEntry | Reply | Job) for one in actions)
    assert len(actions) <= ACTIONS_MAX
    assert len(orjson.dumps(step.state)) <= STATE_MAX_BYTES
    scribe.write(line, look_ups[0] if look_ups else None)
    if hung_up:
        return
    assert len(look_ups) <= 1
    assert look_ups or isinstance(line[-1], Gather | Record | Transfer | Hold | HangUp)
    assert not [one for one in line[:-1] if not isinstance(one, Say)]
    assert ("end" in step.state) == (not look_ups and isinstance(line[-1], HangUp))


def ended_well(state: MenuState | None, actions: Sequence[Action], told: Sequence[str]) -> None:
    """Fail unless whoever it was has a person, a kept message, a call-back, or an honest goodbye; *told* is what agents saw."""
    assert state is not None
    assert state["end"] in ENDS
    if state["end"] == "goodbye":
        assert [one for one in actions if isinstance(one, Say) and any(it.text for it in one.prompts)] != []
    assert {"menu", "handover"} & {*told}
    kept = {"message": "voicemail", "call-back": "callback"}.get(str(state["end"]))
    assert kept is None or kept in told


class Played:
    """An exchange; at every step the state goes through JSON, and a second engine is asked, too."""

    def __init__(self, definition: MenuDefinition) -> None:
        self.menu, self.other = BuiltMenu(definition), BuiltMenu(definition)
        self.state: MenuState | None = None
        self.at: datetime = START
        self.actions: tuple[Action, ...] = ()
        self.told: list[str] = []

    def happen(self, event: Happened, pause: timedelta) -> bool:
        """Let it happen; return whether it goes on."""
        self.at += pause
        before = orjson.dumps(self.state)
        with patch.object(
            engine, "_BROKEN", ()
        ):  # what is caught for states of somebody else's must not hide errors of our own
            step = self.menu.step(self.state, event, at=self.at, language="de")
        assert orjson.dumps(self.state) == before  # pure
        stored: Any = orjson.loads(orjson.dumps(step.state))
        read: Any = orjson.loads(before)
        again = self.other.step(read, event, at=self.at, language="de")
        assert (again.actions, orjson.dumps(again.state)) == (step.actions, orjson.dumps(step.state))
        possible(step, hung_up=isinstance(event, HungUp))
        self.state, self.actions = stored, step.actions
        self.told += [one.kind for one in step.actions if isinstance(one, AddEntry)]
        return "end" not in step.state


@settings(max_examples=150, deadline=None)
@given(definitions(), beginnings, st.lists(st.tuples(events, pauses), max_size=40), st.booleans())
def test_a_step_never_raises_and_can_always_happen_on_a_line(
    definition: MenuDefinition, beginning: Started, happened: list[tuple[Happened, timedelta]], hangs_up: bool
) -> None:
    played = Played(definition)
    goes_on = played.happen(beginning, timedelta())
    for event, pause in happened:
        if not goes_on:
            break
        goes_on = played.happen(event, pause)
    if goes_on and hangs_up:
        goes_on = played.happen(HungUp("caller"), timedelta())
    if not goes_on:
        ended_well(played.state, played.actions, played.told)
        assert played.state is not None
        after = played.menu.step(played.state, HungUp("us"), at=played.at, language="de")
        assert after.actions == ()


@settings(max_examples=60, deadline=None)
@given(definitions(), beginnings, st.randoms(use_true_random=False), st.data())
def test_it_always_ends_within_its_limits(definition: MenuDefinition, beginning: Started, rng: Any, data: Any) -> None:
    pool = data.draw(st.lists(events, min_size=1, max_size=6))
    played = Played(definition)
    # A node costs a step, and in a queue each of its polls two events that have a limit of their own.
    most = (definition.limits.steps + GRACE + HOPS_MAX) * 20
    for _ in range(most):
        event = beginning if played.state is None else rng.choice(pool)
        if not played.happen(event, timedelta()):
            break
    else:
        raise AssertionError(f"it still goes on: {played.state}")
    ended_well(played.state, played.actions, played.told)


json_values: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(definitions(), json_values, st.lists(st.tuples(events | gone, pauses), max_size=3), st.data())
def test_a_state_that_is_none_of_ours_ends_in_words(
    definition: MenuDefinition, rubbish: Any, happened: list[tuple[Happened, timedelta]], data: Any
) -> None:
    menu = BuiltMenu(definition)
    state: Any = dict(menu.step(None, Started("x"), at=START, language="de").state)
    if "end" not in state:
        if data.draw(st.booleans()):
            walk: Any = [*state["walk"]]
            walk[data.draw(st.integers(0, len(walk) - 1))] = rubbish
            state["walk"] = walk
        else:
            state[data.draw(st.sampled_from(sorted(state)))] = rubbish
    for event, pause in happened:
        step = menu.step(state, event, at=START + pause, language="de")
        assert isinstance(step, Step)
        assert isinstance(event, HungUp) or step.actions
