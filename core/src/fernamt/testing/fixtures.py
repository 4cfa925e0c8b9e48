"""The pytest plugin: fixtures that every test of a plugin may use. Found by its entry point."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from fernamt.testing.postgres import running_postgres
from fernamt.testing.servers import ServerMissing


def missing(reason: str) -> None:
    """Skip a test whose server is missing; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"server: {reason}")
    pytest.skip(f"server: {reason}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server that lives as long as the run."""
    try:
        with running_postgres() as url:
            yield url
    except ServerMissing as why:
        missing(str(why))
