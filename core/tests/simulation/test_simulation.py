"""The promise of DESIGN 1 under two hundred interleavings, and proof that the model would notice if it were broken."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fernamt._runtime import outbox, outcome
from fernamt._store import claims, deliveries, pieces, receipts, reception
from fernamt._store.statements import Statements

from .runs import COMMAND, Stage, told
from .script import Script

ROOT = Path(__file__).parents[3]
SEEDS = 200
AT_ONCE = 10


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage.open() as stage:
        yield stage


@pytest.mark.timeout(120)
@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_the_promise_holds_whatever_happens_in_between(stage: Stage, first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        script = Script.of(seed)
        why = stage.fault(script)
        if why is not None:
            pytest.fail(told(script, why) + "\n\n" + "\n".join(why.__notes__))


def test_a_seed_tells_the_same_story_in_every_process(stage: Stage) -> None:
    seed = 3
    story = stage.play(Script.of(seed))
    done = subprocess.run(
        [sys.executable, *COMMAND.split()[1:], "--seed", str(seed)],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [*story, f"seed {seed}: all is well"]
    assert story != stage.play(Script.of(seed + 1))


def test_a_failure_is_shortened_to_what_it_needs() -> None:
    def fails(script: Script) -> bool:
        return "crashes" in script.faults and sum(step.action == "reply" for step in script.steps) >= 2

    script = next(one for one in map(Script.of, range(100)) if fails(one))
    shorter = script.shrunk(fails)
    assert [step.action for step in shorter.steps] == ["reply", "reply"]
    assert shorter.faults == ("crashes",)


# ---- the model bites
def _without_fences(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "lost", lambda *_: {})


def _without_dedupe(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reception._Plan, "_outlived", lambda *_: True)


def _without_lanes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deliveries.OpenDelivery, "lane", property(lambda one: (one.id, one.address)))


def _without_attempt_before_send(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "begin", lambda _tx, payloads: [[True for _ in one.attempts] for one in payloads])


def _repeating_what_is_uncertain(patch: pytest.MonkeyPatch) -> None:
    outcome_of = outcome.outcome_of
    patch.setattr(outbox, "outcome_of", lambda answer, **more: outcome_of(answer, **{**more, "idempotent": True}))


def _lowering_states(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(receipts, "fold", lambda _state, fact: fact)


def _forgetting_early_receipts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deliveries, "settle_early", lambda *_: None)


def _leaving_taken_over_attempts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "take_over", lambda _tx, payloads: [0 for _ in payloads])


def _not_asking_again_for_a_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deliveries, "_is_under_way", lambda *_: False)


def _losing_writes(patch: pytest.MonkeyPatch) -> None:
    many: Callable[..., None] = Statements.many

    def forgetful(self: Statements, name: str, rows: Any) -> None:
        rows = list(rows)
        many(self, name, rows[:-1] if name == "insert entry" and len(rows) > 2 else rows)

    patch.setattr(Statements, "many", forgetful)


def _not_reading_what_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pieces, "waiting", lambda *_: {})


MUTATIONS = {  # what is broken, how, the last seed that found it, and what the model said
    "a stale holder's writes count": (_without_fences, 43, "counted with fence"),
    "repeats are not known": (_without_dedupe, 0, "was acknowledged as"),
    "every delivery is a lane": (_without_lanes, 1, "overtook"),
    "no attempt is committed before the first byte": (_without_attempt_before_send, 0, "was never committed"),
    "what is uncertain is repeated": (_repeating_what_is_uncertain, 13, "nobody knows how attempt"),
    "receipts lower states": (_lowering_states, 1, "was lowered from"),
    "early receipts are forgotten": (_forgetting_early_receipts, 6, "knows nothing of it"),
    "nobody looks after what a dead holder began": (_leaving_taken_over_attempts, 0, "never comes to rest"),
    "nobody asks again whether an attempt was committed": (_not_asking_again_for_a_commit, 29, "never comes to rest"),
    "pieces do not find each other": (_not_reading_what_waits, 0, "in the store they are"),
    "an entry is acknowledged and not written": (_losing_writes, 0, ""),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.timeout(120)
def test_the_model_notices_when(stage: Stage, monkeypatch: pytest.MonkeyPatch, mutation: str) -> None:
    mutate, last_found_by, words = MUTATIONS[mutation]
    mutate(monkeypatch)
    faults = (stage.fault(Script.of(seed)) for seed in (last_found_by, *range(SEEDS)))
    assert any(why is not None and words in str(why) for why in faults)
