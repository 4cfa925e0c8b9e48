"""The blob store, in files and in rows: whole or not at all, by digest, and swept only when nobody names it."""

import asyncio
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._store import blobs as module
from fernamt._store.blobs import CHUNK_BYTES, BlobStore, FileBlobs, open_blobs
from fernamt._store.engine import Store
from fernamt._store.postgres import PostgresStatements
from fernamt.errors import NotStored
from fernamt.model import Blob

on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
LONG = bytes(range(256)) * 1000  # four pieces
DAY_S = 86_400


@pytest.fixture
def blobs(store: Store) -> BlobStore:
    return open_blobs(store)


async def pieces(content: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def put(blobs: BlobStore, content: bytes, max_bytes: int = 10**9) -> Blob:
    return await blobs.put(pieces(content), max_bytes=max_bytes)


async def read(blobs: BlobStore, blob: Blob) -> list[bytes]:
    return [piece async for piece in blobs.open(blob)]


def files(store: Store) -> list[Path]:
    assert store.folder is not None
    return [path for path in store.folder.rglob("*.blobs/**/*") if path.is_file()]


def count(store: Store) -> int:
    """Return how many contents there are."""
    if store.folder is not None:
        return len(files(store))
    with store.read() as connection:
        return int(store.statements(connection).rows("SELECT count(DISTINCT digest) FROM blob_chunk")[0][0])


def age(store: Store, seconds: float) -> None:
    """Let everything be so much older."""
    if store.folder is None:
        session = store.session()
        with session.transaction() as tx:
            tx.do.one("UPDATE blob_chunk SET stored_at = stored_at - ?", (int(seconds * 1_000_000),))
        session.close()
        return
    for path in files(store):
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


@pytest.mark.parametrize("content", [b"", b"x", b"x" * CHUNK_BYTES, LONG], ids=["nothing", "a byte", "a piece", "long"])
async def test_what_was_put_comes_back_in_pieces_under_its_digest(blobs: BlobStore, content: bytes) -> None:
    blob = await put(blobs, content)
    assert blob == Blob(hashlib.sha256(content).hexdigest(), len(content))
    found = await read(blobs, blob)
    assert b"".join(found) == content
    assert all(len(piece) <= CHUNK_BYTES for piece in found)


async def test_the_same_content_is_kept_once(store: Store, blobs: BlobStore) -> None:
    first, second = await asyncio.gather(put(blobs, LONG), put(blobs, LONG))
    assert first == second
    assert count(store) == 1
    assert b"".join(await read(blobs, first)) == LONG


async def test_large_content_is_kept_once(store: Store, blobs: BlobStore) -> None:
    large = LONG * 10 + b"end"
    first, second = await asyncio.gather(put(blobs, large), put(blobs, large))
    assert first == second == await put(blobs, large)
    assert b"".join(await read(blobs, first)) == large
    assert count(store) == 1


async def test_large_content_that_breaks_off_leaves_nothing_behind(store: Store, blobs: BlobStore) -> None:
    with pytest.raises(ValueError, match="longer"):
        await put(blobs, LONG * 10, max_bytes=2_000_000)
    assert count(store) == 0


async def test_content_above_the_limit_is_refused_and_nothing_of_it_kept(store: Store, blobs: BlobStore) -> None:
    with pytest.raises(ValueError, match="longer than 99999 bytes"):
        await put(blobs, b"x" * 100_000, max_bytes=99_999)
    assert count(store) == 0
    assert (await put(blobs, b"x" * 100_000, max_bytes=100_000)).size == 100_000


async def test_a_source_that_breaks_leaves_nothing_behind(store: Store, blobs: BlobStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await blobs.put(broken(), max_bytes=100)
    assert count(store) == 0


async def test_what_is_not_there_is_a_missing_file(blobs: BlobStore) -> None:
    with pytest.raises(FileNotFoundError):
        await read(blobs, Blob("ab" * 32, 1))


@on_sqlite
@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "AB" * 32, "ab" * 31 + "/."])
async def test_a_digest_is_never_a_way_out_of_the_folder(blobs: BlobStore, digest: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        await read(blobs, Blob(digest, 1))


async def test_only_what_nobody_named_for_a_day_is_swept(store: Store, blobs: BlobStore) -> None:
    named, unnamed, young = await put(blobs, b"named"), await put(blobs, LONG), await put(blobs, b"again")
    session = store.session()
    with session.transaction() as tx:
        tx.do.many("insert blob_ref", [(named.digest, "entry:1")])
    session.close()
    assert blobs.sweep() == 0
    age(store, DAY_S + 60)
    await put(blobs, b"again")  # whoever brings it again is about to name it
    assert blobs.sweep() == 1
    assert [b"".join(await read(blobs, one)) for one in (named, young)] == [b"named", b"again"]
    with pytest.raises(FileNotFoundError):
        await read(blobs, unnamed)
    assert blobs.sweep() == 0


async def test_a_store_without_a_blob_is_swept(store: Store, blobs: BlobStore) -> None:
    assert blobs.sweep() == 0
    assert count(store) == 0


# ---- files
@on_sqlite
async def test_a_file_is_whole_and_on_disk_before_it_has_its_name(
    store: Store, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fdatasync, fsync, rename = os.fdatasync, os.fsync, Path.rename

    def noted(name: str, function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            if name == "rename":
                done.append(f"rename of {arguments[0].stat().st_size} bytes")
            else:
                done.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(os, "fdatasync", noted("content", fdatasync))
    monkeypatch.setattr(os, "fsync", noted("folder", fsync))
    monkeypatch.setattr(Path, "rename", noted("rename", rename))
    await put(blobs, LONG)
    assert done == ["folder", "content", f"rename of {len(LONG)} bytes", "folder", "folder"]
    assert {path.stat().st_mode & 0o777 for path in files(store)} == {0o600}


@on_sqlite
async def test_what_a_crash_left_half_written_is_no_blob_and_is_swept(store: Store, blobs: BlobStore) -> None:
    await put(blobs, b"whole")
    assert store.folder is not None
    [folder] = store.folder.glob("*.blobs")
    (folder / "new-0011223344556677").write_bytes(b"half")
    age(store, DAY_S + 60)
    assert blobs.sweep() == 2
    assert files(store) == []


@on_sqlite
async def test_a_disk_that_takes_a_part_of_a_piece_takes_the_rest_or_says_no(
    store: Store, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data)[:999]))
    blob = await put(blobs, LONG)
    assert b"".join(await read(blobs, blob)) == LONG
    left = [2_000]

    def full(file: int, data: Any) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(file, bytes(data)[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NotStored, match="No space left"):
        await put(blobs, b"y" * 5_000)
    assert len(files(store)) == 1


@on_sqlite
async def test_a_put_that_is_cancelled_closes_its_file_only_when_nobody_writes_to_it(
    store: Store, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go = threading.Event(), threading.Event()
    write, close = os.write, os.close
    closed: list[int] = []

    def slow(file: int, data: Any) -> int:
        writing.set()
        assert go.wait(20)
        assert not closed
        return write(file, data)

    def noted(file: int) -> None:
        closed.append(file)
        close(file)

    await put(blobs, b"the first one makes the folder")
    monkeypatch.setattr(os, "write", slow)
    monkeypatch.setattr(os, "close", noted)
    putting = asyncio.create_task(put(blobs, b"x"))
    await asyncio.to_thread(writing.wait, 20)
    putting.cancel()
    await asyncio.sleep(0)
    assert not putting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert len(closed) == 1
    assert len(files(store)) == 1


async def test_a_folder_that_cannot_be_made_is_not_stored(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blobs = FileBlobs(tmp_path / "file" / "blobs", Store.open(f"sqlite:///{tmp_path}/x.db", SystemClock()))
    with pytest.raises(NotStored, match="cannot be written"):
        await blobs.put(pieces(b"x"), max_bytes=10)


# ---- rows
async def test_a_server_that_is_away_is_not_stored_and_sweeps_nothing() -> None:
    store = Store.open("postgresql://fernamt@127.0.0.1:1/nothing", SystemClock())
    blobs = open_blobs(store)
    with pytest.raises(NotStored):
        await put(blobs, b"x")
    with pytest.raises(NotStored):
        await read(blobs, Blob("ab" * 32, 1))
    with pytest.raises(NotStored):
        blobs.sweep()
    store.close()


@on_postgres
@pytest.mark.parametrize("size", [100, 2_000_000])
async def test_a_disk_without_room_for_what_waits_is_not_stored(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "SpooledTemporaryFile", partial(Path("/dev/full").open, "w+b"))
    with pytest.raises(NotStored, match="No space left"):
        await blobs.put(pieces(b"x" * size, 1_000), max_bytes=size)


@on_postgres
async def test_content_is_written_in_one_transaction(
    store: Store, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10)
    one = PostgresStatements.one
    calls: list[str] = []

    def breaking(self: PostgresStatements, sql: str, values: Any = ()) -> int:
        calls.append(sql)
        if len(calls) == 3:
            raise ValueError("a bug")
        return one(self, sql, values)

    monkeypatch.setattr(PostgresStatements, "one", breaking)
    with pytest.raises(ValueError, match="a bug"):
        await put(blobs, b"x" * 100)
    assert count(store) == 0
