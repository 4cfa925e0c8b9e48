"""The store as such: where it may be, that its schema is ours, and what counts as its being away."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import HEAD, Store
from fernamt._store.tables import metadata
from fernamt._store.transaction import is_lost_race, is_outage
from fernamt.errors import ConfigError, NotStored

CLOCK = SystemClock()
CLOSED = "postgresql://fernamt@127.0.0.1:1/nothing"


def test_the_migrations_lead_to_the_schema_that_the_code_means(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _object, name, *_rest: name != "fernamt_version",
            },
        )
        assert compare_metadata(context, metadata) == []
    store.require_schema()


def test_what_was_bulk_is_outreach_and_what_was_said_is_kept(store: Store) -> None:
    script = ScriptDirectory.from_config(_alembic())
    step = script.get_revision("0003").module
    with store._engine.connect() as connection, connection.begin():
        for sql in (
            "DROP INDEX ix_delivery_open",
            "DROP TABLE piece",
            "DROP TABLE consent",
            "ALTER TABLE delivery DROP COLUMN purpose",
            "ALTER TABLE delivery ADD COLUMN bulk BOOLEAN NOT NULL DEFAULT FALSE",
            "CREATE INDEX ix_delivery_open ON delivery (channel, bulk, id, next_at)",
            (
                "CREATE TABLE consent (address BIGINT, channel BIGINT, scope TEXT, allowed BOOLEAN, evidence TEXT, at BIGINT,"
                " PRIMARY KEY (address, channel, scope))"
            ),
            "INSERT INTO consent VALUES (7, 1, '', FALSE, 'STOP', 20), (7, 1, 'marketing', TRUE, 'box', 10)",
            *(
                "INSERT INTO delivery (id, entry, conversation, channel, address, state, attempts, queued_at, next_at, changed_at,"
                f" ids, reason, code, bulk) VALUES ({number}, 1, 1, 1, 7, 'queued', 0, 0, 0, 0, '[]', '', '', {bulk})"
                for number, bulk in ((1, "FALSE"), (2, "TRUE"))
            ),
        ):
            connection.exec_driver_sql(sql)
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        with Operations.context(context):
            step.upgrade()
        rows = connection.exec_driver_sql("SELECT id, purpose FROM delivery ORDER BY id").all()
        assert [tuple(row) for row in rows] == [(1, "reply"), (2, "outreach")]
        rows = connection.exec_driver_sql("SELECT scope, allowed, author, evidence, at FROM consent ORDER BY id").all()
        assert [tuple(row) for row in rows] == [
            ("marketing", True, "provider", "box", 10),
            ("", False, "provider", "STOP", 20),
        ]


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "fernamt._store:migrations")
    return config


def test_migrating_twice_changes_nothing_and_keeps_the_keys(store: Store) -> None:
    keys = store.keys()
    store.migrate()
    assert store.keys() == keys
    assert len(keys.secret) == 32


@pytest.mark.parametrize(
    "url", ["", "fernamt.db", "sqlite://", "sqlite+aiosqlite:///x.db", "mysql://h/x", "sqlite:///"]
)
def test_what_is_no_store_is_refused_before_it_is_touched(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[store\]"):
        Store.open(url, CLOCK)


def test_a_store_that_is_not_there_yet_says_what_makes_it(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/none.db", CLOCK)
    with pytest.raises(ConfigError, match="fernamt run"):
        store.require_schema()
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "none.db").touch()
    with pytest.raises(ConfigError, match=f"its schema is empty, this version of Fernamt needs {HEAD}"):
        store.require_schema()
    store.close()


def test_a_store_that_is_not_for_this_user_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.db").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    store = Store.open(f"sqlite:///{tmp_path}/theirs.db", CLOCK)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*theirs\.db'"):
        store.require_schema()
    store.close()


def test_a_server_that_is_not_up_is_told_as_that() -> None:
    store = Store.open(CLOSED, CLOCK)
    with pytest.raises(ConfigError, match="Is its server up"):
        store.require_schema()
    with pytest.raises(NotStored, match="cannot be written"):
        store.probe()
    with pytest.raises(NotStored, match="cannot be read"), store.read():
        pass
    store.close()


def test_a_store_that_is_there_can_be_written(store: Store) -> None:
    store.probe()


def test_what_is_committed_is_on_disk_whatever_the_server_is_told(store: Store) -> None:
    wanted = (
        {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal"}
        if store.is_sqlite
        else {"SHOW synchronous_commit": "on"}
    )
    session = store.session()
    with session.transaction() as tx:
        assert {sql: tx.do.rows(sql)[0][0] for sql in wanted} == wanted
    session.close()


def test_a_look_up_of_the_writer_goes_by_the_index_though_the_tables_were_never_counted(store: Store) -> None:
    explain, scan = ("EXPLAIN QUERY PLAN", "SCAN") if store.is_sqlite else ("EXPLAIN", "Seq Scan")
    session = store.session()
    with session.transaction() as tx:
        for table, column, value in (("known", "hash", b"a"), ("address", "handle", "a"), ("conversation", "id", 1)):
            plan = tx.do.among(f"{explain} SELECT * FROM {table} WHERE {column} IN {{}}", [value] * 64)
            assert scan not in str(plan)
    session.close()


def test_words_are_kept_as_they_are_and_nothing_in_them_means_anything(store: Store) -> None:
    words = [
        "",
        "NULL",
        "None",
        '"',
        "\\",
        '\\"',
        "{a,b}",
        ",",
        "it's",
        " a ",
        "a\r\n\tb",
        "Grüße 🙂",
        "%s %b $1 ?",
        "\\x41",
    ]
    session = store.session()
    with session.transaction() as tx:
        rows = [(n, one, one, one or None, None, None, None, None, n or None) for n, one in enumerate(words)]
        tx.do.many("insert content", rows)
        assert tx.do.rows("SELECT * FROM content ORDER BY entry") == rows
    session.close()


def test_numbers_are_of_the_last_lot_whatever_else_was_taken_meanwhile(store: Store) -> None:
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        entries = [tx.do.next_id("entry") for _ in range(2_000)]
        if not store.is_sqlite:
            assert tx.do.next_id("conversation") > entries[-1] - 256


def test_a_connection_that_comes_back_after_the_end_is_closed(store: Store) -> None:
    with store.read() as connection, contextlib.closing(store.session()):
        below: Any = connection.connection.dbapi_connection
        store.close()
    if store.is_sqlite:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            below.execute("SELECT 1")
    else:
        assert below.closed


def test_a_reader_sees_one_state_and_hinders_no_writer(store: Store) -> None:
    session = store.session()
    count = sa.text("SELECT count(*) FROM cursor")
    with store.read() as connection:
        assert connection.scalar(count) == 0
        with session.transaction() as tx:
            tx.do.many("put cursor", [(1, "INBOX", "7:1")])
        assert connection.scalar(count) == 0
    with store.read() as connection:
        assert connection.scalar(count) == 1
    session.close()


def test_a_reader_cannot_write_by_accident_what_nobody_commits(store: Store) -> None:
    with store.read() as connection:
        store.statements(connection).one("INSERT INTO cursor (channel, name, value) VALUES (1, 'a', 'b')")
    with store.read() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM cursor")) == 0


POISON = {
    "a statement that is wrong": ("SELECT * FROM nothing", ()),
    "a value that does not fit": ("INSERT INTO cursor (channel, name, value) VALUES (?, 'a', NULL)", (1,)),
    "a number out of range": ("INSERT INTO cursor (channel, name, value) VALUES (?, 'a', 'b')", (2**64,)),
}


@pytest.mark.parametrize("case", POISON)
def test_what_no_database_takes_is_no_outage(store: Store, case: str) -> None:
    sql, values = POISON[case]
    with pytest.raises(Exception, match=r".") as raised, store.read() as connection:
        store.statements(connection).one(sql, values)
    assert not isinstance(raised.value, NotStored)
    assert not is_outage(raised.value)


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_a_key_too_long_for_an_index_is_no_outage(store: Store) -> None:
    incompressible = "".join(chr(33 + i * i % 5003 % 5000) for i in range(9000))
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as raised, store.read() as connection:
        store.statements(connection).one("INSERT INTO cursor VALUES (1, ?, '')", (incompressible,))
    assert not is_outage(raised.value)


@pytest.mark.parametrize(
    ("error", "outage", "race"),
    [
        (psycopg.errors.AdminShutdown(), True, False),
        (psycopg.errors.DiskFull(), True, False),
        (psycopg.errors.TooManyConnections(), True, False),
        (psycopg.errors.LockNotAvailable(), True, False),
        (psycopg.errors.ReadOnlySqlTransaction(), True, False),
        (psycopg.errors.DeadlockDetected(), True, True),
        (psycopg.errors.SerializationFailure(), True, True),
        (psycopg.errors.UniqueViolation(), False, True),
        (psycopg.errors.UndefinedTable(), False, False),
        (psycopg.OperationalError("server closed the connection unexpectedly"), True, False),
        (psycopg.InterfaceError("the connection is closed"), True, False),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), False, False),
        (sa.exc.TimeoutError("no connection is free"), True, False),
        (ConnectionRefusedError(), True, False),
        (ValueError(), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_errors_are_told_apart(error: Exception, outage: bool, race: bool) -> None:
    assert is_outage(error) is outage
    assert is_lost_race(error) is race
    wrapped = sa.exc.DBAPIError("statement", {}, error)
    if isinstance(error, psycopg.Error):
        assert is_outage(wrapped) is outage
        assert is_lost_race(wrapped) is race
