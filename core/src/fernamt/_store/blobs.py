"""The blob store: content above 64 KB, by digest. Files beside SQLite, rows in PostgreSQL; the caller sees no difference."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

from fernamt._store.engine import Store, Transaction, is_outage
from fernamt.errors import NotStored
from fernamt.model import Blob

_R = TypeVar("_R")
CHUNK_BYTES: Final = 65_536
_HELD_BYTES: Final = 16 * CHUNK_BYTES
"""Of what goes into rows so much is held in memory at a time."""
SWEPT_AFTER_S: Final = 86_400.0
"""What no commit has named by then is swept."""
ERASED_AFTER_S: Final = 600.0
"""What was erased is swept when it is so old: what is younger may be about to be named again."""


class BlobStore(Protocol):
    """What :class:`fernamt.Blobs` promises, and what the daemon does with it beside."""

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """See :meth:`fernamt.Blobs.put`. When it returns the content survives a crash."""
        ...

    def open(self, blob: Blob) -> AsyncIterator[bytes]:
        """See :meth:`fernamt.Blobs.open`."""
        ...

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


async def _measured(chunks: AsyncIterable[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise ValueError(f"the content is longer than {max_bytes} bytes")
        yield chunk


class FileBlobs:
    """A folder of files named by their digest, in 256 folders."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """Write to a temporary name, sync, and move it to its own: a reader never sees half of it."""
        temporary = self._folder / f"new-{secrets.token_hex(8)}"
        digest, size = hashlib.sha256(), 0
        try:
            file = await _whole(self._create, temporary)
            try:
                async for chunk in _measured(chunks, max_bytes):
                    digest.update(chunk)
                    size += len(chunk)
                    await _whole(_write, file, chunk)
                await _whole(os.fdatasync, file)
            finally:
                os.close(file)
            blob = Blob(digest.hexdigest(), size)
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
        raise NotStored(f"the blob folder cannot be written: {why.strerror}") from why


class TableBlobs:
    """Rows of 64 KB."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """Write it piece by piece under a name of its own: the digest, the key, is known only at the end.

        Content that ends before :data:`_HELD_BYTES` is written in one transaction.
        """
        digest, size, held = hashlib.sha256(), 0, bytearray()
        name, n = f"new-{secrets.token_hex(8)}", 0
        try:
            async for chunk in _measured(chunks, max_bytes):
                digest.update(chunk)
                size += len(chunk)
                held += chunk
                while len(held) >= _HELD_BYTES:
                    await asyncio.to_thread(self._insert, name, n, bytes(held[:_HELD_BYTES]))
                    n += _HELD_BYTES // CHUNK_BYTES
                    del held[:_HELD_BYTES]
            blob = Blob(digest.hexdigest(), size)
            await asyncio.to_thread(self._finish, name, blob, n, bytes(held))
        except BaseException:
            if n:
                with contextlib.suppress(NotStored):  # the sweep finds what is left
                    await asyncio.to_thread(self._drop, name)
            raise
        return blob

    def _insert(self, name: str, first: int, content: bytes) -> None:
        with self._written() as tx:
            self._insert_in(tx, name, first, content)

    @staticmethod
    def _insert_in(tx: Transaction, name: str, first: int, content: bytes) -> None:
        for n, start in enumerate(range(0, len(content) or 1, CHUNK_BYTES), first):
            tx.do.one(
                "INSERT INTO blob_chunk (digest, n, body, stored_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (digest, n) DO UPDATE SET stored_at = excluded.stored_at",
                (name, n, content[start : start + CHUNK_BYTES], tx.now_us),
            )

    def _finish(self, name: str, blob: Blob, first: int, rest: bytes) -> None:
        """Write the rest, and give it all its digest for a name. Whoever puts the same content meanwhile waits for the other."""
        if not first:
            self._insert(blob.digest, 0, rest)
            return
        with self._written() as tx:
            if rest:
                self._insert_in(tx, name, first, rest)
            tx.do.rows("SELECT pg_advisory_xact_lock(hashtext(?))::text", (blob.digest,))
            known = tx.do.one("UPDATE blob_chunk SET stored_at = ? WHERE digest = ?", (tx.now_us, blob.digest))
            if known:
                tx.do.one("DELETE FROM blob_chunk WHERE digest = ?", (name,))
            else:
                tx.do.one(
                    "UPDATE blob_chunk SET digest = ?, stored_at = ? WHERE digest = ?", (blob.digest, tx.now_us, name)
                )

    def _drop(self, name: str) -> None:
        with self._written() as tx:
            tx.do.one("DELETE FROM blob_chunk WHERE digest = ?", (name,))

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
            if among is None:
                rows = tx.do.rows(f"{unnamed} RETURNING n", (tx.now_us - int(SWEPT_AFTER_S * 1_000_000),))
            else:
                old = tx.now_us - int(ERASED_AFTER_S * 1_000_000)
                rows = [row for one in among for row in tx.do.rows(f"{unnamed} AND digest = ? RETURNING n", (old, one))]
            return sum(n == 0 for (n,) in rows)


def _named(store: Store, digests: Iterable[str]) -> set[str]:
    with store.read() as connection:
        do = store.statements(connection)
        return {digest for digest in digests if do.rows("SELECT 1 FROM blob_ref WHERE digest = ? LIMIT 1", (digest,))}
