"""The kit itself: the right connector keeps every rule, and every mutant is caught by its own."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from fernamt.testing.conformance import Verdict, judge
from fernamt.testing.rule import Rule
from fernamt.testing.rules import RULES

from .mutants import MUTANTS, Mutant, PackagedSuite
from .right import TOKEN, RightSuite


class TestRight(RightSuite):
    pass


@pytest.mark.parametrize("rule", [one for one in RULES if one.id.startswith("package.")], ids=lambda one: one.id)
def test_the_right_distribution_keeps_the_rules_about_distributions(rule: Rule) -> None:
    assert judge(PackagedSuite(), rule) == Verdict(rule=rule, state="kept")


def test_every_rule_has_a_page_and_a_name_of_its_own() -> None:
    assert len({one.id for one in RULES}) == len(RULES)
    for one in RULES:
        assert one.about.endswith("."), one.id
        for part in ("**Why.**", "**Example.**", "**Exceptions.**"):
            assert part in one.page, one.id


def test_every_rule_has_a_mutant() -> None:
    assert {one.id for one in RULES} - {one.rule for one in MUTANTS} == set()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_is_caught_by_its_own_rule(mutant: Mutant) -> None:
    """That no other rule catches it takes minutes: ``make rules``."""
    [rule] = [one for one in RULES if one.id == mutant.rule]

    verdict = judge(mutant.suite(), rule)
    gc.collect()  # what a mutant leaves open on purpose is told of here, and not to the next test

    assert verdict.state == "broken"
    assert ":" in verdict.said or "," in verdict.said, "it says what was seen, and what to do"


def test_what_goes_out_is_written_down_and_a_difference_is_shown(tmp_path: Path) -> None:
    class Suite(RightSuite):
        sent_folder = tmp_path / "sent"

    [rule] = [one for one in RULES if one.id == "out.as-recorded"]
    nothing = judge(Suite(), rule)
    written = judge(Suite(), rule, records=True)
    kept = judge(Suite(), rule)
    (tmp_path / "sent" / "text.txt").write_text((tmp_path / "sent" / "text.txt").read_text().replace("ann", "bob"))
    changed = judge(Suite(), rule)

    assert [one.state for one in (nothing, written, kept, changed)] == ["broken", "kept", "kept", "broken"]
    assert "--fernamt-record" in nothing.said
    assert '-  "to": "bob",\n+  "to": "ann",' in changed.said
    assert TOKEN.reveal() not in "".join(one.read_text() for one in (tmp_path / "sent").iterdir())


def test_nobody_replaces_the_test_that_runs_the_rules() -> None:
    with pytest.raises(TypeError, match=r"waive a rule in quality\.toml"):
        type("TestMine", (RightSuite,), {"test_rule": lambda self: None})
