"""Tables of plugins: migrated by their own scripts, kept apart, used in short transactions that starve nobody."""

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fernamt._runtime.clock import SystemClock
from fernamt._store import plugin_tables as module
from fernamt._store.engine import Store
from fernamt._store.plugin_tables import Owned, PluginTables, TablesRefused, Turn, migrate_tables
from fernamt._store.transaction import Transaction
from fernamt._store.writer import Writer
from fernamt.errors import NotStored, Unsupported

OWNED = Owned("csat")
FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}

def upgrade():
    {body}
"""
ANSWER = 'op.create_table("csat_answer", sa.Column("id", sa.Integer, primary_key=True), sa.Column("stars", sa.Integer))'


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Write the scripts of a plugin, one body each, and return their package."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def written(*bodies: str, package: str = "csat_migrations") -> str:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        for number, body in enumerate(bodies, 1):
            down = f"{number - 1:04}" if number > 1 else None
            script = FIRST.format(revision=f"{number:04}", down=down, body=body)
            (folder / f"v{number:04}.py").write_text(script)
        monkeypatch.delitem(sys.modules, package, raising=False)
        return package

    yield written
    sys.modules.pop("csat_migrations", None)


@pytest.fixture
def store(store: Store) -> Iterator[Store]:
    yield store
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        for name in sa.inspect(tx.connection).get_table_names():
            if name.startswith("csat"):
                tx.connection.exec_driver_sql(f"DROP TABLE {name}")


def names(store: Store) -> set[str]:
    with store.read() as connection:
        return {name for name in sa.inspect(connection).get_table_names() if name.startswith("csat")}


def test_the_scripts_of_a_plugin_are_run_once_and_later_ones_after_them(
    store: Store, scripts: Callable[..., str]
) -> None:
    migrate_tables(store, OWNED, scripts(ANSWER))
    migrate_tables(store, OWNED, scripts(ANSWER))
    assert names(store) == {"csat_answer", "csat_version"}

    migrate_tables(store, OWNED, scripts(ANSWER, 'op.create_index("ix_csat_answer_stars", "csat_answer", ["stars"])'))
    with store.read() as connection:
        assert [it["name"] for it in sa.inspect(connection).get_indexes("csat_answer")] == ["ix_csat_answer_stars"]
        assert connection.scalar(sa.text("SELECT version_num FROM csat_version")) == "0002"
        assert connection.scalar(sa.text("SELECT count(*) FROM fernamt_version")) == 1


REFUSED = {
    "a table outside": 'op.create_table("answer", sa.Column("id", sa.Integer))',
    "a name that only begins alike": 'op.create_table("csats", sa.Column("id", sa.Integer))',
    "a column of the core": 'op.add_column("conversation", sa.Column("stars", sa.Integer))',
    "an index of the core": 'op.create_index("csat_fast", "conversation", ["changed_at"])',
    "a drop of the core": 'op.drop_table("early_receipt")',
    "a view outside": 'op.execute("CREATE VIEW answers AS SELECT 1 AS one")',
    "a foreign key into the core": 'op.create_table("csat_a", sa.Column("c", sa.BigInteger, sa.ForeignKey("conversation.id")))',
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_script_that_changes_what_is_not_its_own_is_refused_whole(
    store: Store, scripts: Callable[..., str], what: str
) -> None:
    with store.read() as connection:
        before = module._there(connection, OWNED)
    with pytest.raises(TablesRefused, match="not theirs"):
        migrate_tables(store, OWNED, scripts(ANSWER, REFUSED[what]))

    with store.read() as connection:
        assert module._there(connection, OWNED) == before
    assert names(store) == set()


def test_a_script_that_breaks_leaves_nothing_behind(store: Store, scripts: Callable[..., str]) -> None:
    with pytest.raises(ZeroDivisionError):
        migrate_tables(store, OWNED, scripts(ANSWER, "1 / 0"))
    assert names(store) == set()


def test_tables_of_a_newer_version_of_the_plugin_are_refused(store: Store, scripts: Callable[..., str]) -> None:
    migrate_tables(store, OWNED, scripts(ANSWER, "pass"))
    (Path(sys.path[0]) / "csat_migrations" / "v0002.py").unlink()
    with pytest.raises(Exception, match="0002"):
        migrate_tables(store, OWNED, "csat_migrations")


@pytest.mark.parametrize(
    ("prefix", "others", "name", "own"),
    [
        ("csat", (), "csat_answer", True),
        ("csat", (), "csat", True),
        ("csat", (), "csats", False),
        ("csat", ("csat_pro",), "csat_pro_answer", False),
        ("csat_pro", ("csat",), "csat_pro_answer", True),
        ("blob", (), "blob_ref", False),
        ("fernamt", (), "fernamt_version", False),
    ],
)
def test_a_name_is_its_owners_by_the_longest_prefix_and_the_cores_before_all(
    prefix: str, others: tuple[str, ...], name: str, own: bool
) -> None:
    assert Owned(prefix, (prefix, *others)).has(name) is own


async def test_two_processes_migrate_and_one_waits_for_the_other(store: Store, scripts: Callable[..., str]) -> None:
    package = scripts(ANSWER)
    other = Store.open(store.url.render_as_string(hide_password=False), SystemClock())
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        if not store.is_sqlite:
            tx.connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305871)")
        waiting = asyncio.create_task(asyncio.to_thread(migrate_tables, other, OWNED, package))
        assert (await asyncio.wait({waiting}, timeout=0.1))[1]
    await waiting
    other.close()
    assert names(store) == {"csat_answer", "csat_version"}


@pytest.fixture
def turn(store: Store) -> Turn:
    return Turn(store)


@pytest.fixture
async def tables(store: Store, turn: Turn, scripts: Callable[..., str]) -> AsyncIterator[PluginTables]:
    migrate_tables(store, OWNED, scripts(ANSWER))
    tables = PluginTables(store, "csat", turn, declared=True)
    yield tables
    tables.close()


def add(stars: int) -> Callable[[sa.Connection], None]:
    def added(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO csat_answer (id, stars) VALUES (:id, :id)"), {"id": stars})

    return added


def stars(connection: sa.Connection) -> list[int]:
    return list(connection.scalars(sa.text("SELECT stars FROM csat_answer ORDER BY id")))


async def test_what_is_written_is_read_and_what_raises_writes_nothing(tables: PluginTables) -> None:
    def broken(connection: sa.Connection) -> None:
        add(5)(connection)
        raise KeyError("a bug")

    await tables.write(add(4))
    with pytest.raises(KeyError):
        await tables.write(broken)
    await tables.read(add(6))
    assert await tables.read(stars) == [4]


async def test_a_plugin_that_declared_no_tables_is_told_so(store: Store) -> None:
    tables = PluginTables(store, "csat", Turn(store), declared=False)
    with pytest.raises(Unsupported, match="csat"):
        await tables.read(stars)


async def test_a_coroutine_is_refused_with_the_reason(tables: PluginTables) -> None:
    async def wrong(_connection: sa.Connection) -> None: ...

    fn: Callable[[sa.Connection], Any] = wrong
    with pytest.raises(TypeError, match="plain function"):
        await tables.write(fn)


async def test_a_statement_that_does_not_end_is_stopped(
    store: Store, tables: PluginTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_MAX_S", 0.1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(TimeoutError):
        await tables.write(lambda connection: connection.exec_driver_sql(endless).scalar())
    monkeypatch.undo()
    await tables.write(add(1))
    assert await tables.read(stars) == [1]


async def test_an_outage_is_not_stored(tables: PluginTables) -> None:
    def away(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("gone"))

    with pytest.raises(NotStored):
        await tables.write(away)


async def test_plugins_that_write_without_a_pause_do_not_keep_the_core_out(
    store: Store, tables: PluginTables, turn: Turn, writer: Writer
) -> None:
    def slowly(connection: sa.Connection) -> None:
        connection.execute(sa.text("INSERT INTO csat_answer (stars) VALUES (1)"))
        time.sleep(0.05)

    def ours(tx: Transaction, payloads: Sequence[Any]) -> list[int]:
        return [tx.do.one("UPDATE meta SET value = value WHERE name = 'salt'") for _ in payloads]

    async def hammer(tables: PluginTables) -> None:
        while True:
            await tables.write(slowly)

    another = PluginTables(store, "csat", turn, declared=True)
    hammers = [asyncio.create_task(hammer(one)) for one in (tables, another)]
    await tables.write(slowly)
    took = []
    for _ in range(5):
        began = time.monotonic()
        await writer.write(ours, None)
        took.append(time.monotonic() - began)
    for task in hammers:
        task.cancel()
    await asyncio.gather(*hammers, return_exceptions=True)
    another.close()
    assert max(took) < 2.0, took
