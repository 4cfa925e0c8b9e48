"""Telling systemd how the daemon is (sd_notify(3)): nothing happens where there is no systemd."""

from __future__ import annotations

import os
import socket

import structlog

_log = structlog.get_logger()


def notify(state: str) -> None:
    """Send *state*, for instance ``READY=1``, to the socket that ``$NOTIFY_SOCKET`` names; nobody there is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
    except OSError as why:
        _log.warning("systemd_not_told", state=state, error=str(why))
