"""What the stories share: the mail servers, and a free port for a daemon."""

import socket

import pytest

from tests.story.mail_servers import ann, bob, dovecot, postfix, support
from tests.story.synapse import service, synapse

__all__ = ("ann", "bob", "dovecot", "free_port", "postfix", "service", "support", "synapse")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
