"""Let every line break in another way each second while customers write and agents answer, then mend all and compare the ledgers.

    make drill DRILL=wire STORE=sqlite KILLS=30

A fault proxy stands before each provider, before the daemon itself and, with PostgreSQL, before the database. KILLS is how many
times the faults change. The last line is JSON, as of the drill kill; stuck counts lanes that do not move though nothing holds them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
from pathlib import Path

import orjson
from scene import Scene, StuckLane, say, store_in

from fernamt.testing import FaultProxy, WireFault

FAULTS = (
    WireFault(),
    WireFault.latency(0.3),
    WireFault.trickle(50),
    WireFault.silence(),
    WireFault.silence(of="answer"),
    WireFault.silence(after_bytes=60, of="answer"),
    WireFault.reset(),
    WireFault.reset(after_bytes=100),
    WireFault.reset(of="answer"),
    WireFault.reset(after_bytes=30, of="answer"),
    WireFault.cut(),
    WireFault.cut(of="answer"),
    WireFault.cut(after_bytes=30, of="answer"),
    WireFault.garbage(),
    WireFault.garbage(after_bytes=20, of="answer"),
)
CHANGE_S = 1.0


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, store_in(chosen.store, Path(folder)) as url:
        found = asyncio.run(drilled(Scene(Path(folder), url, chosen.seed), chosen.kills, chosen.seed))
    line = {"drill": "wire", "store": chosen.store, "changes": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    return 1 if any(found[name] for name in ("lost", "doubled", "disordered", "provider_doubled", "stuck")) else 0


async def drilled(scene: Scene, changes: int, seed: int) -> dict[str, int]:
    """Break, mend, let everything settle, compare."""
    dice = random.Random(seed)
    addresses = await scene.provide()
    async with contextlib.AsyncExitStack() as stack:

        async def before(address: str) -> tuple[FaultProxy, str]:
            """Put a proxy before *address*, and return the address of that."""
            start, _, rest = address.rpartition(":")
            port, slash, path = rest.partition("/")
            proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", int(port)))
            return proxy, f"{start}:{proxy.port}{slash}{path}"

        proxies = []
        for name, address in addresses.items():
            proxy, addresses[name] = await before(address)
            proxies.append(proxy)
        for customers in scene.customers.values():
            proxy, url = await before(customers.urls[0])
            customers.urls = [url]
            proxies.append(proxy)
        store, url = None, ""
        if not scene.store.is_sqlite:
            store, url = await before(scene.url)
            proxies.append(store)
        scene.prepare(addresses, url=url)
        async with scene.running():
            async with scene.live(timeout_s=2.0):
                for change in range(changes):
                    for proxy in proxies:
                        # Now and then the store is there, or there would be nothing to lose.
                        healthy = proxy is store and change % 2
                        proxy.use(WireFault() if healthy else dice.choice(FAULTS))
                        proxy.break_off()
                    say(f"change {change + 1} of {changes}")
                    await asyncio.sleep(CHANGE_S)
                for proxy in proxies:
                    proxy.heal()
                    proxy.break_off()
            try:
                await scene.settled()
                stuck = 0
            except StuckLane as why:
                print(why, file=sys.stderr)
                stuck = 1
        connections = sum(len(proxy.taken) for proxy in proxies)
    return {**await asyncio.to_thread(scene.compare), "stuck": stuck, "connections": connections}


if __name__ == "__main__":
    sys.exit(main())
