"""On which loops the tests of the SMS plugin run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches transports on both loops: the daemon runs on uvloop, a plugin author's script on asyncio's own."""
    both = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return both if item.path.stem == "test_smpp_connector" else {"uvloop": uvloop.new_event_loop}
