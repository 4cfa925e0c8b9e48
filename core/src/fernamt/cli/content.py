"""Content on its way to a person: what a message was read from, and its attachments."""

from __future__ import annotations

import asyncio
import codecs
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fernamt.cli.outcome import Failure
from fernamt.cli.screen import is_terminal, say
from fernamt.cli.words import counted, harmless, one_line, size
from fernamt.model import Attachment, Blob

if TYPE_CHECKING:
    from fernamt._store.engine import Store
    from fernamt._store.views.conversation import ConversationView

MAX_FILE_BYTES = 100 * 1_048_576


def write_raw(store: Store, contents: Sequence[bytes | Blob], what: str) -> None:
    """Write bytes to stdout as they are. On a terminal, where they could do anything, as harmless text."""
    if not contents:
        raise Failure(f"Of {what} no bytes are kept: only what comes in has any.")
    if is_terminal(sys.stdout):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for content in contents:
            pour(store, content, lambda chunk: _wrote(sys.stdout.write(harmless(decoder.decode(chunk)))))
        say("\nOn a terminal control characters are replaced. For the bytes themselves, write them to a file with >.")
    else:
        for content in contents:
            pour(store, content, lambda chunk: _wrote(sys.stdout.buffer.write(chunk)))
    sys.stdout.flush()


def save(store: Store, view: ConversationView, number: int, n: int, name: str, path: Path) -> None:
    """Write an attachment to a file that is not there yet."""
    entry = next((entry for entry in view.entries if (entry.conversation, entry.n) == (number, n)), None)
    if entry is None:
        last = counted(sum(entry.conversation == number for entry in view.entries), "entry", "entries")
        raise Failure(f"There is no entry {n} in conversation {number}: it has {last}.")
    found = next((file for file in entry.attachments if name in (file.name, one_line(file.name))), None)
    if found is None:
        names = ", ".join(one_line(file.name) for file in entry.attachments)
        raise Failure(f"Entry {n} has no file {name!r}. {f'It has: {names}' if names else 'It has none.'}")
    if not isinstance(found.content, Blob):
        raise Failure(
            f"{name!r} is still at the provider. fernamt show {view.number} says whether it is being fetched."
        )
    try:
        file = path.open("xb")
    except FileExistsError:
        raise Failure(f"{path} is there already: choose another name.") from None
    try:
        with file:
            pour(store, found.content, lambda chunk: _wrote(file.write(chunk)))
    except BaseException:
        path.unlink()  # half a file looks like a whole one
        raise
    say(f"{path}: {size(found.content.size)}")


def put(store: Store, path: Path) -> Attachment:
    """Bring a file into the blob store and return it as an attachment."""
    import mimetypes

    from fernamt._store.blobs import CHUNK_BYTES, open_blobs

    if not path.is_file():
        raise Failure(f"There is no file {path} to attach.")

    async def stored() -> Blob:
        async def chunks() -> AsyncIterator[bytes]:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        return await open_blobs(store).put(chunks(), max_bytes=MAX_FILE_BYTES)

    try:
        blob = asyncio.run(stored())
    except ValueError:
        raise Failure(f"{path} is larger than {size(MAX_FILE_BYTES)}: send a link instead.") from None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Attachment(name=path.name, media_type=media_type, content=blob)


def _wrote(_count: int) -> None:
    """Forget how much was written: these streams write all of it."""


def pour(store: Store, content: bytes | Blob, take: Callable[[bytes], None]) -> None:
    """Give content piece by piece to *take*; raises ``Failure`` if it was erased."""
    if isinstance(content, bytes):
        take(content)
        return

    from fernamt._store.blobs import open_blobs

    async def poured() -> None:
        async for chunk in open_blobs(store).open(content):
            take(chunk)

    try:
        asyncio.run(poured())
    except FileNotFoundError:
        raise Failure("The bytes are not in the store any more: they were erased.") from None
