"""Fixtures for the tests of the e-mail plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .dovecot import Dovecot
from .fake_context import FakeContext


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
    """A mailbox on it that no other test uses."""
    return dovecot.fresh_user()
