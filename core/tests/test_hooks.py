"""The façade: each implementation is asked singly, so that each can fail alone."""

from __future__ import annotations

import sys
import timeit
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
import structlog

from fernamt import (
    Address,
    Conversation,
    ConversationId,
    ConversationState,
    Customer,
    CustomerId,
    Entry,
    OutboundMessage,
    Refusal,
    Route,
    Subject,
    hookimpl,
    hookspecs,
)
from fernamt._runtime.hooks import Plugins

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANN = Address("email", "ann@example.org")
MESSAGE = OutboundMessage(key="k1", entry_key="e1", attempt=1, to=ANN, text="Guten Tag")
CUSTOMER = Customer(id=CustomerId("c1"), name="Ann", addresses=(ANN,), language="de", plan="")
CONVERSATION = Conversation(
    id=ConversationId("v1"),
    customer=CUSTOMER.id,
    kind="support",
    state=ConversationState.OPEN,
    language="de",
    last_n=1,
)
ENTRY = Entry(conversation=CONVERSATION.id, n=1, kind="received", at=NOW, author=str(ANN), channel=None, text="Hallo")
SUBJECT = Subject(customer=CUSTOMER.id, addresses=(ANN,))


def plugins(**hooks: Mapping[str, Any]) -> Plugins:
    """Return the façade over plugins that are given as their hooks, registered as the loader does it."""
    registered = pluggy.PluginManager(hookspecs.PROJECT)
    registered.add_hookspecs(hookspecs)
    for name in sorted(hooks, reverse=True):
        marked = {hook: staticmethod(hookimpl(function)) for hook, function in hooks[name].items()}
        registered.register(type(name, (), marked)(), name=name)
    return Plugins(registered)


def refusing(*refusals: Refusal | None) -> Plugins:
    return plugins(**{f"p{n}": {"fernamt_allow_send": lambda it=it: it} for n, it in enumerate(refusals)})


LATER = Refusal(reason="quiet hours", until=NOW + timedelta(hours=1))
LATEST = Refusal(reason="holiday", until=NOW + timedelta(hours=9))
NEVER = Refusal(reason="opted out")


@pytest.mark.parametrize(
    ("refusals", "outcome"),
    [
        ((), None),
        ((None, None), None),
        ((LATER,), LATER),
        ((None, LATER), LATER),
        ((LATER, LATEST), LATEST),
        ((LATEST, LATER), LATEST),
        ((LATER, NEVER), NEVER),
        ((NEVER, LATEST), NEVER),
        ((NEVER, Refusal(reason="second")), NEVER),
    ],
)
def test_a_refusal_for_good_counts_before_one_with_a_time_and_of_these_the_latest(
    refusals: tuple[Refusal | None, ...], outcome: Refusal | None
) -> None:
    assert refusing(*refusals).allow_send(MESSAGE, CONVERSATION, CUSTOMER, NOW) is outcome


def test_an_implementation_gets_only_the_arguments_that_it_names() -> None:
    seen: list[object] = []

    def allow(now: datetime, message: OutboundMessage) -> None:
        seen.extend((now, message))

    plugins(a={"fernamt_allow_send": allow}).allow_send(MESSAGE, CONVERSATION, CUSTOMER, NOW)

    assert seen == [NOW, MESSAGE]


FAILING = {
    "raises": lambda: 1 / 0,
    "ends the process": lambda: sys.exit(1),
    "returns something else": lambda: SimpleNamespace(reason="x"),
    "returns true": lambda: True,
    "forgets the time zone": lambda: Refusal(reason="x", until=datetime(2026, 1, 1)),  # noqa: DTZ001 - it is the fault
}


@pytest.mark.parametrize("way", FAILING)
def test_an_implementation_that_fails_is_named_and_counted_and_the_others_are_asked(way: str) -> None:
    asked = plugins(a={"fernamt_allow_send": FAILING[way]}, b={"fernamt_allow_send": lambda: LATER})

    with structlog.testing.capture_logs() as logged:
        assert asked.allow_send(MESSAGE, CONVERSATION, CUSTOMER, NOW) is LATER
    [event] = logged
    assert (event["event"], event["plugin"], event["hook"]) == ("hook_failed", "a", "fernamt_allow_send")
    assert asked.failures == {("a", "fernamt_allow_send"): 1}


def test_the_first_route_wins_and_nobody_after_it_is_asked() -> None:
    asked: list[str] = []

    def answering(name: str, route: Route | None) -> Mapping[str, Any]:
        def answer(entry: Entry) -> Route | None:
            asked.append(name)
            return route

        return {"fernamt_route": answer}

    found = plugins(
        a=answering("a", None), d=answering("d", Route()), c=answering("c", Route(team="billing")), b={}
    ).route(ENTRY, CONVERSATION, CUSTOMER)

    assert found == Route(team="billing")
    assert asked == ["a", "c"]


def test_a_route_that_raises_leaves_the_word_to_the_next() -> None:
    def fails() -> Route:
        raise RuntimeError

    asked = plugins(a={"fernamt_route": fails}, b={"fernamt_route": lambda: Route(team="front")})

    assert asked.route(ENTRY, CONVERSATION, CUSTOMER) == Route(team="front")
    assert plugins().route(ENTRY, CONVERSATION, CUSTOMER) is None


def test_every_plugin_is_started_with_its_own_context_and_stopped() -> None:
    told: list[object] = []

    def stop() -> None:
        told.append("stop")
        raise RuntimeError

    def tell(context: object) -> None:
        told.append(context)

    both = plugins(
        a={"fernamt_started": tell, "fernamt_stopping": stop},
        b={"fernamt_started": tell, "fernamt_stopping": stop},
    )
    both.started(lambda name: SimpleNamespace(of=name))
    both.stopping()

    assert told == [SimpleNamespace(of="a"), SimpleNamespace(of="b"), "stop", "stop"]
    assert both.failures.total() == 2


async def test_a_duty_is_kept_by_plugin_and_one_that_failed_to_answer_is_asked_again() -> None:
    broken = [True]

    async def export(context: Any) -> Mapping[str, Any]:
        return {"notes": context}

    def answer(subject: Subject) -> Any:
        if broken:
            raise RuntimeError("database is gone")
        return export

    asked = plugins(
        a={"fernamt_erase": answer},
        b={"fernamt_erase": lambda subject: export, "fernamt_export": lambda: None},
        c={"fernamt_erase": lambda subject: "nonsense"},
    )
    duties = asked.erase(SUBJECT)

    assert set(duties) == {"a", "b", "c"}
    assert await duties["b"](1) == {"notes": 1}  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="database is gone"):
        await duties["a"](1)  # type: ignore[arg-type]
    broken.clear()
    assert await duties["a"](1) == {"notes": 1}  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        await duties["c"](1)  # type: ignore[arg-type]
    assert asked.export(SUBJECT) == {}


def test_asking_nobody_costs_next_to_nothing() -> None:
    nobody = plugins(a={"fernamt_stopping": lambda: None})
    per_call_s = min(
        timeit.repeat(lambda: nobody.allow_send(MESSAGE, CONVERSATION, CUSTOMER, NOW), number=1000, repeat=5)
    )

    assert per_call_s / 1000 < 5e-6
