"""Ports for servers that a test starts, each for one server only."""

from __future__ import annotations

import contextlib
import os
import socket
from itertools import count
from typing import Final

_FIRST: Final = 10_000
_PORTS: Final = 22_000
"""All below those that Linux gives to whoever asks for any (32768 and up): one of these could be given away again before it is bound."""
_STRIDE: Final = 13_597
"""Processes that share a test run have numbers close together: by this one (the golden section) each begins far from all others."""
_handed_out: Final = count()


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on, and that nobody else is about to.

    For a server that is told its port before it starts. What can be asked for its port afterwards does better with port 0.

    Raises:
        RuntimeError: Somebody has every one of them.
    """
    for _ in range(_PORTS):
        port = _FIRST + (os.getpid() * _STRIDE + next(_handed_out)) % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port of {_FIRST} to {_FIRST + _PORTS - 1} is free: end what listens there")
