"""Text whose lines were broken for the way only (RFC 3676), made whole again. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_QUOTES = re.compile(r">*")
MANY: Final = 4_096
"""Pieces of a paragraph that are kept apart: each takes many times its letters."""
SIGNATURE: Final = "-- "


def unflowed(text: str, *, del_sp: bool) -> str:
    r"""Return *text* with its paragraphs on one line each; the depth of quotes stays at the beginning of a line.

    Args:
        text: Lines end with ``\n``.
        del_sp: The space at the end of a line that goes on was put there for that, and goes.
    """
    done: list[str] = []
    paragraph: list[str] = []
    open_depth = -1
    for line in _lines(text):
        depth = len(_QUOTES.match(line)[0]) if line.startswith(">") else 0  # type: ignore[index]  # it matches everything
        words = line[depth:].removeprefix(" ")
        goes_on = words.endswith(" ") and words != SIGNATURE
        kept = words[:-1] if goes_on and del_sp else words
        if depth != open_depth or words == SIGNATURE:
            _close(paragraph, done)
            paragraph.append(f"{'>' * depth}{' ' if depth and kept else ''}")
        paragraph.append(kept)
        if len(paragraph) > MANY:
            paragraph[:] = ["".join(paragraph)]
        open_depth = depth if goes_on else -1
    _close(paragraph, done)
    return "\n".join(done)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines one by one: all of a long text at once take many times its size."""
    at = 0
    while (end := text.find("\n", at)) >= 0:
        yield text[at:end]
        at = end + 1
    yield text[at:]


def _close(paragraph: list[str], done: list[str]) -> None:
    if paragraph:
        line = "".join(paragraph)
        done.append(line if line == SIGNATURE else line.rstrip(" "))
        paragraph.clear()
