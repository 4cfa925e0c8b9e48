"""Fixtures for the tests of the e-mail plugin."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from .dovecot import Dovecot
from .fake_context import FakeContext

_numbers = count(1)


@pytest.fixture
def context() -> FakeContext:
    """What the connector under test is given."""
    return FakeContext()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A real IMAP server for the whole run."""
    with Dovecot.started() as server:
        yield server


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    """A fresh mailbox on it."""
    name = f"user{next(_numbers)}"
    dovecot.add_user(name)
    return name
