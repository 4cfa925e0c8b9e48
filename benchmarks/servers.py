"""The servers that the inbound benchmark compares. Each runs in a process of its own, all on one core, one measured at a time.

ack      the ceiling: aiohttp checks the signature, parses, answers 200; nothing is kept
calls    the ceiling for calls: the same with a form, and an answer in XML
sms      the ceiling for SMS: the same with a form of Twilio's, and its empty answer
raw      what one would write by hand for this one message: the same front, then a thread with sqlite3, the same schema, the
         same group commit; no error handling, no other event, no other engine
daemon   ours, started as anybody starts it
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections import deque
from hashlib import blake2b
from pathlib import Path
from typing import Any

import callers
import orjson
import sms_forms
import uvloop
from aiohttp import web
from workload import PATH, verified

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store

GROUP_MAX = 512


async def _serve(handler: Any, port: int, path: str = PATH) -> None:
    app = web.Application()
    app.router.add_post(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def ack(port: int) -> None:
    """Serve the ceiling."""

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        if not verified(request.headers.get("X-Signature", ""), body):
            return web.Response(status=403)
        orjson.loads(body)
        return web.Response()

    await _serve(handler, port)


async def calls(port: int) -> None:
    """Serve the ceiling for calls."""
    said = "You are with service."
    asked = "For sales press 1, for service press 2, for parts press 3."
    xml = (
        f'<?xml version="1.0" encoding="UTF-8"?><Response><Say language="en">{said}</Say><Gather'
        f' action="{callers.PUBLIC_URL}/in/bench/voice?turn=3" numDigits="1"><Say language="en">{asked}</Say></Gather></Response>'
    ).encode()

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        form = callers.form_of(body)
        if not callers.verified(request.headers.get("X-Signature", ""), callers.PUBLIC_URL + request.raw_path, form):
            return web.Response(status=403)
        dict(form)
        return web.Response(body=xml, content_type="text/xml")

    await _serve(handler, port, callers.PATH)


async def sms(port: int) -> None:
    """Serve the ceiling for SMS."""
    url = sms_forms.PUBLIC_URL

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        form = callers.form_of(body)
        if not callers.verified(request.headers.get("X-Twilio-Signature", ""), url + request.raw_path, form):
            return web.Response(status=403)
        dict(form)
        return web.Response(body=b"<Response/>", content_type="text/xml")

    await _serve(handler, port, sms_forms.PATH)


async def raw(port: int, folder: Path) -> None:
    """Serve the hand-written one."""
    store = Store.open(f"sqlite:///{folder}/raw.db", SystemClock())
    store.migrate()
    store.close()
    loop = asyncio.get_running_loop()
    queue: deque[tuple[dict[str, str], bytes, asyncio.Future[None]]] = deque()
    wake = threading.Condition()

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        if not verified(request.headers.get("X-Signature", ""), body):
            return web.Response(status=403)
        future: asyncio.Future[None] = loop.create_future()
        queue.append((orjson.loads(body), body, future))
        if len(queue) == 1:
            with wake:
                wake.notify()
        await future
        return web.Response()

    def resolve(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            future.set_result(None)

    def write() -> None:
        connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
        for pragma in ("synchronous=FULL", "cache_size=-32000"):
            connection.execute(f"PRAGMA {pragma}")
        while True:
            with wake:
                while not queue:
                    wake.wait()
            group = [queue.popleft() for _ in range(min(len(queue), GROUP_MAX))]
            store_group(connection, [(message, body) for message, body, _ in group])
            loop.call_soon_threadsafe(resolve, [future for _, _, future in group])

    threading.Thread(target=write, daemon=True).start()
    await _serve(handler, port)


def _marks(count: int) -> str:
    return f"({'?,' * (count - 1)}?)"


def store_group(connection: sqlite3.Connection, group: list[tuple[dict[str, str], bytes]]) -> None:
    """Dedupe, identify, thread, number and keep one group in one transaction."""
    now = time.time_ns() // 1000
    connection.execute("BEGIN IMMEDIATE")
    hashes = [blake2b(b"k1:" + message["id"].encode(), digest_size=16).digest() for message, _ in group]
    handles = ["bench:" + message["from"] for message, _ in group]
    marks = _marks(len(group))
    known = {row[0] for row in connection.execute(f"SELECT hash FROM known WHERE hash IN {marks}", hashes)}
    people: dict[str, tuple[int, int]] = {
        row[0]: (row[1], row[2])
        for row in connection.execute(f"SELECT handle, id, customer FROM address WHERE handle IN {marks}", handles)
    }
    threads: dict[int, int] = {}
    for address, _ in people.values():
        row = connection.execute(
            "SELECT conversation FROM thread WHERE address = ? AND channel = 1 AND place = ''", (address,)
        ).fetchone()
        threads[address] = row[0]
    talks: dict[int, list[int]] = {}
    if threads:
        ids = list(threads.values())
        for row in connection.execute(f"SELECT id, last_n FROM conversation WHERE id IN {_marks(len(ids))}", ids):
            talks[row[0]] = [row[1], 0]
    last = {
        table: connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
        for table in ("customer", "address", "conversation", "entry", "raw")
    }
    customers, addresses, places, entries, contents, raws, hashed = [], [], [], [], [], [], []
    new: set[int] = set()
    for digest, handle, (message, body) in zip(hashes, handles, group, strict=True):
        if digest in known:
            continue
        known.add(digest)
        person = people.get(handle)
        if person is None:
            last["customer"] += 1
            last["address"] += 1
            last["conversation"] += 1
            person = people[handle] = (last["address"], last["customer"])
            customers.append((person[1], message["name"], "", "", now, False))
            addresses.append((person[0], handle, person[1], "wrote", now))
            threads[person[0]] = last["conversation"]
            places.append((person[0], 1, "", last["conversation"]))
            talks[last["conversation"]] = [0, 0, person[1]]
            new.add(last["conversation"])
        conversation = threads[person[0]]
        talk = talks[conversation]
        talk[0] += 1
        last["entry"] += 1
        last["raw"] += 1
        talk[1] = last["entry"]
        entries.append((last["entry"], conversation, talk[0], "received", now, person[0], 1))
        data = orjson.dumps({"sender_name": message["name"]}).decode()
        contents.append(
            (last["entry"], None, message["text"], None, data, None, message["id"], message["id"], last["raw"])
        )
        raws.append((last["raw"], body, None))
        hashed.append((digest, conversation, talk[0], now))
    rows = [
        (one, talks[one][2], "support", "open", "", talks[one][0], talks[one][1], now, False) for one in sorted(new)
    ]
    moved = [("open", talk[0], talk[1], now, one) for one, talk in talks.items() if one not in new]
    for table, values in (
        ("customer", customers),
        ("address", addresses),
        ("thread", places),
        ("entry", entries),
        ("content", contents),
        ("raw", raws),
        ("known", hashed),
        ("conversation", rows),
    ):
        if values:
            connection.executemany(f"INSERT INTO {table} VALUES {_marks(len(values[0]))}", values)
    connection.executemany(
        "UPDATE conversation SET state = ?, last_n = ?, last_entry = ?, changed_at = ? WHERE id = ?", moved
    )
    connection.execute("COMMIT")


def main() -> None:
    """Run ``servers.py ack|calls|sms|raw PORT FOLDER``."""
    os.sched_setaffinity(0, {0})
    kind, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    uvloop.run({"ack": ack, "calls": calls, "sms": sms}[kind](port) if kind != "raw" else raw(port, folder))


if __name__ == "__main__":
    main()
