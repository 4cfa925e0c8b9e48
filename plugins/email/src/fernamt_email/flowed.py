"""Text whose lines were broken for the way only (RFC 3676), made whole again. Pure."""

from __future__ import annotations

import re

_QUOTES = re.compile(r">*")
SIGNATURE = "-- "


def unflowed(text: str, *, del_sp: bool) -> str:
    r"""Return *text* with its paragraphs on one line each; the depth of quotes stays at the beginning of a line.

    Args:
        text: Lines end with ``\n``.
        del_sp: The space at the end of a line that goes on was put there for that, and goes.
    """
    done: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        depth = len(_QUOTES.match(line)[0]) if line.startswith(">") else 0  # type: ignore[index]  # it matches everything
        words = line[depth:].removeprefix(" ")
        goes_on = words.endswith(" ") and words != SIGNATURE
        kept = words[:-1] if goes_on and del_sp else words
        if depth == open_depth and words != SIGNATURE:
            done[-1] += kept
        else:
            done.append(f"{'>' * depth}{' ' if depth and kept else ''}{kept}")
        open_depth = depth if goes_on else -1
    return "\n".join(line if line == SIGNATURE else line.rstrip(" ") for line in done)
