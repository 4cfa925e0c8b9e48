"""Mails as they lie in files: single ones, mailbox files, Maildirs, folders of all of them, standard input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from attrs import field, frozen

MAX_BYTES: Final = 26_214_400
"""The largest mail that is read; what is larger is told, and not held in memory."""

_CHUNK: Final = 1 << 20
_SEPARATOR = re.compile(rb"From \S*.{0,200}\d{4}\b")
_QUOTED_SEPARATOR = re.compile(rb"^>(>*From )", re.MULTILINE)
_MAILS: Final = frozenset({".eml", ".emlx", ".mbox", ".mbx", ".mail", ".msg", ""})
_OUTLOOK: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@frozen(kw_only=True)
class Found:
    """A mail in a file, or why there is none."""

    source: str
    """The file, and in a file of many ``#`` and the number of the mail."""
    raw: bytes = field(default=b"", repr=False)
    fault: str = ""
    """Why it was not read; ``""``: it was."""


def mails_in(path: Path) -> Iterator[Found]:
    """Yield every mail in a file or folder, in the order of names. Raises ``OSError`` if *path* itself cannot be read."""
    if not path.is_dir():
        with path.open("rb") as file:
            yield from mails_of(file, str(path), single=path.suffix.lower() in (".eml", ".emlx"))
        return
    is_box = _is_maildir(path)
    for inner in sorted(path.iterdir()):
        # Beside the mails of a Maildir lie the server's own files, and mails that are still being written.
        if is_box and (inner.name == "tmp" or not inner.is_dir()):
            continue
        if inner.name.startswith(".") and not _is_maildir(inner):
            continue
        is_maildir = path.name in ("cur", "new") and inner.is_file()
        if inner.is_dir() or is_maildir or inner.suffix.lower() in _MAILS or inner.stem.isdigit():
            try:
                yield from mails_in(inner)
            except OSError as why:
                yield Found(source=str(inner), fault=f"it cannot be opened: {why.strerror}")


def _is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir()


def mails_of(file: BinaryIO, source: str, *, single: bool = False) -> Iterator[Found]:
    """Yield the mails in an open file; *single*: a first line ``From ...`` makes it no mailbox file."""
    first = file.readline(_CHUNK)
    if first.startswith(b"From ") and _SEPARATOR.match(first) and not single:
        yield from _mailbox(file, source)
        return
    raw = first + file.read(MAX_BYTES + 1)
    if first.strip().isdigit() and len(first) < 20:  # Apple's .emlx: the length, the mail, a property list
        raw = raw[len(first) : len(first) + int(first)]
    if raw.startswith(_OUTLOOK):
        yield Found(source=source, fault="it is in Outlook's own format: save it there as .eml")
    else:
        yield _checked(source, raw)


def _mailbox(file: BinaryIO, source: str) -> Iterator[Found]:
    """Yield the mails of a mailbox file; a separator counts at the beginning of a line behind a blank one."""
    number = 0
    lines: list[bytes] = []
    size = 0
    after_blank = False
    for line in _lines(file):
        if after_blank and line.startswith(b"From ") and _SEPARATOR.match(line):
            number += 1
            yield _numbered(source, number, lines, size)
            lines, size = [], 0
        else:
            size += len(line)
            if size <= MAX_BYTES:
                lines.append(line)
        after_blank = line in (b"\n", b"\r\n")
    yield _numbered(source, number + 1, lines, size)


def _lines(file: BinaryIO) -> Iterable[bytes]:
    return iter(lambda: file.readline(_CHUNK), b"")


def _numbered(source: str, number: int, lines: list[bytes], size: int) -> Found:
    name = f"{source}#{number}"
    if size > MAX_BYTES:
        return Found(source=name, fault=_too_large(size))
    return _checked(name, _QUOTED_SEPARATOR.sub(rb"\1", b"".join(lines)))


def _checked(source: str, raw: bytes) -> Found:
    if len(raw) > MAX_BYTES:
        return Found(source=source, fault=_too_large(len(raw)))
    if not raw.strip():
        return Found(source=source, fault="it is empty")
    return Found(source=source, raw=raw)


def _too_large(size: int) -> str:
    return f"it is larger than {MAX_BYTES // 1_048_576} MB" if size > MAX_BYTES else ""
