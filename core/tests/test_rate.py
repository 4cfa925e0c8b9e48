"""The rate: so many units a second, a tenth of a second to make up for, and a large message is paid for afterwards."""

import pytest

from fernamt._runtime.rate import Rate


def sent_within(seconds: float, *, per_s: float, units: float = 1, idle_s: float = 0.0) -> int:
    """Send whenever one may, in steps of a millisecond, and return how many went."""
    rate, sent = Rate(100.0), 0
    for step in range(int(seconds * 1000)):
        now = 100.0 + idle_s + step / 1000
        for _ in range(min(rate.room(now, per_s), 1000)):
            if rate.free_at > now:
                break
            rate.spend(units, per_s=per_s, now_s=now)
            sent += 1
    return sent


@pytest.mark.parametrize(("per_s", "units", "most"), [(10, 1, 101), (80, 1, 801), (10, 3, 34), (0.5, 1, 6)])
def test_in_ten_seconds_go_ten_times_as_many_units_as_in_one(per_s: float, units: float, most: int) -> None:
    assert most - 1 <= sent_within(10.0, per_s=per_s, units=units) <= most


def test_what_was_not_used_is_made_up_for_by_a_tenth_of_a_second_only() -> None:
    assert sent_within(1.0, per_s=100, idle_s=3600.0) <= 111


def test_a_message_without_a_unit_counts_as_one() -> None:
    assert sent_within(1.0, per_s=10, units=0) <= 11


def test_without_a_limit_everything_may_go() -> None:
    rate = Rate(1.0)
    rate.spend(10**9, per_s=None, now_s=1.0)
    assert rate.room(1.0, None) > 10**9
