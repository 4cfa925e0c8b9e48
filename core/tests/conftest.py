"""Stores for the tests of the core: the same tests run on SQLite and on PostgreSQL."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store

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
        connection.execute("CREATE DATABASE template")
    store = Store.open(_database(postgres_server, "template"), SystemClock())
    store.migrate()
    store.close()
    return postgres_server


def _database(server: str, name: str) -> str:
    return f"{server.rpartition('/')[0]}/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated store."""
    if request.param == "sqlite":
        path = tmp_path / "fernamt.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_template")
    name = f"store{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template")
    yield _database(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A fresh, migrated store."""
    store = Store.open(store_url, SystemClock())
    yield store
    store.close()
