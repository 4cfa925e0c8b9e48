"""`fernamt export`: everything that is kept of a person, as files."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, Failure

if TYPE_CHECKING:
    from fernamt._runtime.duties import Collected
    from fernamt._store.engine import Store
    from fernamt._store.views.conversation import EntryView
    from fernamt._store.views.people import Person

_SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_NAME_MAX: Final = 80


def export(customer: str, /, *, to: Path, json: Json = False, common: Common = COMMON) -> int:
    """Write everything that is kept of a person into a folder or a ZIP file.

    customer.json says who they are; conversations/ has theirs, participations/ what they wrote or were sent in those of
    others, attachments/ and raw/ the files and the bytes as they came, plugins/ what plugins keep. All JSON is UTF-8. If a
    plugin cannot give what it keeps, customer.json names it, and the exit code is 1.

    Example: fernamt export email:ann@example.org --to ann.zip

    Args:
        customer: The customer's number, or one of the addresses; fernamt show tells both.
        to: A folder that is not there yet, or a file that ends in .zip.
        json: Print a JSON object with the keys to, customer, conversations, participations, entries, files and failed.
        common: What every command takes.
    """
    from fernamt._store.views.people import person_of
    from fernamt.cli.access import customer_number, opened
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import counted

    if to.exists():
        raise Failure(f"{to} is there already: choose another name.")
    with opened(common) as store:
        number = customer_number(store, customer)
        with store.read() as connection:
            person = person_of(connection, number)
        collected = _collected(common, store, person)
        with _target(to) as sink:
            told = _Export(store, person, sink).write(collected)
    if json:
        show_json({"to": str(to), "customer": person.number, **told, "failed": dict(collected.failed)})
    else:
        entries, files = counted(told["entries"], "entry", "entries"), counted(told["files"], "file")
        show(f"{to}: customer {person.number}, {entries}, {files}")
    for name, why in collected.failed.items():
        say(f"Plugin {name} is missing from it: {why}")
    return FAILED if collected.failed else DONE


def _collected(common: Common, store: Store, person: Person) -> Collected:
    import asyncio

    from fernamt._runtime import log
    from fernamt._runtime.duties import collect
    from fernamt._runtime.plan import plan
    from fernamt.hookspecs import Subject
    from fernamt.model import CustomerId
    from fernamt.settings import read_settings

    settings = read_settings(common.config)
    log.configure(settings.log)
    subject = Subject(customer=CustomerId(str(person.number)), addresses=person.addresses)
    return asyncio.run(collect(settings, store, plan(settings), subject))


class _Sink(Protocol):
    """Where files go."""

    def file(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]: ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def file(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        path = self._path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        return path.open("wb")


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def file(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        return self._archive.open(name, "w", force_zip64=True)


@contextlib.contextmanager
def _target(path: Path) -> Iterator[_Sink]:
    """Give a place to write to that has its name only when all of it is there."""
    part = path.with_name(f"{path.name}.part")
    try:
        if path.suffix.lower() == ".zip":
            part.touch(mode=0o600)
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                yield _Zip(archive)
        else:
            part.mkdir(mode=0o700)
            yield _Folder(part)
        part.rename(path)
    except BaseException:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
        raise


class _Export:
    """One export under way."""

    def __init__(self, store: Store, person: Person, sink: _Sink) -> None:
        self._store = store
        self._person = person
        self._sink = sink
        self._entries = self._files = 0

    def write(self, collected: Collected) -> dict[str, Any]:
        """Write all of it and return how much that was."""
        from fernamt._store.views.export import kept_of
        from fernamt.cli.screen import plain

        with self._store.read() as connection:
            kept = kept_of(connection, self._person)
        for folder, numbers in (("conversations", kept.conversations), ("participations", kept.participations)):
            for number in numbers:
                self._conversation(folder, number)
        for name, given in collected.given.items():
            self._json(f"plugins/{name}.json", given)
        now = self._store.clock.now()
        self._json("customer.json", {**plain(kept), "failed_plugins": dict(collected.failed), "exported_at": now})
        return {
            "conversations": list(kept.conversations),
            "participations": list(kept.participations),
            "entries": self._entries,
            "files": self._files,
        }

    def _conversation(self, folder: str, number: int) -> None:
        from fernamt._store.views.export import entries_for, head_of, shared_raws

        whole = folder == "conversations"
        with self._store.read() as connection:
            head = head_of(connection, number) if whole else {"id": number}
            shared = shared_raws(connection, number, self._person) if whole else set()
        with self._sink.file(f"{folder}/{number}.json") as file:
            file.write(self._dumped(head)[:-1] + b',"entries":[')
            for at, entry in enumerate(entries_for(self._store, number, self._person, whole=whole)):
                told = self._told(entry, self._names(entry, shared, whole=whole))
                file.write((b",\n" if at else b"\n") + self._dumped(told))
                self._entries += 1
            file.write(b"\n]}\n")
        # Read once more: a ZIP file takes one file after the other, and no more than a page is to be in memory.
        for entry in entries_for(self._store, number, self._person, whole=whole):
            self._save(entry, self._names(entry, shared, whole=whole))

    @staticmethod
    def _names(entry: EntryView, shared: Collection[int], *, whole: bool) -> list[str]:
        """Return under which names the raw bytes and the attachments of an entry are written; empty: they are not.

        Raw bytes from which others' messages were read, too, are not theirs to have.
        """
        from fernamt.model import Blob

        place = f"{entry.conversation}-{entry.n}"
        names = [f"raw/{place}" if entry.has_raw and whole and entry.n not in shared else ""]
        for at, one in enumerate(entry.attachments, 1):
            safe = "".join(letter if letter in _SAFE else "_" for letter in one.name)[-_NAME_MAX:]
            names.append(f"attachments/{place}-{at}-{safe}" if isinstance(one.content, Blob) else "")
        return names

    @staticmethod
    def _told(entry: EntryView, names: list[str]) -> Mapping[str, Any]:
        from fernamt.cli.screen import plain

        told: dict[str, Any] = plain(entry)
        told["raw"] = names[0] or None
        for one, name in zip(told["attachments"], names[1:], strict=True):
            one["file"] = name or None
        return told

    def _save(self, entry: EntryView, names: list[str]) -> None:
        from fernamt._store.views.raw import raw_of_entry

        if names[0]:
            with self._store.read() as connection:
                raws = raw_of_entry(connection, entry.conversation, entry.n)
            self._content(names[0], *raws)
        for one, name in zip(entry.attachments, names[1:], strict=True):
            if name:
                self._content(name, one.content)

    def _content(self, name: str, *contents: Any) -> None:
        from fernamt.cli.content import pour

        with self._sink.file(name) as file:
            for content in contents:
                pour(self._store, content, _written_to(file))
        self._files += 1

    def _json(self, name: str, value: object) -> None:
        with self._sink.file(name) as file:
            file.write(self._dumped(value) + b"\n")

    @staticmethod
    def _dumped(value: object) -> bytes:
        import orjson

        from fernamt.cli.screen import plain

        return orjson.dumps(plain(value))


def _written_to(file: IO[bytes]) -> Callable[[bytes], None]:
    def take(chunk: bytes) -> None:
        file.write(chunk)

    return take
