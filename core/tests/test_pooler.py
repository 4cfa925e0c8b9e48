"""Behind a transaction pooler the next statement may meet another session of the server, and nothing breaks."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.hub import Hub
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.hints import Hints
from fernamt._store.names import Names
from fernamt._store.postgres import is_pooled
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.inbound import Received
from fernamt.model import Address
from fernamt.testing.fixtures import missing
from fernamt.testing.pooler import pooled
from fernamt.testing.servers import ServerMissing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="PgBouncer is installed on Debian only")


@pytest.fixture
def pooler(postgres_url: str) -> Iterator[str]:
    try:
        with pooled(postgres_url) as url:
            yield url
    except ServerMissing as why:
        missing(str(why))


@pytest.fixture
def store(pooler: str) -> Iterator[Store]:
    store = Store.open(pooler, SystemClock())
    yield store
    store.close()


def test_a_pooler_is_told_from_a_server(pooler: str, postgres_url: str) -> None:
    for url, expected in ((pooler, True), (postgres_url, False)):
        with psycopg.connect(url) as connection:
            assert is_pooled(connection) is expected


async def test_messages_are_stored_through_it_by_several_runners_at_once(store: Store) -> None:
    store.migrate()
    store.require_schema()
    writers = [Writer(store), Writer(store)]
    for writer in writers:
        writer.start()
    line = Line(number=await writers[0].write(enter, Entrance(id="line", kind="chat", label="Chat")), id="line")
    reception = Reception(Names(store.keys()))

    async def write(number: int) -> None:
        event = Received(key=f"k{number}", sender=Address("chat", f"c{number % 7}"), text="Hallo")
        await writers[number % 2].write(reception, Submission(line=line, events=(event,)))

    # Statements that come again and again are those that psycopg would prepare.
    for start in range(0, 200, 20):
        await asyncio.gather(*(write(number) for number in range(start, start + 20)))
    with store.read() as connection:
        [(count,)] = store.statements(connection).rows("SELECT count(*) FROM entry WHERE kind = 'received'")
    assert count == 200
    for writer in writers:
        await writer.stop()


def test_what_was_acknowledged_is_durable_whatever_the_session_was_told(store: Store, postgres_url: str) -> None:
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        assert tx.do.rows("SHOW synchronous_commit") == [("on",)]
        assert tx.do.rows("SHOW lock_timeout") == [("10s",)]


async def test_hints_go_through_it_and_are_heard_at_the_server_itself(store: Store, postgres_url: str) -> None:
    hub, woken = Hub(), asyncio.Event()
    loop = asyncio.get_running_loop()
    hints = Hints(store, listen_url=postgres_url)
    hints.listen(lambda topics: loop.call_soon_threadsafe(hub.wake, topics))
    with hub.waking(woken.set, "send:1"):
        async with asyncio.timeout(20):
            await woken.wait()  # it listens
            woken.clear()
            await asyncio.to_thread(Hints(store).send, {"send:1"})
            await woken.wait()
    await asyncio.to_thread(hints.stop)


def test_who_would_listen_through_it_says_what_to_do_and_listens_no_more(store: Store) -> None:
    hints, heard = Hints(store), list[Any]()
    with capture_logs() as logs:
        hints.listen(heard.append)
        assert hints._thread is not None
        hints._thread.join(timeout=20)
    assert [entry["event"] for entry in logs] == ["listening_pooled"]
    assert "listen_url" in logs[0]["fix"]
    assert heard == []
