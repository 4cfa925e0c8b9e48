"""What runners on one PostgreSQL tell each other: hints, outside of the transactions that they are about.

A NOTIFY in a transaction that writes would make all commits of the server wait for each other, so there is none.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import sqlalchemy as sa
import structlog

from fernamt._store.engine import PATIENCE, Store
from fernamt._store.postgres import is_pooled
from fernamt._store.transaction import is_outage

_CHANNEL: Final = "fernamt"
_PAYLOAD_MAX: Final = 7_000
"""Bytes; PostgreSQL takes less than 8,000."""
_PAYLOADS_MAX: Final = 4
_LOOK_UP_S: Final = 0.25
_AGAIN_S: Final = 1.0
_log = structlog.get_logger()


class Hints:
    """The hints of one runner. Nothing is promised of them: who misses one finds out by looking."""

    def __init__(self, store: Store, *, listen_url: str = "") -> None:
        """*listen_url* is where to listen if the store's own address leads through a pooler."""
        url = sa.make_url(listen_url) if listen_url else store.url
        self.password = str(url.password or "")
        self._url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._store = store
        self._sender = secrets.token_hex(4)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, topics: Collection[str]) -> None:
        """Tell every other runner. Blocks; an outage is not its caller's business."""
        try:
            with contextlib.closing(self._store.session()) as session, session.transaction() as tx:
                # It may be lost with the server's memory, so nobody waits for a disk.
                tx.do.rows("SELECT set_config('synchronous_commit', 'off', true)")
                for payload in _payloads(self._sender, topics):
                    tx.do.rows("SELECT pg_notify(?, ?)", (_CHANNEL, payload))
        except Exception as why:
            if not is_outage(why):
                raise
            _log.debug("hint_not_sent", error=str(getattr(why, "orig", why)))

    def listen(self, heard: Callable[[Collection[str]], object]) -> None:
        """Start to listen in a thread of its own; *heard* is called there with the topics of every hint.

        After each time that the connection was gone it is called with ``*``: nobody knows what was missed.
        """
        self._thread = threading.Thread(target=self._run, args=(heard,), name="fernamt-listener", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more. Blocks for a moment."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=PATIENCE["connect_timeout"])

    def _run(self, heard: Callable[[Collection[str]], object]) -> None:
        import psycopg

        connecting: dict[str, Any] = dict(PATIENCE)
        well = True
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, **connecting) as connection:
                    if is_pooled(connection):
                        _log.warning("listening_pooled", fix="name the server itself in listen_url")
                        return
                    connection.execute(f"LISTEN {_CHANNEL}")
                    well = True
                    heard({"*"})
                    self._hear(connection, heard)
            except psycopg.Error as why:
                if well:
                    _log.warning("listening_broken", error=str(why))
                well = False
                self._stopping.wait(_AGAIN_S)

    def _hear(self, connection: Any, heard: Callable[[Collection[str]], object]) -> None:
        while not self._stopping.is_set():
            for hint in connection.notifies(timeout=_LOOK_UP_S):
                sender, *topics = hint.payload.split(" ")
                if sender != self._sender:
                    heard(topics)


def _payloads(sender: str, topics: Collection[str]) -> Iterator[str]:
    """Yield what to send: a few payloads at most, and where that is not enough, that everything may have changed."""
    if sum(map(len, topics)) + len(topics) > (_PAYLOAD_MAX - len(sender)) * _PAYLOADS_MAX:
        topics = {"*"}
    payload = sender
    for topic in topics:
        if len(payload) + 1 + len(topic) > _PAYLOAD_MAX:
            yield payload
            payload = sender
        payload += f" {topic}"
    yield payload
