"""HTML as the plain text that stands for it, in time and memory that grow with its length and with nothing else. Pure.

Layout engines, which draw tables cell by cell, need minutes and gigabytes for a mail made for that: here a table is rows
of cells, two blanks between them, and everything is written once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lxml.etree import LxmlError  # type: ignore[import-untyped]  # the library ships no types
from lxml.html import HTMLParser  # type: ignore[import-untyped]  # as above

MAX_CHARACTERS: Final = 5_000_000
"""So much of a page is read, at about a second for each two million; no person reads on there."""
MAX_DEPTH: Final = 8
"""Levels of quotes and lists that are shown; deeper ones look like the last."""

_PARAGRAPHS: Final = frozenset({"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"})
_LINES: Final = _PARAGRAPHS | {
    "address", "article", "aside", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form",
    "header", "hr", "li", "main", "nav", "section", "tr",
}  # fmt: skip
_UNSEEN: Final = frozenset({"head", "noembed", "noframes", "script", "style", "template", "title"})
_HIDING = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACES = re.compile(r"[ \t\r\n]+")


def text_of_html(source: str) -> str:
    """Return the words of a page, line by line; without words ``""``. Broken HTML is read as browsers would."""
    clean = _NO_TEXT.sub("", source[:MAX_CHARACTERS])
    if not clean.strip():
        return ""
    page = _Page()
    parser = HTMLParser(encoding="utf-8", target=page, huge_tree=True)  # else all below 256 levels is silently lost
    try:
        parser.feed(clean.encode("utf-8", "replace"))
        parser.close()
    except LxmlError:  # there is no element in it
        pass
    return page.text()


class _Page:
    """Told of tags and words as they come."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._line: list[str] = []
        self._gap = False
        self._quotes_above = 0
        self._unseen = 0
        self._verbatim = 0
        self._quotes = 0
        self._lists: list[int | None] = []
        self._mark = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._unseen or tag in _UNSEEN or _HIDING.search(attributes.get("style", "")):
            self._unseen += 1
            return
        if tag in _LINES:
            self._end_line(gap=tag in _PARAGRAPHS and not (self._lists and tag in ("ul", "ol")))
        if tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._verbatim += 1
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._next_mark()
        elif tag == "br":
            self._end_line(always=True)
        elif tag == "hr":
            self._write("---")
            self._end_line()
        elif tag in ("td", "th") and self._line:
            self._line.append("  ")

    def end(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= 1
            return
        if tag in _LINES:
            self._end_line(gap=tag in _PARAGRAPHS and not (tag in ("ul", "ol") and len(self._lists) > 1))
        if tag == "blockquote":
            self._quotes -= 1
        elif tag == "pre":
            self._verbatim -= 1
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._verbatim:
            self._write(_SPACES.sub(" ", data))
            return
        first, *more = data.replace("\r\n", "\n").split("\n")
        self._write(first)
        for line in more:
            self._end_line(always=True)
            self._write(line)

    def close(self) -> None:
        self._end_line()

    def text(self) -> str:
        """Return what was written."""
        self._end_line()
        return "\n".join(self._done).strip("\n")

    def _write(self, words: str) -> None:
        if not self._verbatim and (not self._line or self._line[-1].endswith(" ")):
            words = words.removeprefix(" ")
        if words:
            self._line.append(words)

    def _end_line(self, *, always: bool = False, gap: bool = False) -> None:
        """End the line if there is anything in it, or *always*; *gap*: a blank line before the next words."""
        words = "".join(self._line).rstrip()
        self._line.clear()
        if words or always:
            quotes = min(self._quotes, MAX_DEPTH)
            if self._gap and self._done and words:
                self._done.append(("> " * min(quotes, self._quotes_above)).rstrip())
            indent = "  " * min(len(self._lists), MAX_DEPTH)
            lead = indent.removesuffix("  ") + self._mark if self._mark else indent
            self._done.append(("> " * quotes + lead + words).rstrip())
            self._gap, self._mark, self._quotes_above = False, "", quotes
        self._gap = self._gap or gap

    def _next_mark(self) -> str:
        if not self._lists or (number := self._lists[-1]) is None:
            return "* "
        self._lists[-1] = number + 1
        return f"{number + 1}. "
