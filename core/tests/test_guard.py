"""The guard: what would leave the machine is refused and remembered, what blocks the loop is remembered."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from fernamt.testing import local_only
from fernamt.testing.guard import is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "", None, b"localhost"], ids=repr)
def test_this_machine_is_known_by_its_names(host: object) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org", "127.0.0.1.example.org", 7])
def test_everything_else_is_outside(host: object) -> None:
    assert not is_local(host)


def test_a_connection_to_outside_is_refused_and_remembered() -> None:
    with local_only() as seen, socket.socket() as one, pytest.raises(OSError, match="does not leave this machine"):
        one.connect(("192.0.2.1", 80))

    assert seen.outside == ["192.0.2.1:80"]


def test_a_name_outside_is_not_looked_up() -> None:
    with local_only() as seen, pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.org", 80)

    assert seen.outside == ["example.org"]


def test_loopback_is_free_and_all_is_as_it_was_afterwards() -> None:
    plain = socket.socket.connect
    with (
        local_only() as seen,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()[:2]),
    ):
        assert seen.still_open() == 2
    assert (seen.outside, seen.blocking) == ([], [])
    assert socket.socket.connect is plain


def test_what_blocks_is_remembered_on_a_loop_and_nowhere_else() -> None:
    async def nap() -> None:
        time.sleep(0.001)
        await asyncio.to_thread(time.sleep, 0.001)

    with local_only() as seen:
        time.sleep(0.001)
        asyncio.run(nap())

    assert seen.blocking == ["time.sleep(0.001)"]
