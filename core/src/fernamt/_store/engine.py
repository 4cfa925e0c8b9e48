"""The store: where it is, how it is opened, and that its schema is the one we know."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.engine import URL, make_url

from fernamt._store.postgres import PostgresStatements, is_pooled
from fernamt._store.sqlite import SqliteStatements
from fernamt._store.statements import Statements
from fernamt._store.tables import meta
from fernamt._store.transaction import WriteSession, is_outage
from fernamt.connector import Clock
from fernamt.errors import ConfigError, NotStored
from fernamt.model import microseconds

HEAD: Final = "0004"
"""The migration that this code is written for."""

PATIENCE: Final[Mapping[str, int]] = MappingProxyType(
    {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }
)
"""A server that vanished without a word is given up in seconds, not in a quarter of an hour."""


@frozen(kw_only=True)
class Keys:
    """What belongs to one store and never changes."""

    salt: str
    """Begins every key that we give out, so that two stores behind one provider account are told apart."""
    secret: bytes
    """Signs tokens."""


class Store:
    """One database. Open it with :meth:`open`, close it with :meth:`close`."""

    def __init__(self, url: URL, clock: Clock, *, cache_mb: int = 32) -> None:
        self.url = url
        self.clock = clock
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url, cache_mb) if self.is_sqlite else _postgres_engine(url)
        self._closed = False
        sa.event.listen(self._engine, "checkin", self._returned)

    @classmethod
    def open(cls, url: str, clock: Clock, *, cache_mb: int = 32) -> Store:
        """Return the store at *url*, ``sqlite:///file`` or ``postgresql://...``, without touching it.

        *cache_mb* is what each connection to SQLite keeps of the file.

        Raises:
            ConfigError: The address is not one of these, or the driver is not installed.
        """
        try:
            parsed = make_url(url)
            if parsed.get_backend_name() == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            elif parsed.drivername != "sqlite" or not parsed.database:
                raise ConfigError("store", f"{url!r} is no store", fix="Write sqlite:///fernamt.db or postgresql://...")
            return cls(parsed, clock, cache_mb=cache_mb)
        except sa.exc.ArgumentError as why:
            raise ConfigError("store", f"{url!r} is no address", fix="Write sqlite:///fernamt.db") from why
        except ModuleNotFoundError as why:
            raise ConfigError(
                "store", f"the driver {why.name} is not installed", fix="Run: pip install 'fernamt[postgres]'"
            ) from why

    @property
    def folder(self) -> Path | None:
        """Where files beside the database live; ``None`` with PostgreSQL."""
        return Path(str(self.url.database)).parent if self.is_sqlite else None

    def migrate(self) -> None:
        """Bring the schema to :data:`HEAD`. Blocks; a second process waits for the first."""
        if self.is_sqlite:
            # Made by us, for us alone: the files that SQLite puts beside it get the same rights.
            Path(str(self.url.database)).touch(mode=0o600)
        if self._schema() == HEAD:
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "fernamt._store:migrations")
        with self._engine.connect() as connection, connection.begin():
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305871)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if connection.scalar(sa.select(sa.func.count()).select_from(meta)) == 0:
                rows = {"salt": secrets.token_hex(4), "secret": secrets.token_hex(32)}
                connection.execute(sa.insert(meta), [{"name": name, "value": value} for name, value in rows.items()])

    def require_schema(self) -> None:
        """Raise ``ConfigError`` unless the database is there and its schema is ours, ``PermissionError`` if it is not for us."""
        if self.is_sqlite and not Path(str(self.url.database)).exists():
            raise ConfigError(
                "store", f"there is no store at {self.url.database} yet", fix="Start the daemon: fernamt run"
            )
        if self.is_sqlite and not os.access(str(self.url.database), os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.url.database)
        try:
            found = self._schema()
        except NotStored as why:
            raise ConfigError("store", why.reason, fix="Is its server up?") from why
        if found != HEAD:
            raise ConfigError(
                "store",
                f"its schema is {found or 'empty'}, this version of Fernamt needs {HEAD}",
                fix="Start the daemon of this version once: fernamt run",
            )

    def _schema(self) -> str:
        """Return the version of the schema, empty if there is none."""
        with self.read() as connection:
            if not sa.inspect(connection).has_table("fernamt_version"):
                return ""
            return str(connection.scalar(sa.text("SELECT version_num FROM fernamt_version")) or "")

    def keys(self) -> Keys:
        """Return what was made with the store."""
        with self.read() as connection:
            rows = {row.name: row.value for row in connection.execute(sa.select(meta))}
        return Keys(salt=rows["salt"], secret=bytes.fromhex(rows["secret"]))

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection for a few SELECTs that see one state. Blocks: call it in a thread. Raises ``NotStored``."""
        # SQLite has no other level, and to be told so on every read costs as much as the read.
        level = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        try:
            with self._engine.connect() as connection:
                # Ended by close, which rolls back: whatever a reader does, it commits nothing.
                connection.execution_options(fernamt_writes=False, **level).begin()
                yield connection
        except Exception as why:
            if not is_outage(why):
                raise
            raise NotStored(f"the store cannot be read: {getattr(why, 'orig', why)}") from why

    def statements(self, connection: sa.Connection) -> Statements:
        """Return the hot statements on a connection that :meth:`read` gave."""
        below: Any = connection.connection.dbapi_connection
        if self.is_sqlite:
            return SqliteStatements(below, lambda: microseconds(self.clock.now()))
        return PostgresStatements(below)

    def session(self) -> WriteSession:
        """Return a connection that writes: one for the writer to keep, or one for a command. Blocks."""
        connection = self._engine.connect().execution_options(fernamt_writes=True)
        if not self.is_sqlite:
            connection.execution_options(isolation_level="AUTOCOMMIT")  # until Statements.begin
        return WriteSession(connection, self.statements(connection))

    def truncate_log(self) -> bool:
        """Bring SQLite's log into its file and cut it; ``False``: somebody still reads of it, or this is no SQLite. Blocks."""
        if not self.is_sqlite:
            return False
        with (
            contextlib.closing(self._engine.raw_connection()) as connection,
            contextlib.closing(connection.cursor()) as do,
        ):
            do.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            [(busy, _, _)] = do.fetchall()
        return not busy

    def probe(self) -> None:
        """Raise ``NotStored`` unless the database takes a transaction that writes. Blocks."""
        try:
            with contextlib.closing(self.session()) as session, session.transaction() as tx:
                tx.do.one("UPDATE meta SET value = value WHERE name = 'salt'")
        except Exception as why:
            if not is_outage(why):
                raise
            raise NotStored(f"the store cannot be written: {getattr(why, 'orig', why)}") from why

    def close(self) -> None:
        """End every connection: what a thread still has when it gives it back."""
        self._closed = True
        self._engine.dispose()

    def _returned(self, _connection: object, entry: sa.pool.ConnectionPoolEntry) -> None:
        if self._closed:
            entry.close()


def _sqlite_engine(url: URL, cache_mb: int) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 10.0})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # sqlite3 would begin transactions by itself, and late: BEGIN IMMEDIATE below says when, and for what.
        connection.isolation_level = None
        # secure_delete: what was erased must not stand on in the free places of the file.
        pragmas = f"journal_mode=WAL synchronous=FULL busy_timeout=10000 cache_size=-{cache_mb}000 secure_delete=ON"
        for pragma in pragmas.split():
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("fernamt_writes", True)
        # On the driver's connection: by SQLAlchemy's own way a BEGIN costs as much as three messages.
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN").close()

    return engine


def _postgres_engine(url: URL) -> sa.Engine:
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=dict(PATIENCE))

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        if is_pooled(connection):
            connection.prepare_threshold = None  # the next transaction may meet a server that prepared nothing
        connection.rollback()

    return engine
