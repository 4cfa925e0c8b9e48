"""The corpus: reads the files in ``corpus/``, whose format stands in the README beside them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

HOME = Path(__file__).parent / "corpus"
_OPTIONS = re.compile(r"\s*\{([\w-]+)\}")
_BYTE = re.compile(r"\\x([0-9A-Fa-f]{2})")
_LINE_ENDS = {"lf": b"\n", "cr": b"\r"}


@frozen
class Case:
    """A mail, and what a person reads in it."""

    topic: str
    name: str
    raw: bytes = field(repr=False)
    reads: dict[str, Any]


def cases() -> Iterator[Case]:
    """Yield every case of every topic, in the order written."""
    for file in sorted(HOME.glob("*.mails")):
        blocks = re.split(r"(?m)^@@ (.*)\n", file.read_text())[1:]
        for title, mail, marker, reads in zip(blocks[0::4], blocks[1::4], blocks[2::4], blocks[3::4], strict=True):
            if marker != "reads":
                raise ValueError(f"{file.name}: {title!r} has no '@@ reads' below its mail")
            options = _OPTIONS.findall(title)
            try:
                yield Case(file.stem, _OPTIONS.sub("", title), _exact(mail, options), tomllib.loads(reads))
            except (ValueError, LookupError) as why:
                raise ValueError(f"{file.name}: {title!r}: {why}") from why


def _exact(mail: str, options: list[str]) -> bytes:
    end = b"\r\n"
    charset = "utf-8"
    for option in options:
        if option in _LINE_ENDS:
            end = _LINE_ENDS[option]
        elif option != "cut":
            charset = option
    pieces = _BYTE.split(mail)
    done = bytearray()
    for n, piece in enumerate(pieces):
        done += bytes.fromhex(piece) if n % 2 else piece.encode(charset)
    raw = bytes(done).replace(b"\n", end)
    return raw.removesuffix(end) if "cut" in options else raw
