"""A menu on a real line: its turns are committed, its look-ups asked, and what it keeps survives a new daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from fernamt import (
    AskNode,
    BuiltMenu,
    Gather,
    HungUp,
    LookupNode,
    MenuDefinition,
    OrderQuestion,
    OrderStatus,
    PlaceQuestion,
    Pressed,
    SessionEvent,
    Started,
    Transferred,
    Unsupported,
    Variable,
)
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.script import Scribe
from fernamt._runtime.turns import Turns
from fernamt._runtime.walk import PinnedMenu
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writer
from fernamt.model import ChannelId

from .menus.small import SMALL, both, with_nodes
from .test_turns import ANN, House, spoken

PIN = attrs.evolve(
    with_nodes(
        number=AskNode(prompt=both("PIN?"), into="pin", to="look"),
        look=LookupNode(question="order", using={"number": "pin"}, found="bye", failed="person"),
    ),
    entry="number",
    variables={**SMALL.variables, "pin": Variable("digits", "secret")},
)


@pytest.fixture
async def house(store: Store, writer: Writer) -> AsyncIterator[House]:
    number = await writer.write(enter, Entrance(id=ChannelId("line"), kind="test", label="line"))
    house = House(store, writer, Line(number=number, id="line"))
    yield house
    for turns in house.runners:
        await turns.stop()


def runner(house: House, definition: MenuDefinition = SMALL) -> Turns:
    """Return a daemon's turns; the menu is built anew, as by another daemon."""
    menu = BuiltMenu(definition)
    turns = Turns(
        house.line,
        menus={"shop.main": PinnedMenu("shop.main", "shop", menu, menu.digest)},
        menu="shop.main",
        language="de",
        scribe=Scribe([OrderQuestion, PlaceQuestion]),
        store=house.store,
        writer=house.writer,
        blobs=open_blobs(house.store),
        look_up=house.look_up,
        clock=SystemClock(),
    )
    house.runners.append(turns)
    return turns


def event(what: Any, turn: int | None = None) -> SessionEvent:
    return SessionEvent(
        key=f"{type(what).__name__}:{turn}", session="c1", turn=turn, address=ANN, at=datetime.now(UTC), what=what
    )


async def test_a_call_goes_through_a_menu_and_an_agent_sees_what_was_collected(house: House) -> None:
    asked = []

    async def answer(question: OrderQuestion) -> OrderStatus:
        asked.append(question)
        return OrderStatus(state="sent", expected_on=date(2026, 12, 1))

    house.answers = answer
    turn = await runner(house).turn(event(Started("+49800")))
    assert spoken(turn) == ["Was?", "Gather"]
    turn = await runner(house).turn(event(Pressed("1"), turn.n))
    turn = await runner(house).turn(event(Pressed("4711"), turn.n))

    assert spoken(turn) == ["Stand: sent", "Tschüss", "HangUp"]
    assert asked == [OrderQuestion(number="4711", addresses=(ANN,))]
    assert ("menu", "number_of_order: 4711\nstate: sent") in [(kind, text) for _, kind, text in house.log()]


async def test_without_a_service_a_person_is_called_and_another_daemon_goes_on(house: House) -> None:
    async def nobody(question: OrderQuestion) -> OrderStatus:
        raise Unsupported("nobody offers that")

    house.answers = nobody
    turn = await runner(house).turn(event(Started("+49800")))
    turn = await runner(house).turn(event(Pressed("1"), turn.n))
    turn = await runner(house).turn(event(Pressed("4711"), turn.n))
    assert spoken(turn) == ["Transfer"]
    turn = await runner(house).turn(event(Transferred("busy"), turn.n))
    assert spoken(turn) == ["Nach dem Ton", "Record"]
    await runner(house).turn(event(HungUp("caller")))

    assert "hung-up" in house.kinds()


async def test_a_secret_is_nowhere_on_the_disk(house: House) -> None:
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(question: OrderQuestion) -> None:
        found.set_result(question.number)

    house.answers = answer
    turns = runner(house, PIN)
    turn = await turns.turn(event(Started("+49800")))
    [asked] = turn.actions
    assert isinstance(asked, Gather)
    turn = await turns.turn(event(Pressed("987654"), turn.n))

    assert await found == "987654"
    assert "987654" not in house.everything()
