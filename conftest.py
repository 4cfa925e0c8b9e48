"""What holds for every test of the workspace, whichever distribution it belongs to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests last; within both halves the order stays that of the layers.

    But of the slow files that which may take longest begins first: otherwise all workers wait for one at the end.
    """
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    allowed_s = Counter[Path]()
    for item in slow:
        timeout = item.get_closest_marker("timeout")
        allowed_s[item.path] += timeout.args[0] if timeout is not None else 0
    slow.sort(key=lambda item: -allowed_s[item.path])
    items[:] = [item for item in items if item.get_closest_marker("slow") is None] + slow


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """See :func:`_refuse_missing_server`."""
    return _refuse_missing_server((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """See :func:`_refuse_missing_server`."""
    return _refuse_missing_server((yield))


def _refuse_missing_server(report: _Report) -> _Report:
    """Turn a skip whose reason begins with ``server:`` into a failure when ``CI`` is ``true``.

    At a desk a test may be skipped because PostgreSQL or Dovecot is not installed. Where everything is promised to be
    there, the same skip would hide that a whole part was never run.
    """
    if os.environ.get("CI") == "true" and report.skipped and isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        if reason.removeprefix("Skipped: ").startswith("server:"):
            report.outcome = "failed"
            report.longrepr = f"{path}:{line}: {reason}\nCI=true allows no skip because of a missing server."
    return report
