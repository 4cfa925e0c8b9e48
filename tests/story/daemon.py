"""A daemon as an operator runs it: a process with a configuration, looked at from outside only."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

from fernamt.cli import main

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
_T = TypeVar("_T")


def until(look: Callable[[], _T], *, within_s: float = PATIENCE_S) -> _T:
    """Return what *look* gives as soon as it is true; fail when it never is."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {within_s:.0f} s, and it still is {seen!r}"
        time.sleep(0.05)
    return seen


class Daemon:
    """One configuration in one folder, and the process that runs it."""

    def __init__(self, folder: Path, http_port: int, configuration: str, *paths: Path) -> None:
        """*paths* hold plugins that are not installed."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{http_port}"
        self.file = folder / "fernamt.toml"
        self.file.write_text(f'listen = "127.0.0.1:{http_port}"\n{configuration}')
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "COLUMNS": "200"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *doom: str) -> None:
        """Start it; with *doom*, a point and a count, it is killed there as by ``kill -9``."""
        daemon = (
            [str(ROOT / "drills" / "doomed.py"), str(self.file), *doom]
            if doom
            else ["-m", "fernamt", *self._words("run")]
        )
        with (self.folder / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *daemon], env=self._environment, stderr=log)

    def ready(self) -> None:
        """Return when it says that it is ready."""
        until(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()[-3000:]
        try:
            urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()
        except OSError:
            return False
        return True

    def died(self) -> None:
        """Return when its doom has come."""
        assert self._process is not None
        assert self._process.wait(timeout=PATIENCE_S) == -signal.SIGKILL, self.log()[-3000:]

    def kill(self) -> None:
        """End it as by ``kill -9``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Tell it to stop and return its exit code; ``0`` if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.terminate()
        return self._process.wait(timeout=PATIENCE_S)

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text()

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the daemon, in a process of its own."""
        command = [sys.executable, "-m", "fernamt", *self._words(*words)]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)

    def here(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in this process, which takes milliseconds: a process of its own for every look costs a second.

        Here are none of the daemon's plugins: a command that imports them is one for :meth:`say`.
        """

        def run() -> subprocess.CompletedProcess[str]:
            with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out, redirect_stderr(io.StringIO()) as said:
                code = main(self._words(*words))
                out.flush()
            shown = out.buffer.getvalue().decode()
            return subprocess.CompletedProcess(words, code, shown, said.getvalue())

        with ThreadPoolExecutor(1) as beside:  # the caller's thread may have a loop already
            return beside.submit(run).result(60)

    def told(self, *words: str) -> Any:
        """Run a listing :meth:`here` and return what its ``--json`` says."""
        done = self.here(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _words(self, *words: str) -> list[str]:
        return [words[0], "--config", str(self.file), *words[1:]]


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Run it, ready, and stop it at the end."""
    daemon.start()
    try:
        daemon.ready()
        yield daemon
    finally:
        daemon.stop()


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of an answer to a POST."""
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
