"""TLS towards mail servers."""

from __future__ import annotations

import ssl
from pathlib import Path

from fernamt import Unreachable


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks names and certificates. Reads files, so it is called in a thread.

    Raises:
        Unreachable: *ca_file* cannot be read, so nothing was tried.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as why:  # ssl.SSLError is one too: no certificate in the file
            raise Unreachable(f"ca_file {str(ca_file)!r} cannot be read as certificates: {why}", certain=True) from why
    return context
