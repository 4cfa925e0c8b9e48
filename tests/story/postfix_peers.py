"""Whom the stories' Postfix talks to: what it asks of each recipient, and a mail server beyond it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field


@define
class Rules:
    """What Postfix is told of each recipient, by its policy delegation: it asks once for every RCPT."""

    once: dict[str, list[str]] = field(factory=dict)
    always: dict[str, str] = field(factory=dict)
    seen: dict[str, int] = field(factory=dict)
    port: int = 0

    @classmethod
    @contextmanager
    def served(cls) -> Iterator[Rules]:
        """Answer Postfix from a thread."""
        rules = cls()

        class Talk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                recipient = ""
                for line in self.rfile:
                    name, _, value = line.decode().strip().partition("=")
                    if name == "recipient":
                        recipient = value
                    elif not name:
                        self.wfile.write(f"action={rules._action(recipient)}\n\n".encode())

        with _serving(Talk) as rules.port:
            yield rules

    def _action(self, recipient: str) -> str:
        self.seen[recipient] = self.seen.get(recipient, 0) + 1
        if waiting := self.once.get(recipient):
            return waiting.pop(0)
        return self.always.get(recipient, "DUNNO")


@define
class Beyond:
    """Another mail server, which takes mail by LMTP and says of each recipient what the test wants."""

    replies: dict[str, str] = field(factory=dict)
    port: int = 0

    @classmethod
    @contextmanager
    def served(cls) -> Iterator[Beyond]:
        """Talk to Postfix from a thread."""
        beyond = cls()

        class Talk(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 mx.beyond.test\r\n")
                for line in self.rfile:
                    verb, _, rest = line.decode().strip().partition(" ")
                    address = rest.partition("<")[2].partition(">")[0]
                    reply = beyond.replies.get(address, "250 2.1.5 OK") if verb.upper() == "RCPT" else "250 2.0.0 OK"
                    self.wfile.write(f"{reply}\r\n".encode())
                    if verb.upper() == "QUIT":
                        return

        with _serving(Talk) as beyond.port:
            yield beyond


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _serving(talk: type[socketserver.StreamRequestHandler]) -> Iterator[int]:
    """Serve from a thread on a free port, and yield that."""
    with _Threads(("127.0.0.1", 0), talk) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
