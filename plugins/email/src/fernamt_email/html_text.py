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
MAX_TARGET: Final = 1_000

_PARAGRAPHS: Final = frozenset({"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"})
_LINES: Final = _PARAGRAPHS | {
    "address", "article", "aside", "body", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form",
    "header", "hr", "li", "main", "nav", "section", "tr",
}  # fmt: skip
_TELLING: Final = _LINES | {"a", "br", "img", "td", "th"}
"""Tags that say anything about the text; all others only colour it."""
_UNSEEN: Final = frozenset({"head", "noembed", "noframes", "script", "style", "template", "title"})
_HIDING = re.compile(
    r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden"
    r"|(?<![\w-])(?:max-height|opacity)\s*:\s*0(?:\.0+|px)?\s*(?:;|!|\Z)"
    r"|(?<![\w-])font-size\s*:\s*[01](?:px|pt)?\s*;(?=.{0,200}line-height\s*:\s*[01](?:px|pt)?\s*(?:;|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_CLOSE = re.compile(r"(?<![\w-])margin(?:-bottom)?\s*:\s*0(?![.\d])", re.IGNORECASE)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SPACES = re.compile(r"[ \t\r\n]+")
_FILLING = re.compile("[\u034f\u200b\ufeff\u00ad\u2007-\u200a]+")
"""Letters without a width: what newsletters put behind their first line, so that nothing else is shown beside the subject."""
_ONLY_FILLING = re.compile("[\u200c\u200d\xa0 ]*\\Z")
_SHOWN: Final = ("http:", "https:", "mailto:", "tel:", "ftp:")
_PLAIN_TARGET = re.compile(r"\A(?:https?://|mailto:|tel:|ftp://)?(?:www\.)?", re.IGNORECASE)
_MAILTO = re.compile(r"\Amailto:", re.IGNORECASE)
_SIGNATURES: Final = frozenset(
    {"gmail_signature", "signature", "x_signature", "ms-outlook-mobile-signature", "applemailsignature",
     "protonmail_signature_block", "moz-signature", "tutanota_signature"}
)  # fmt: skip
_QUOTING: Final = frozenset({"yahoo_quoted", "ydpyahoo_quoted", "tutanota_quote", "zmail_extra"})
"""Boxes that hold what was said before, without being a blockquote."""


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
        self._boxes: list[bool] = []
        """Of each open box, whether it is a quote."""
        self._close: list[bool] = []
        """Of each open paragraph, whether the next one follows without a gap."""
        self._mark = ""
        self._styles: dict[tuple[re.Pattern[str], str], bool] = {}
        """What is said by a style: a page has few of them, many times each."""
        self._link: tuple[str, int, int] | None = None
        """Where the open link leads, and where its words begin: lines before it, pieces of the line before it."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._unseen or tag in _UNSEEN:
            self._unseen += 1
            return
        if attributes and (
            "hidden" in attributes or ("style" in attributes and self._says(_HIDING, attributes["style"]))
        ):
            self._unseen += 1
            return
        if tag not in _TELLING:
            if attributes and tag == "span" and _is_named(attributes, _SIGNATURES):
                self._sign()
            return
        if tag in _LINES:
            self._start_line(tag, attributes)
        elif tag == "br":
            self._end_line(always=True)
        elif tag == "a":
            target = attributes.get("href", "").strip()
            self._link = (target, len(self._done), len(self._line)) if target.lower().startswith(_SHOWN) else None
        elif tag == "img":
            self._picture(attributes)
        elif self._line:
            self._line.append("  ")

    def _says(self, what: re.Pattern[str], style: str) -> bool:
        known = self._styles.get((what, style))
        if known is None:
            known = self._styles[what, style] = what.search(style) is not None
        return known

    def _is_close(self, attributes: Mapping[str, str]) -> bool:
        return "MsoNormal" in attributes.get("class", "") or self._says(_CLOSE, attributes.get("style", ""))

    def _start_line(self, tag: str, attributes: Mapping[str, str]) -> None:
        gap = tag in _PARAGRAPHS and not (self._lists and tag in ("ul", "ol"))
        if tag == "p":
            close = bool(attributes) and self._is_close(attributes)
            self._close.append(close)
            gap = not close
        self._end_line(gap=gap)
        if tag == "div":
            quoting = bool(attributes) and _is_named(attributes, _QUOTING)
            self._boxes.append(quoting)
            self._quotes += quoting
            if attributes and _is_named(attributes, _SIGNATURES):
                self._sign()
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._verbatim += 1
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._mark = self._next_mark()
        elif tag == "hr":
            self._write("---")
            self._end_line()

    def end(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= 1
            return
        if tag not in _TELLING:
            return
        if tag in _LINES:
            gap = tag in _PARAGRAPHS and not (tag in ("ul", "ol") and len(self._lists) > 1)
            if tag == "p" and self._close and self._close.pop():
                gap = False
            self._end_line(gap=gap)
            self._leave(tag)
        elif tag == "a":
            self._end_link()

    def _leave(self, tag: str) -> None:
        if tag == "div" and self._boxes:
            self._quotes -= self._boxes.pop()
        elif tag == "blockquote":
            self._quotes -= 1
        elif tag == "pre":
            self._verbatim -= 1
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._verbatim:
            if "\n" in data or "  " in data or "\t" in data or "\r" in data:
                data = _SPACES.sub(" ", data)
            written = self._line
            if data[:1] == " " and (not written or written[-1][-1:] == " "):
                data = data[1:]
            if data:
                written.append(data)
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
        if not self._verbatim and words[:1] == " " and (not self._line or self._line[-1].endswith(" ")):
            words = words[1:]
        if words:
            self._line.append(words)

    def _picture(self, attributes: Mapping[str, str]) -> None:
        """A picture is its description, as it is for who cannot see it; one that came with the mail is at least named."""
        shown = " ".join(attributes.get("alt", "").split())[:200]
        if shown and not any(letter.isalnum() for letter in shown):  # an emoji
            self._write(shown)
        elif shown:
            self._write(f"[{shown}]")
        elif attributes.get("src", "").lower().startswith("cid:"):
            self._write("[image]")

    def _end_link(self) -> None:
        """Write where a link leads, unless its words say it."""
        if self._link is None:
            return
        target, lines, pieces = self._link
        self._link = None
        words = "".join(self._line[pieces:] if len(self._done) == lines else self._line).strip()
        if not words and len(self._done) == lines:
            return
        if " " in words or _plain(words) != _plain(target):
            shown = _MAILTO.sub("", target)[:MAX_TARGET]
            self._write(f" <{shown}>" if words else f"<{shown}>")

    def _sign(self) -> None:
        """Write what stands above a signature in a plain mail, if it does not stand there."""
        self._end_line()
        if self._done and self._done[-1].strip() not in ("--", "---"):
            self._write("--")
            self._end_line()

    def _end_line(self, *, always: bool = False, gap: bool = False) -> None:
        """End the line if there is anything in it, or *always*; *gap*: a blank line before the next words."""
        words = ""
        if self._line:
            words = "".join(self._line).rstrip()
            self._line.clear()
            if not words.isascii():
                words = _FILLING.sub("", words)
                words = "" if _ONLY_FILLING.match(words) else words.replace("\xa0", " ").rstrip()
        if words or always:
            quotes = min(self._quotes, MAX_DEPTH) if self._quotes else 0
            if self._gap and self._done and words:
                self._done.append(("> " * min(quotes, self._quotes_above)).rstrip())
            if quotes or self._lists or self._mark:
                indent = "  " * min(len(self._lists), MAX_DEPTH)
                lead = indent.removesuffix("  ") + self._mark if self._mark else indent
                words = ("> " * quotes + lead + words).rstrip()
            self._done.append(words)
            self._gap, self._mark, self._quotes_above = False, "", quotes
        self._gap = self._gap or gap

    def _next_mark(self) -> str:
        if not self._lists or (number := self._lists[-1]) is None:
            return "* "
        self._lists[-1] = number + 1
        return f"{number + 1}. "


def _is_named(attributes: Mapping[str, str], names: frozenset[str]) -> bool:
    said = f"{attributes.get('class', '')} {attributes.get('id', '')}".lower()
    return not names.isdisjoint(said.split())


def _plain(target: str) -> str:
    bare = _PLAIN_TARGET.sub("", target.strip()).partition("?subject=")[0]
    return bare.rstrip("/").lower()
