"""Stores for the tests of the core: the same tests run on SQLite and on PostgreSQL."""

import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt._store.tables import metadata
from fernamt._store.writer import Writer


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A test that configures the log does it for itself: the stream it chose is closed when it is over."""
    yield
    structlog.reset_defaults()


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "fernamt.db"
    store = Store.open(f"sqlite:///{path}", SystemClock())
    store.migrate()
    store.close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The address of a server whose database ``template`` is migrated."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        # Nobody pulls the plug on a test's server: what survives that is the drills' to show.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE template")
    store = Store.open(_database(postgres_server, "template"), SystemClock())
    store.migrate()
    store.close()
    return postgres_server


@pytest.fixture(scope="session")
def postgres_database(postgres_template: str) -> str:
    """The address of a migrated database that one test after the other finds empty: making one takes longer."""
    return _copied(postgres_template)


def _copied(server: str) -> str:
    name = f"store{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    return _database(server, name)


def _database(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


def _emptied(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("; ".join(f"DELETE FROM {name}" for name in metadata.tables if name != "meta"))
        connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")


@pytest.fixture
def postgres_url(postgres_database: str) -> Iterator[str]:
    """The address of an empty, migrated store on PostgreSQL."""
    yield postgres_database
    _emptied(postgres_database)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated store."""
    if request.param == "sqlite":
        path = tmp_path / "fernamt.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    yield request.getfixturevalue("postgres_url")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty, migrated store."""
    store = Store.open(store_url, SystemClock())
    yield store
    store.close()


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    """The writer of that store, at work."""
    writer = Writer(store)
    writer.start()
    yield writer
    await writer.stop()
