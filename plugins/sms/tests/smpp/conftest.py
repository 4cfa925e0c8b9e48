"""On which loops the tests of ``sms.smpp`` run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches transports on both loops: the daemon runs on uvloop, a plugin author's script on asyncio's own.

    Only asyncio's own can start a process without our privileges.
    """
    loops = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    wanted = {"test_connector": ("uvloop", "asyncio"), "test_kannel": ("asyncio",)}.get(item.path.stem, ("uvloop",))
    return {name: loops[name] for name in wanted}
