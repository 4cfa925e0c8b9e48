"""What the stories share: the mail servers, and a free port for a daemon."""

import pytest

from fernamt import testing
from tests.story.mail_servers import ann, bob, dovecot, postfix, support
from tests.story.synapse import service, synapse

__all__ = ("ann", "bob", "dovecot", "free_port", "postfix", "service", "support", "synapse")


@pytest.fixture
def free_port() -> int:
    return testing.free_port()
