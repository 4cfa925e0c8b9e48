"""The port that a server gets which a test starts."""

from __future__ import annotations

import os
import socket
from itertools import count, pairwise

import pytest

from fernamt.testing import free_port, ports


def test_no_port_is_handed_out_twice_nor_given_by_the_system_to_somebody_else() -> None:
    found = [free_port() for _ in range(200)]

    assert len({*found}) == len(found)
    assert max(found) < 32_768


def test_processes_that_share_a_run_do_not_hand_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    for number in range(100):
        monkeypatch.setattr(os, "getpid", lambda number=number: 4_711 + number)
        monkeypatch.setattr(ports, "_handed_out", count())
        begun.append(free_port())

    begun.sort()
    assert min(later - earlier for earlier, later in pairwise(begun)) > 50


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    monkeypatch.setattr(ports, "_FIRST", taken)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    monkeypatch.setattr(ports, "_handed_out", count())
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() > taken


def test_where_none_is_free_the_error_says_which_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "_FIRST", taken)
        monkeypatch.setattr(ports, "_PORTS", 1)
        with pytest.raises(RuntimeError, match=f"{taken} to {taken}"):
            free_port()
