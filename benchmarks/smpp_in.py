"""SMS a second that come in by SMPP, each durable before its answer, against Kannel's bearerbox with its file store.

    make bench BENCH=smpp_in

One SMSC, this process on a core of its own, feeds both in turn with the same messages, 64 waiting for their answers: the daemon (SQLite,
synchronous=FULL, threaded, searchable) and Kannel (store-type = file, passed on by its smsbox to an HTTP server of ours that only
answers), each on the other core. ``ratio`` is of the rates at which messages are acknowledged; ``passed_on`` takes Kannel to its end,
when its HTTP server has the last one; ``cpu_ratio`` is Kannel's processor time for a message, both of its processes, to ours. Runs
are interleaved; each is the median of the pairs. One in six messages is from a customer who wrote before. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import orjson
import smpp_peers
import stage
from aiohttp import web
from attrs import define, field
from workload import Run

from fernamt.testing import free_port

sys.path.insert(0, str(stage.HERE.parent))

from plugins.sms.tests.smpp.peers import kannel

WINDOW = 64
WARM_UP = 1_000
_KNOWN = 1 / 6


@define(eq=False)
class Side:
    """One of the two, bound to our SMSC."""

    session: smpp_peers.Smsc
    processes: list[stage.Server]
    runs: list[Run] = field(factory=list)
    cpu_us: list[float] = field(factory=list)

    def cpu_s(self) -> float:
        return sum(one.cpu_s() for one in self.processes)


@define(eq=False)
class Sink:
    """Where Kannel passes messages on to."""

    count: int = 0
    came: asyncio.Event = field(factory=asyncio.Event)

    async def answer(self, _request: web.Request) -> web.Response:
        self.count += 1
        self.came.set()
        return web.Response(text="")

    async def reached(self, count: int) -> None:
        while self.count < count:
            self.came.clear()
            await self.came.wait()


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=5_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as folder:
        line = asyncio.run(_compare(Path(folder), chosen.pairs, chosen.messages))
    print(orjson.dumps(line).decode())
    return 0


async def _compare(folder: Path, pairs: int, messages: int) -> dict[str, object]:
    bound: asyncio.Queue[smpp_peers.Smsc] = asyncio.Queue()
    sink, passed_on = Sink(), list[float]()
    loop = asyncio.get_running_loop()
    smsc = await loop.create_server(lambda: smpp_peers.Smsc(bound), "127.0.0.1", 0)
    port = smsc.sockets[0].getsockname()[1]
    app = web.Application()
    app.router.add_get("/in", sink.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with contextlib.AsyncExitStack() as stack:
        os.sched_setaffinity(0, {0})  # what is started now stays there
        daemon = stack.enter_context(_daemon(folder, port))
        ours = Side(await bound.get(), [daemon])
        stack.push_async_callback(_closed, runner, smsc)
        theirs = Side(*await stack.enter_async_context(_kannel(port, runner.addresses[0][1], bound)))
        os.sched_setaffinity(0, {1})
        for side in (ours, theirs):
            await side.session.feed(_messages(WARM_UP, 1), WINDOW)
        await sink.reached(WARM_UP)
        for pair in range(pairs):
            made = _messages(messages, 10 + pair)
            await _measure(ours, made)
            began = time.perf_counter()
            await _measure(theirs, made, sink)
            passed_on.append(messages / (time.perf_counter() - began))
            print(
                f"pair {pair + 1}: daemon {ours.runs[-1].per_s:.0f}/s, {ours.cpu_us[-1]:.0f} us; Kannel"
                f" {theirs.runs[-1].per_s:.0f}/s, {passed_on[-1]:.0f}/s passed on, {theirs.cpu_us[-1]:.0f} us",
                file=sys.stderr,
            )
        memory_mb = round(daemon.memory_mb("VmHWM"))
    to_the_end = [mine.per_s / other for mine, other in zip(ours.runs, passed_on, strict=True)]
    costs = [other / mine for mine, other in zip(ours.cpu_us, theirs.cpu_us, strict=True)]
    measured = {"daemon": stage.Measured(ours.runs, ours.cpu_us), "kannel": stage.Measured(theirs.runs, theirs.cpu_us)}
    return {
        "name": "smpp_in",
        **stage.ratio("ratio", measured["daemon"], measured["kannel"]),
        "passed_on": stage.median(to_the_end),
        "cpu_ratio": stage.median(costs),
        "cpu_ratio_spread": [round(min(costs), 3), round(max(costs), 3)],
        **stage.rates(measured, "daemon"),
        "peak_memory_mb": memory_mb,
        "workload": f"{pairs} x {messages} messages of one part, {WINDOW} waiting for their answers, 1 in 6 from a known customer",
    }


async def _measure(side: Side, made: Sequence[bytes], sink: Sink | None = None) -> None:
    """Feed one side, and wait for what it passes on to *sink*: that is its work, too."""
    before, began = side.cpu_s(), time.perf_counter()
    had = 0 if sink is None else sink.count
    took_s = sorted(await side.session.feed(made, WINDOW))
    per_s = len(made) / (time.perf_counter() - began)
    assert not side.session.refused, f"{side.session.refused} messages were refused"
    if sink is not None:
        await sink.reached(had + len(made))
    side.cpu_us.append((side.cpu_s() - before) / len(made) * 1e6)
    p50_s, p99_s = statistics.median(took_s), took_s[len(took_s) * 99 // 100]
    side.runs.append(Run(per_s=per_s, p50_ms=p50_s * 1e3, p99_ms=p99_s * 1e3))


def _messages(count: int, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    wrote: list[int] = []
    made = []
    for number in range(1, count + 1):
        if wrote and dice.random() < _KNOWN:
            customer = dice.choice(wrote)
        else:
            customer = dice.randrange(10**8)
            wrote.append(customer)
        made.append(smpp_peers.delivered(number, customer))
    return made


@contextlib.contextmanager
def _daemon(folder: Path, port: int) -> Iterator[stage.Server]:
    (folder / "password").write_text(smpp_peers.PASSWORD)
    (folder / "password").chmod(0o600)
    daemon_port = free_port()
    (folder / "fernamt.toml").write_text(
        f'listen = "127.0.0.1:{daemon_port}"\n[log]\nlevel = "warning"\n[channels.bench]\nkind = "sms.smpp"\n'
        f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsystem_id = "{smpp_peers.SYSTEM_ID}"\n'
        f'password = "file:{folder}/password"\nsender = "+{smpp_peers.US}"\n'
    )
    process = subprocess.Popen([sys.executable, "-m", "fernamt", "run", "--config", str(folder / "fernamt.toml")])
    try:
        yield stage.Server(daemon_port, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def _kannel(
    port: int, http_port: int, bound: asyncio.Queue[smpp_peers.Smsc]
) -> AsyncIterator[tuple[smpp_peers.Smsc, list[stage.Server]]]:
    async with kannel(smsc_port=port, http_port=http_port, password=smpp_peers.PASSWORD) as gateway:
        yield await bound.get(), [stage.Server(0, one) for one in gateway.processes]


async def _closed(runner: web.AppRunner, smsc: asyncio.Server) -> None:
    smsc.close()
    await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
