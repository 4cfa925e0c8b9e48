"""Text with a little markup (text/enriched, RFC 1896; text/richtext, RFC 1341), read as plain text. Pure and linear."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"(<<)|<(/?)([A-Za-z0-9-]{1,60})>|(\n+)|([^<\n]+|<)")


def text_of_enriched(source: str, *, richtext: bool = False) -> str:
    """Return the words: a single line break is a space, of several one is dropped; *richtext*: ``<nl>`` breaks a line."""
    done: list[str] = []
    hidden = verbatim = 0
    for doubled, closing, name, breaks, words in _TOKEN.findall(source):
        tag = name.lower()
        if tag in ("param", "comment"):
            hidden = max(0, hidden + (-1 if closing else 1))
        elif tag in ("nofill", "verbatim"):
            verbatim = max(0, verbatim + (-1 if closing else 1))
        elif hidden:
            continue
        elif tag:
            if (tag == "nl" and not closing) or (tag in ("paragraph", "p") and closing):
                done.append("\n")
            elif tag == "lt":
                done.append("<")
        elif doubled:
            done.append("<")
        elif breaks and not verbatim:
            done.append(" " if richtext or len(breaks) == 1 else breaks[1:])
        else:
            done.append(breaks or words)
    return "\n".join(line.strip() for line in "".join(done).split("\n")).strip("\n")
