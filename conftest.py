"""What holds for every test of the workspace, whichever distribution it belongs to."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator
from typing import Any, Final, TypeVar

import pytest

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)

ALONE: Final = (
    "tests/architecture/test_wheels.py",
    "tests/story/test_kill.py",
    "tests/story/test_runners.py",
    "tests/story/test_wire.py",
)
"""Files of few and long tests that share nothing: each of them may run beside the others."""


def unit(nodeid: str) -> str:
    """Return what one worker runs in one go: a whole file, because what its tests share is made once, or a test alone."""
    file = nodeid.partition("::")[0]
    return nodeid if file in ALONE else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests last; within both halves the order stays that of the layers.

    But of the slow ones those which may take longest begin first: otherwise all workers wait for one at the end.
    """
    slow = [item for item in items if item.get_closest_marker("slow") is not None]
    allowed_s = Counter[str]()
    for item in slow:
        timeout = item.get_closest_marker("timeout")
        allowed_s[unit(item.nodeid)] += timeout.args[0] if timeout is not None else 0
    slow.sort(key=lambda item: -allowed_s[unit(item.nodeid)])
    items[:] = [item for item in items if item.get_closest_marker("slow") is None] + slow


def pytest_collection_finish() -> None:
    """Keep all that was collected from the garbage collector: a test that looks for what is left open asks it hundreds of times."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand the tests out by :func:`unit`; there is no xdist beside a wheel."""
    from xdist.scheduler import LoadFileScheduling

    class Units(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

        def _reschedule(self, node: Any) -> None:
            # One that waits behind the one that runs is enough, and all that xdist needs: both may take a minute.
            if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

    return Units(config, log)


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
