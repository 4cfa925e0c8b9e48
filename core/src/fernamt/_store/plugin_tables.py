"""Tables of plugins: migrated by the plugin's own scripts, kept apart from ours, used in short transactions of their own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import sqlalchemy as sa
import structlog
from attrs import frozen

from fernamt._store.engine import Store
from fernamt._store.tables import metadata
from fernamt._store.transaction import is_outage
from fernamt.errors import FernamtError, NotStored, Unsupported

WRITE_MAX_S: Final = 5.0
"""A statement of a transaction that writes ends here: on SQLite nobody else writes meanwhile, and the core waits for 10 s."""
_PAUSE_MAX_S: Final = 0.25
_R = TypeVar("_R")
_log = structlog.get_logger()

# What there is: its kind, the table that it belongs to, its name, and what it is like.
_SQLITE_THERE: Final = (
    "SELECT type, tbl_name, name, coalesce(sql, '') FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
)
_POSTGRES_THERE: Final = """
WITH found AS (
  SELECT c.oid, coalesce(t.relname, c.relname)::text AS owner, c.relname::text AS name, c.relkind::text AS kind
  FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
  WHERE c.relnamespace IN
    (SELECT oid FROM pg_namespace WHERE NOT starts_with(nspname, 'pg_') AND nspname <> 'information_schema')
)
SELECT kind, owner, name, '' FROM found
UNION ALL SELECT 'column', owner, concat_ws('.', name, attname),
  concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, atthasdef)
  FROM found JOIN pg_attribute ON attrelid = found.oid WHERE attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'constraint', owner, conname::text, pg_get_constraintdef(c.oid)
  FROM found JOIN pg_constraint c ON conrelid = found.oid
UNION ALL SELECT 'trigger', owner, tgname::text, pg_get_triggerdef(t.oid)
  FROM found JOIN pg_trigger t ON tgrelid = found.oid
UNION ALL SELECT 'type', typname::text, typname::text, ''
  FROM pg_type WHERE typtype IN ('e', 'd') AND typnamespace = current_schema()::regnamespace
UNION ALL SELECT 'function', proname::text, proname::text, md5(prosrc)
  FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
"""


@frozen
class Owned:
    """Which names are one plugin's: those that begin with *prefix*, and not with the longer one of another plugin."""

    prefix: str
    others: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        if name in metadata.tables or name == "fernamt_version":
            return False
        longer = [one for one in self.others if _begins(one, self.prefix) and one != self.prefix]
        return _begins(name, self.prefix) and not any(_begins(name, one) for one in longer)


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}_")


class TablesRefused(FernamtError):
    """The scripts of a plugin do what they may not; nothing of them is committed."""


def migrate_tables(store: Store, owned: Owned, migrations: str) -> None:
    """Bring the tables of a plugin to the newest of its scripts, in one transaction. Blocks; a second process waits.

    *migrations* is the package that holds the scripts. Raises ``TablesRefused``, or whatever a script or its database raises;
    nothing is changed then.
    """
    from alembic import command
    from alembic.config import Config

    [place] = importlib.import_module(migrations).__path__
    version = f"{owned.prefix}_version"
    if not owned.has(version):
        raise TablesRefused(f"its prefix {owned.prefix!r} makes the name of a table that is not its own")
    config = Config()
    config.set_main_option("script_location", "fernamt._store:migrations")
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", place.replace("%", "%%"))
    config.attributes["version_table"] = version
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        connection = tx.connection
        if not store.is_sqlite:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305871)")
            connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
        before = _there(connection, owned)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if changed := before ^ _there(connection, owned):
            raise TablesRefused(f"its scripts change what is not theirs: {', '.join(sorted(changed)[:5])}")
        if foreign := _foreign_keys(connection, owned):
            raise TablesRefused(f"its scripts make foreign keys to tables that are not theirs: {', '.join(foreign)}")


def _there(connection: sa.Connection, owned: Owned) -> set[str]:
    """Return what there is beside the plugin's own, as text."""
    rows = connection.exec_driver_sql(_SQLITE_THERE if connection.dialect.name == "sqlite" else _POSTGRES_THERE)
    return {f"{kind} {name} of {table} {what}".rstrip() for kind, table, name, what in rows if not owned.has(table)}


def _foreign_keys(connection: sa.Connection, owned: Owned) -> list[str]:
    look = sa.inspect(connection)
    keys = {table: look.get_foreign_keys(table) for table in look.get_table_names() if owned.has(table)}
    return sorted(
        f"{table} to {key['referred_table']}"
        for table, found in keys.items()
        for key in found
        if not owned.has(key["referred_table"])
    )


class Turn:
    """Whose turn it is to write, among the plugins of one daemon."""

    def __init__(self, store: Store) -> None:
        self._one_for_all = store.is_sqlite
        self._lock = threading.Lock()
        self._free_at = 0.0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """On SQLite, give a time in which no other plugin writes, and after it leave as much to the core.

        SQLite lets in whoever asks first: plugins that write without a pause would keep the core out for seconds.
        """
        if not self._one_for_all:
            yield
            return
        with self._lock:
            time.sleep(max(0.0, min(_PAUSE_MAX_S, self._free_at - time.monotonic())))
            began = time.monotonic()
            try:
                yield
            finally:
                ended = time.monotonic()
                self._free_at = 2 * ended - began


class PluginTables:
    """A plugin's way to its tables; see :class:`fernamt.Tables`. One thread reads and one writes, so no plugin takes all."""

    def __init__(self, store: Store, plugin: str, turn: Turn, *, declared: bool) -> None:
        self._store = store
        self._plugin = plugin
        self._turn = turn
        self._declared = declared
        self._reads = ThreadPoolExecutor(1, f"fernamt-{plugin}-reads")
        self._writes = ThreadPoolExecutor(1, f"fernamt-{plugin}-writes")

    async def read(self, fn: Callable[[sa.Connection], _R]) -> _R:
        return await self._run(self._reads, self._read, fn)

    async def write(self, fn: Callable[[sa.Connection], _R]) -> _R:
        return await self._run(self._writes, self._write, fn)

    async def _run(self, threads: ThreadPoolExecutor, body: Callable[[Any], _R], fn: Callable[..., _R]) -> _R:
        if not self._declared:
            raise Unsupported(f"the plugin {self._plugin} declared no tables: registry.tables(...)")
        return await asyncio.get_running_loop().run_in_executor(threads, body, fn)

    def _read(self, fn: Callable[[sa.Connection], _R]) -> _R:
        with self._store.read() as connection:
            return _called(fn, connection)

    def _write(self, fn: Callable[[sa.Connection], _R]) -> _R:
        try:
            with self._turn.taken(), contextlib.closing(self._store.session()) as session, session.transaction() as tx:
                began = time.monotonic()
                with _bounded(tx.connection, began + WRITE_MAX_S):
                    written = _called(fn, tx.connection)
                if (took_s := time.monotonic() - began) > WRITE_MAX_S:
                    _log.warning("plugin_write_slow", plugin=self._plugin, seconds=round(took_s, 1))
                return written
        except Exception as why:
            original: Any = getattr(why, "orig", None)
            if getattr(original, "sqlstate", "") == "57014" or getattr(original, "sqlite_errorcode", 0) == 9:
                raise TimeoutError(f"a statement was stopped after {WRITE_MAX_S:g} s") from why
            if not is_outage(why):
                raise
            raise NotStored(f"the store cannot be written: {getattr(why, 'orig', why)}") from why

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        for threads in (self._reads, self._writes):
            threads.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _bounded(connection: sa.Connection, deadline: float) -> Iterator[None]:
    """Stop a statement that runs past *deadline*."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(WRITE_MAX_S * 1000)}")
        yield
        return
    below: Any = connection.connection.dbapi_connection
    below.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        yield
    finally:
        below.set_progress_handler(None, 0)


def _called(fn: Callable[[sa.Connection], _R], connection: sa.Connection) -> _R:
    result = fn(connection)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("what is run on a connection must be a plain function: it runs in a thread")
    return result
