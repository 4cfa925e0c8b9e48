"""The blob store: content above 64 KB, by digest. Files beside SQLite, rows in PostgreSQL; the caller sees no difference."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Final, Protocol, TypeVar

from fernamt._store.engine import Store
from fernamt._store.transaction import Transaction, is_outage
from fernamt.connector import Blobs
from fernamt.errors import NotStored
from fernamt.model import Blob

_R = TypeVar("_R")
CHUNK_BYTES: Final = 65_536
_HELD_BYTES: Final = 16 * CHUNK_BYTES
"""Of what goes into rows so much is held in memory."""
SWEPT_AFTER_S: Final = 86_400.0
"""What no commit has named by then is swept."""
ERASED_AFTER_S: Final = 600.0
"""What was erased is swept when it is so old: what is younger may be about to be named again."""


class BlobStore(Blobs, Protocol):
    """What plugins are promised, and what the daemon does with it beside. What was put survives a crash."""

    def sweep(self, among: Collection[str] | None = None) -> int:
        """Remove what nothing refers to, or what of *among* (digests, erased) nothing refers to; return how many. Blocks."""
        ...


def open_blobs(store: Store) -> BlobStore:
    """Return the blob store that belongs to *store*."""
    folder = store.folder
    return (
        TableBlobs(store)
        if folder is None
        else FileBlobs(folder / f"{Path(str(store.url.database)).name}.blobs", store)
    )


async def _poured(chunks: AsyncIterable[bytes], max_bytes: int, write: Callable[[bytes], object]) -> Blob:
    """Write a stream piece by piece and return what it is."""
    digest, size = hashlib.sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ValueError(f"the content is longer than {max_bytes} bytes")
        digest.update(chunk)
        await _whole(write, chunk)
    return Blob(digest.hexdigest(), size)


class FileBlobs:
    """A folder of files named by their digest, in 256 folders."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """Write to a temporary name, sync, and move it to its own: a reader never sees half of it."""
        temporary = self._folder / f"new-{secrets.token_hex(8)}"
        try:
            file = await _whole(self._create, temporary)
            try:
                blob = await _poured(chunks, max_bytes, partial(_write, file))
                await _whole(os.fdatasync, file)
            finally:
                os.close(file)
            await _whole(self._keep, temporary, self._path(blob))
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return blob

    def _create(self, path: Path) -> int:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(self._folder.parent)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _keep(self, temporary: Path, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.rename(path)
        for folder in (path.parent, self._folder):
            _sync(folder)

    def _path(self, blob: Blob) -> Path:
        if len(blob.digest) != 64 or not all(digit in "0123456789abcdef" for digit in blob.digest):
            raise ValueError("a digest is 64 hexadecimal digits")
        return self._folder / blob.digest[:2] / blob.digest

    async def open(self, blob: Blob) -> AsyncIterator[bytes]:
        with await asyncio.to_thread(self._path(blob).open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    def sweep(self, among: Collection[str] | None = None) -> int:
        old = time.time() - (SWEPT_AFTER_S if among is None else ERASED_AFTER_S)
        paths = self._folder.rglob("*") if among is None else (self._path(Blob(one, 0)) for one in among)
        candidates = [path for path in paths if _is_older(path, old)]
        named = _named(self._store, (path.name for path in candidates))
        swept = 0
        for path in candidates:
            # Whoever puts the same content again makes it new.
            if path.name not in named and _is_older(path, old):
                path.unlink(missing_ok=True)
                swept += 1
        return swept


def _write(file: int, chunk: bytes) -> None:
    """Write all of it: on a disk that is nearly full the system takes a part, and says so only the next time."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_older(path: Path, than: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime < than
    except FileNotFoundError:
        return False


async def _whole(function: Callable[..., _R], *arguments: object) -> _R:
    """Run *function* in a thread. Raises ``NotStored`` for its ``OSError``.

    Cancelled, it returns when the thread is done: that works on a file that would be closed under it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        running.exception()  # nobody else will ask for it
        raise
    except OSError as why:
        raise NotStored(f"the blobs cannot be written: {why.strerror}") from why


class TableBlobs:
    """Rows of 64 KB."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """Write all of it in one transaction: its digest, the key, is known only at the end.

        What is longer than :data:`_HELD_BYTES` waits for it in a temporary file that has no name.
        """
        file = SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - closing it may fail
        try:
            blob = await _poured(chunks, max_bytes, file.write)
            await _whole(self._insert, blob, file)
        finally:
            with contextlib.suppress(OSError):  # a full disk says once more what was told already
                file.close()
        return blob

    def _insert(self, blob: Blob, file: IO[bytes]) -> None:
        file.seek(0)
        with self._written() as tx:
            for n in range(max(blob.size - 1, 0) // CHUNK_BYTES + 1):
                tx.do.one(
                    "INSERT INTO blob_chunk (digest, n, body, stored_at) VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (digest, n) DO UPDATE SET stored_at = excluded.stored_at",
                    (blob.digest, n, file.read(CHUNK_BYTES), tx.now_us),
                )

    @contextlib.contextmanager
    def _written(self) -> Iterator[Transaction]:
        try:
            with contextlib.closing(self._store.session()) as session, session.transaction() as tx:
                yield tx
        except Exception as why:
            if not is_outage(why):
                raise
            raise NotStored(f"the blobs cannot be written: {getattr(why, 'orig', why)}") from why

    async def open(self, blob: Blob) -> AsyncIterator[bytes]:
        n = 0
        while (chunk := await asyncio.to_thread(self._read, blob.digest, n)) is not None:
            yield chunk
            n += 1
        if n == 0:
            raise FileNotFoundError(f"blob {blob.digest} is not there any more")

    def _read(self, digest: str, n: int) -> bytes | None:
        with self._store.read() as connection:
            rows = self._store.statements(connection).rows(
                "SELECT body FROM blob_chunk WHERE digest = ? AND n = ?", (digest, n)
            )
        return bytes(rows[0][0]) if rows else None

    def sweep(self, among: Collection[str] | None = None) -> int:
        unnamed = "DELETE FROM blob_chunk WHERE stored_at < ? AND digest NOT IN (SELECT digest FROM blob_ref)"
        with self._written() as tx:
            old = tx.now_us - int((SWEPT_AFTER_S if among is None else ERASED_AFTER_S) * 1_000_000)
            if among is None:
                rows = tx.do.rows(f"{unnamed} RETURNING n", (old,))
            else:
                rows = tx.do.among(f"{unnamed} AND digest IN {{}} RETURNING n", [*among], (old,))
            return sum(n == 0 for (n,) in rows)


def _named(store: Store, digests: Iterable[str]) -> set[str]:
    with store.read() as connection:
        do = store.statements(connection)
        return {digest for digest in digests if do.rows("SELECT 1 FROM blob_ref WHERE digest = ? LIMIT 1", (digest,))}
