"""SMS a second that Twilio brings, verified, threaded and durable through ``sms.twilio``, against a server that keeps nothing.

    make bench BENCH=sms_webhook

SQLite, synchronous=FULL, 64 connections, the server on one core and the load on another. ``ratio`` is to an ack-only aiohttp handler
that checks the same signature over the same form and answers the same (see servers.py). Runs are interleaved; the ratio is the median
of the pairs. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson
import stage
from sms_forms import ACCOUNT, PUBLIC_URL, TOKEN, US, requests


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=20_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        commands = {"ack": stage.peer("sms", folder), "daemon": _daemon(folder)}
        with stage.running(folder, commands) as servers:
            measured = asyncio.run(stage.take_turns(servers, chosen.pairs, chosen.messages, made_by=requests))
            memory_mb = servers["daemon"].memory_mb("VmHWM")
    size = len(requests(1, 1)[0].partition(b"\r\n\r\n")[2])
    line = {
        "name": "sms_webhook",
        **stage.ratio("ratio", measured["daemon"], measured["ack"]),
        **stage.rates(measured, "daemon"),
        "peak_memory_mb": round(memory_mb),
        "workload": f"{chosen.pairs} x {chosen.messages} forms of {size} bytes, random ids, 1 in 6 from a known number, raw kept",
    }
    print(orjson.dumps(line).decode())
    return 0


def _daemon(folder: Path) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        token = folder / "token.txt"
        token.write_text(TOKEN)
        token.chmod(0o600)
        configuration = folder / "sms.toml"
        configuration.write_text(
            f'store = "sqlite:///{folder}/sms.db"\nlisten = "127.0.0.1:{port}"\npublic_url = "{PUBLIC_URL}"\n'
            '[log]\nlevel = "warning"\n[channels.bench]\nkind = "sms.twilio"\nauth_token = "file:token.txt"\n'
            f'account_sid = "{ACCOUNT}"\nsender = "{US}"\nreconcile_s = 0\n'
        )
        return ["-m", "fernamt", "run", "--config", str(configuration)]

    return command


if __name__ == "__main__":
    sys.exit(main())
