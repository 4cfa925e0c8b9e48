"""The way of a command to the store: it works there itself, whether the daemon runs or not."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt._store.hints import Hints
from fernamt._store.transaction import Transaction
from fernamt._store.views.channels import is_served
from fernamt._store.views.people import customer_at, customer_of
from fernamt.cli.options import Common
from fernamt.cli.outcome import USAGE, Failure
from fernamt.cli.words import harmless
from fernamt.errors import FernamtError
from fernamt.settings import read_settings

_P = TypeVar("_P")
_R = TypeVar("_R")


@contextlib.contextmanager
def opened(common: Common) -> Iterator[Store]:
    """Give the store that the configuration names, once it is sure that its schema is ours."""
    # A command reads little of it twice: the daemon's cache would only fill up.
    store = Store.open(read_settings(common.config).store, SystemClock(), cache_mb=4)
    try:
        store.require_schema()
        yield store
    finally:
        store.close()


def write(
    store: Store, operation: Callable[[Transaction, Sequence[_P]], Sequence[_R | FernamtError]], payload: _P
) -> _R:
    """Run one operation of the store in a transaction of its own and return its result, or raise it if it is an error."""
    with contextlib.closing(store.session()) as session:
        [result] = session.run(lambda tx: operation(tx, [payload]))
        touched = session.topics
    if not store.is_sqlite and touched:
        Hints(store).send(touched)
    if isinstance(result, FernamtError):
        raise result
    return result


def number_of(word: str) -> int:
    """Return a number that a person typed; raises ``Failure``."""
    if not word.isdecimal() or len(word) > 18:
        raise Failure(f"{word!r} is no number.", USAGE)
    return int(word)


def customer_number(store: Store, word: str) -> int:
    """Return the customer that a person means by a number or by an address; raises ``Failure``."""
    with store.read() as connection:
        found = customer_at(connection, word) if ":" in word else customer_of(connection, number_of(word))
    if found is None:
        raise Failure(f"There is no customer {word}. fernamt show tells whose a conversation is.")
    return found


def daemon_runs(store: Store) -> bool:
    """Return whether a daemon works on this store now."""
    with store.read() as connection:
        return is_served(connection, store.statements(connection).now_us())


def author(name: str) -> str:
    """Return the author of what a person writes here: ``agent:<name>``, by default the login name."""
    name = name.strip() or _login()
    if not name or harmless(name) != name or "\n" in name or len(name) > 100:
        raise Failure("Say who writes this, with --as and a name of at most 100 characters.", USAGE)
    return f"agent:{name}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return ""
