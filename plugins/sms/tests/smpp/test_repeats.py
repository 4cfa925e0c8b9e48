"""Which of two equal messages is the first one again: a deliver_sm has no id, and must be neither lost nor doubled."""

from __future__ import annotations

import pytest
from attrs import define

from fernamt_sms.smpp.repeats import Repeats


@define(eq=False)
class Place:
    heard_at: float = 0.0


def keys(*steps: tuple[str, float, Place], answer_s: float = 0.1, valid_s: float = 600.0) -> list[str]:
    """Return the keys of messages that say the same, each answered (or not, or refused) before the next one comes."""
    repeats, found = Repeats(valid_s), []
    for what, at, place in steps:
        one = repeats.seen("ja", place, at)
        found.append(one.key)
        if what == "kept":
            one.answered_at = at + answer_s
        one.refused = what == "refused"
    return found


@pytest.mark.parametrize(
    ("later_s", "known"), [(0.2, True), (4.0, True), (60.0, True), (601.0, True), (10_000.0, False)]
)
def test_on_a_line_that_stands_an_equal_message_behind_a_prompt_answer_is_new(later_s: float, *, known: bool) -> None:
    place = Place()

    first, second = keys(("kept", 100.0, place), ("kept", 100.0 + later_s, place))

    assert first == "ja"
    # The store counts from its commit, which may come later: the key is free again only when the store has surely forgotten it.
    assert (second != first) == known


def test_two_equal_messages_in_one_window_are_two() -> None:
    place = Place()

    assert len({*keys(("waits", 100.0, place), ("waits", 100.1, place))}) == 2


def test_after_a_broken_line_an_equal_message_is_the_same_one() -> None:
    first, second = keys(("kept", 100.0, Place()), ("kept", 101.0, Place()))

    assert first == second


def test_after_a_broken_line_it_is_new_if_the_answer_had_arrived() -> None:
    heard = Place(heard_at=130.0)

    first, second = keys(("kept", 100.0, heard), ("kept", 140.0, Place()))

    assert first != second


def test_a_slow_answer_may_have_come_too_late() -> None:
    place = Place()

    first, second = keys(("kept", 100.0, place), ("kept", 131.0, place), answer_s=30.0)

    assert first == second


@pytest.mark.parametrize("what", ["refused", "waits"])
def test_what_was_not_answered_with_yes_keeps_its_key(what: str) -> None:
    place = Place()

    first, second = keys((what, 100.0, place), ("kept", 110.0, place))

    assert first == second


def test_what_comes_after_its_time_is_another_message() -> None:
    repeats = Repeats(600.0)
    one = repeats.seen("ja", Place(), 100.0)
    one.answered_at = 100.1

    assert repeats.seen("ja", Place(), 701.0) is not one


def test_a_second_message_that_is_offered_again_keeps_its_own_key() -> None:
    place = Place()

    first, second, again = keys(("kept", 100.0, place), ("kept", 110.0, place), ("kept", 111.0, Place()))

    assert first != second
    assert again == second


def test_only_what_may_come_again_is_remembered() -> None:
    repeats = Repeats(600.0)
    for number in range(1000):
        repeats.seen(f"{number}", Place(), float(number * 10))

    assert len(repeats._seen) <= 122
