"""Lanes in memory: of each the first, never two at a time, and nothing of one that may be held."""

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fernamt._runtime.lanes import Lanes
from fernamt._store.deliveries import OpenDelivery
from fernamt.model import DeliveryState

NOW = 1000


def waiting(number: int, lane: int = 1, *, next_at: int = 0, first_at: int | None = None) -> OpenDelivery:
    return OpenDelivery(
        id=number,
        entry=number,
        conversation=lane,
        address=1,
        state=DeliveryState.QUEUED,
        attempts=0 if first_at is None else 1,
        queued_at=0,
        first_at=first_at,
        next_at=next_at,
    )


def lanes(*found: OpenDelivery) -> Lanes:
    made = Lanes(hold_us=300)
    made.add(found, now_us=NOW)
    return made


def taken(of: Lanes) -> list[int]:
    return [of.take().id for _ in range(of.ready)]


def test_of_each_lane_the_first_goes_and_the_next_when_that_is_at_its_end() -> None:
    one, two, three = waiting(1), waiting(2), waiting(3, lane=2)
    made = lanes(one, two, three)
    assert taken(made) == [1, 3]
    made.release(one.lane)
    made.release(three.lane)
    assert taken(made) == [2]


def test_what_could_not_go_is_the_next() -> None:
    made = lanes(waiting(1), waiting(2, lane=2))
    made.put_back(made.take())
    assert taken(made) == [1, 2]


def test_a_lane_that_was_set_aside_waits_until_it_is_read_from_the_start() -> None:
    one, two = waiting(1), waiting(2)
    made = lanes(one, two)
    made.take()
    made.set_aside(one.lane)
    made.reading()
    made.add([two], now_us=NOW)
    assert made.ready == 0
    made.renew()
    made.add([two], now_us=NOW)
    assert taken(made) == [2]


def test_a_retry_that_waits_holds_its_lane_for_its_time() -> None:
    held = waiting(1, next_at=9000, first_at=900)
    assert lanes(waiting(2), held).ready == 0
    assert taken(lanes(waiting(2), evolve(held, first_at=700))) == [2]


def test_what_is_taken_while_the_store_is_read_is_not_offered_again() -> None:
    one, two = waiting(1), waiting(2)
    made = lanes(one, two)
    made.take()
    made.renew()
    made.release(one.lane)  # its result came while the old state was being read
    made.add([evolve(one, state=DeliveryState.SENDING), two], now_us=NOW)
    assert taken(made) == [2]


def test_a_lane_that_somebody_else_sends_on_waits() -> None:
    assert lanes(evolve(waiting(1), state=DeliveryState.SENDING), waiting(2)).ready == 0


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[OpenDelivery], list[int]]:
    count = draw(st.integers(1, 12))
    queue = [waiting(number, lane=draw(st.integers(1, 3))) for number in range(1, count + 1)]
    return queue, draw(st.lists(st.integers(0, 6), max_size=60))


@given(stories())
def test_however_it_is_read_and_whatever_ends_first_each_lane_goes_in_order(
    story: tuple[list[OpenDelivery], list[int]],
) -> None:
    queue, steps = story
    made = Lanes(hold_us=300)
    open_ones = {one.id: one for one in queue}
    under_way: list[OpenDelivery] = []
    began: list[OpenDelivery] = []

    def read(count: int) -> None:
        made.add(sorted(open_ones.values(), key=lambda one: one.id)[:count], now_us=NOW)

    for step in [*steps, *[0, 1, 2, 3] * len(queue) * 2]:
        if step == 0:
            made.renew()
            read(5)
        elif step == 1:
            made.reading()
            read(len(queue))
        elif step == 2 and made.ready:
            one = made.take()
            assert one.lane not in {it.lane for it in under_way}
            under_way.append(one)
            began.append(one)
        elif step in {3, 4} and under_way:
            one = under_way.pop(step - 3 if len(under_way) > 1 else 0)
            del open_ones[one.id]
            made.release(one.lane)
        elif step == 5 and under_way:
            one = under_way.pop()
            began.remove(one)
            made.put_back(one)
        elif step == 6 and under_way:
            one = under_way.pop()
            began.remove(one)
            made.set_aside(one.lane)
    assert len(began) == len(queue)
    for lane in {one.lane for one in queue}:
        assert [one.id for one in began if one.lane == lane] == [one.id for one in queue if one.lane == lane]
