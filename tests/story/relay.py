"""What stands between a provider and a daemon, and loses answers: the daemon stored what it was told, and the provider hears 500."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Relay:
    """Hands every request on to a port of this machine, from a thread of its own."""

    def __init__(self, port: int, to: int) -> None:
        self.lose = 0
        """So many answers that are still to be lost."""
        self.asked: list[str] = []
        """The paths of the requests that came, in order."""
        self._to = to
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())

    @classmethod
    @contextmanager
    def running(cls, port: int, to: int) -> Iterator[Relay]:
        """Listen on *port* and hand on to *to*."""
        relay = cls(port, to)
        thread = threading.Thread(target=relay._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield relay
        finally:
            relay._server.shutdown()
            thread.join()
            relay._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def _hand_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                relay.asked.append(self.path)
                onward = http.client.HTTPConnection("127.0.0.1", relay._to, timeout=20)
                try:
                    headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
                    onward.request(self.command, self.path, body, headers)
                    answer = onward.getresponse()
                    status, said = answer.status, answer.read()
                finally:
                    onward.close()
                if status == 200 and relay.lose and "/transactions/" in self.path:
                    relay.lose -= 1
                    status, said = 500, b"{}"
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_PUT = do_POST = do_GET = _hand_on  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler
