"""From the command to a daemon that says it is ready, with four channels, against importing the five packages that carry it.

    make bench BENCH=startup

Two lines of a plugin, a mail listener, and a mailbox whose server is away. Runs are interleaved; ``ratio`` is the median of the pairs.
The last line is JSON.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import stage

from fernamt.testing import free_port

PACKAGES = "import aiohttp, attrs, pluggy, structlog, tenacity"


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=9)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        environment = {**stage.install_line(folder), "NOBODY": "a password"}
        _configure(folder)
        imports, starts = [], []
        for _ in range(chosen.pairs + 1):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", PACKAGES], check=True, env=environment)
            imports.append(time.perf_counter() - began)
            starts.append(_ready_s(folder, environment))
            print(f"packages {imports[-1]:.2f} s   ready {starts[-1]:.2f} s", file=sys.stderr)
    # The first pair made the store and warmed the disk's cache.
    ratios = [ready / imported for ready, imported in zip(starts[1:], imports[1:], strict=True)]
    line = {
        "name": "startup",
        "ratio": stage.median(ratios),
        "ratio_spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "ready_s": round(statistics.median(starts[1:]), 3),
        "packages_s": round(statistics.median(imports[1:]), 3),
        "channels": 4,
    }
    print(orjson.dumps(line).decode())
    return 0


def _configure(folder: Path) -> None:
    lines = [f'store = "sqlite:///{folder}/start.db"', f'listen = "127.0.0.1:{free_port()}"']
    lines += ["[channels.one]", 'kind = "bench"', "[channels.two]", 'kind = "bench"']
    lines += ["[channels.listener]", 'kind = "email.listener"', 'address = "shop@example.org"']
    lines += ['host = "127.0.0.1"', f"port = {free_port()}", 'smtp = { host = "127.0.0.1", security = "none" }']
    lines += ["[channels.mailbox]", 'kind = "email.imap"', 'address = "info@example.org"', 'user = "info@example.org"']
    lines += ['host = "127.0.0.1"', f"port = {free_port()}", 'security = "none"', 'password = "env:NOBODY"']
    lines += ['smtp = { host = "127.0.0.1", security = "none" }']
    (folder / "start.toml").write_text("\n".join(lines) + "\n")


def _ready_s(folder: Path, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "fernamt", "run", "--config", str(folder / "start.toml")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if "daemon_ready" in said:
                break
        else:
            raise AssertionError("the daemon ended before it was ready")
        ready_s = time.perf_counter() - began
        process.terminate()
        process.stderr.read()
    return ready_s


if __name__ == "__main__":
    sys.exit(main())
