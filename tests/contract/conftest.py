"""A provider for the probes: HTTP on the loopback, answered by what a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.story.conftest import free_port
from tests.story.daemon import Daemon
from tests.story.plugins import install

__all__ = ("free_port",)

PROBES = Path(__file__).parent / "probes"


class Provider:
    """Serves until it is closed. *answer* gets the method, the path with its query and the body, and returns (status, answer).

    An answer that is ``None`` cuts the line, as a provider does that dies.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str, str, bytes], tuple[int, Any] | None] = lambda _method, _path, _body: (404, {})
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with provider._lock:
                    answer = provider.answer(self.command, self.path, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, said = answer
                content = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def probe(tmp_path: Path, free_port: int) -> Iterator[Callable[[str, str], Daemon]]:
    """Return a daemon with one channel of a probe, not started: given the probe's name and the settings of its channel."""
    made: list[Daemon] = []

    def daemon(name: str, settings: str) -> Daemon:
        install(tmp_path / "plugins", name, (PROBES / f"{name}.py").read_text())
        configuration = f'[http]\nallow_private = ["127.0.0.1"]\n[channels.{name}]\nkind = "{name}"\n{settings}\n'
        made.append(Daemon(tmp_path, free_port, configuration, tmp_path / "plugins"))
        return made[0]

    yield daemon
    for one in made:
        one.stop()
