"""Runners on one PostgreSQL hear of each other's commits, in few words, and of everything after a gap."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Self

import psycopg
import pytest
from structlog.testing import capture_logs

from fernamt._runtime.clock import SystemClock
from fernamt._store import hints as module
from fernamt._store.engine import Store
from fernamt._store.hints import Hints


@pytest.fixture
def stores(postgres_url: str) -> Iterator[Callable[[], Store]]:
    opened = []

    def open_one() -> Store:
        opened.append(Store.open(postgres_url, SystemClock()))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


class Ear:
    """What a runner hears, in order."""

    def __init__(self, store: Store, **more: Any) -> None:
        self.heard: SimpleQueue[set[str]] = SimpleQueue()
        self.hints = Hints(store, **more)

    def __enter__(self) -> Self:
        self.hints.listen(lambda topics: self.heard.put(set(topics)))
        assert self.next() == {"*"}  # it has just begun to listen
        return self

    def __exit__(self, *_: object) -> None:
        self.hints.stop()

    def next(self) -> set[str]:
        return self.heard.get(timeout=20)


def test_another_runner_hears_what_was_touched(stores: Callable[[], Store]) -> None:
    with Ear(stores()) as ear:
        Hints(stores()).send({"conversation:1", "send:2"})
        assert ear.next() == {"conversation:1", "send:2"}


def test_nobody_hears_himself(stores: Callable[[], Store]) -> None:
    with Ear(stores()) as ear:
        ear.hints.send({"send:1"})
        Hints(stores()).send({"send:2"})
        assert ear.next() == {"send:2"}


def test_many_words_come_in_several_pieces_and_too_many_as_one(stores: Callable[[], Store]) -> None:
    with Ear(stores()) as ear:
        other = Hints(stores())
        some = {f"conversation:{number:09}" for number in range(700)}
        other.send(some)
        heard: set[str] = set()
        while heard < some:
            heard |= ear.next()
        assert heard == some
        other.send({f"conversation:{number:09}" for number in range(3_000)})
        assert ear.next() == {"*"}


def test_a_listener_whose_connection_broke_comes_back_and_takes_everything_as_changed(
    stores: Callable[[], Store], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.05)
    with Ear(stores()) as ear, capture_logs() as logs:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert ear.next() == {"*"}
        Hints(stores()).send({"send:1"})
        assert ear.next() == {"send:1"}
    assert [entry["event"] for entry in logs] == ["listening_broken"]


def test_a_server_that_is_away_is_no_error_of_who_tells() -> None:
    store = Store.open("postgresql://fernamt@127.0.0.1:1/postgres", SystemClock())
    Hints(store).send({"send:1"})


def test_who_listens_at_an_address_of_its_own_gives_its_password_away_to_nobody(stores: Callable[[], Store]) -> None:
    hints = Hints(stores(), listen_url="postgresql://ann:geheim-genug@127.0.0.1/other")
    assert hints.password == "geheim-genug"
    assert "geheim-genug" not in repr(hints)


def test_stopping_ends_the_thread(stores: Callable[[], Store]) -> None:
    with Ear(stores()):
        assert any(thread.name == "fernamt-listener" for thread in threading.enumerate())
    assert not any(thread.name == "fernamt-listener" for thread in threading.enumerate())
