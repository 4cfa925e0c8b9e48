"""The pytest plugin: fixtures that every test of a plugin may use, the rules of the kit, their report. Found by its entry point."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

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


@pytest.fixture
def local_only() -> Iterator[None]:
    """Fail a test that wants to leave this machine: ``pytestmark = pytest.mark.usefixtures("local_only")``."""
    from fernamt.testing.guard import local_only as guard

    with guard() as seen:
        yield
    if seen.outside:
        pytest.fail(f"the test wanted to leave this machine: {', '.join(seen.outside)}", pytrace=False)


# ---- the kit
_REPORT: Final = "--fernamt-report"
_RECORD: Final = "--fernamt-record"
_NO_RECORDING: Final = "none"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the place of the report that ``fernamt plugins check`` reads, and whether what goes out is written down."""
    group = parser.getgroup("fernamt")
    group.addoption(_REPORT, metavar="FILE", help="Write what became of every rule, as JSON")
    group.addoption(
        _RECORD, action="store_true", help="Write down what goes out for a message, in place of what was recorded"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep the report, if one is wanted."""
    if (file := config.getoption(_REPORT)) is not None:
        config.pluginmanager.register(_Report(Path(file)), "fernamt-report")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a conformance class every rule and every recording."""
    if "fernamt_rule" in metafunc.fixturenames:
        from fernamt.testing.rules import RULES

        metafunc.parametrize("fernamt_rule", [pytest.param(one, id=one.id) for one in RULES])
    if "fernamt_recording" in metafunc.fixturenames and metafunc.cls is not None:
        from fernamt.testing.recording import Recording

        recordings = metafunc.cls().recorded() or [Recording(name=_NO_RECORDING)]
        metafunc.parametrize("fernamt_recording", [pytest.param(one, id=one.name) for one in recordings])


class _Report:
    """Collects what became of the rules, and writes it at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._verdicts: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = {name.removeprefix("fernamt_"): value for name, value in report.user_properties if "fernamt_" in name}
        if report.when == "call" and "rule" in found:
            self._verdicts.append({**found, "test": report.nodeid})

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._verdicts), "utf-8")
