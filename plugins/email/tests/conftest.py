"""Fixtures for the tests of the e-mail plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from fernamt.testing import FakeContext

from .dovecot import Dovecot
from .given import mail_context


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches transports on both loops: the daemon runs on uvloop, a plugin author's script on asyncio's own."""
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return both if item.path.stem in ("test_listener", "test_smtp") else {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def context() -> FakeContext:
    """What the connector under test is given."""
    return mail_context()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A real IMAP server for the whole run."""
    with Dovecot.started() as server:
        yield server


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    """A mailbox on it that no other test uses."""
    return dovecot.fresh_user()
