"""Delivery states are folded from facts by one table: whatever the order, the same end, and never downwards."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt.model import Address, DeliveryState, fold, microseconds, moment

QUEUED, SENDING, UNCERTAIN, SENT = (DeliveryState(one) for one in ("queued", "sending", "uncertain", "sent"))
REFUSED, FAILED, DELIVERED, READ = (DeliveryState(one) for one in ("refused", "failed", "delivered", "read"))

TABLE = {  # state: the facts that change it
    QUEUED: {SENDING, UNCERTAIN, SENT, REFUSED, FAILED, DELIVERED, READ},
    SENDING: {UNCERTAIN, SENT, REFUSED, FAILED, DELIVERED, READ},
    UNCERTAIN: {SENT, REFUSED, FAILED, DELIVERED, READ},
    SENT: {REFUSED, FAILED, DELIVERED, READ},
    REFUSED: {FAILED, DELIVERED, READ},
    FAILED: {DELIVERED, READ},
    DELIVERED: {READ},
    READ: set(),
}
states = st.sampled_from(DeliveryState)


def test_the_table_names_every_state() -> None:
    assert set(TABLE) == set(DeliveryState)


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("fact", DeliveryState)
def test_a_fact_raises_a_state_or_changes_nothing(state: DeliveryState, fact: DeliveryState) -> None:
    assert fold(state, fact) == (fact if fact in TABLE[state] else state)


@given(st.lists(states, min_size=1, max_size=6))
def test_facts_in_any_order_give_the_same_state(facts: list[DeliveryState]) -> None:
    ends = set()
    for order in permutations(facts[:4]):
        state = QUEUED
        for fact in (*order, *facts[4:]):
            state = fold(state, fact)
        ends.add(state)
    assert len(ends) == 1


@given(states, st.lists(states))
def test_what_was_reached_is_never_lowered_and_a_repeat_changes_nothing(
    state: DeliveryState, facts: list[DeliveryState]
) -> None:
    for fact in facts:
        after = fold(state, fact)
        assert after == state or after in TABLE[state]
        assert fold(after, fact) == after
        state = after


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_a_time_comes_back_exactly(at: datetime) -> None:
    assert moment(microseconds(at)) == at


@given(st.from_regex(r"[a-z]{1,10}", fullmatch=True), st.text(min_size=1))
def test_an_address_is_read_as_it_is_written(scheme: str, value: str) -> None:
    assert Address.parse(str(Address(scheme, value))) == Address(scheme, value)


@pytest.mark.parametrize("text", ["", ":", "email", "email:", ":ann@example.org"])
def test_what_is_no_address_says_how_one_looks(text: str) -> None:
    with pytest.raises(ValueError, match="scheme:value"):
        Address.parse(text)
