"""Which lines of a mail its reader has read before: quoted words and signatures, found as line ranges. Pure and linear.

Nothing is cut off. What is forwarded is no quote: it is what the mail is about. Where it is not certain, a line counts as new.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice, pairwise
from typing import Final

from fernamt import Lines
from fernamt_email.quote_words import (
    ATTRIBUTION,
    ATTRIBUTION_START,
    FORWARDED,
    FORWARDING_SUBJECT,
    HEADER_KEYS,
    INLINE,
    MOBILE,
    ORIGINAL,
    POSTSCRIPT,
    RULE,
    SIGNATURE,
)

HEAD_LINES: Final = 4
"""So many lines may a head such as "On ... Ann wrote:" have been folded to."""
BLOCK_LINES: Final = 14
"""So many lines may the header fields above an unmarked quote take."""
MAX_SIGNATURE: Final = 25
"""A signature of more lines is none."""
MAX_BARE_SIGNATURE: Final = 10
"""The same where the dashes have lost their blank: they might stand between two thoughts."""
MAX_HEADS: Final = 100
"""So many lines are tried as heads, and so many as the beginning of header fields; no mail answers more."""
MAX_ABOVE: Final = 4_000
"""So many characters above the first quote may say how it is answered."""
MAX_CHARACTERS: Final = 200_000
"""So much of a text is looked at: nobody writes more."""

# Looked for in the whole text at once, which is many times faster than line by line. Lines are told by the break before them.
_STARTING = re.compile(r"\n(?:[ \t]?(?:>|&gt;|\|[ \t]?>)|[ \t*>]{0,5}[-_=*\u2500\u2014\u2013]{2})")
_SURE_SIGNATURE = re.compile("\n-- \n")
_COLON = re.compile("[:\uff1a]")
_PLAIN_COLON = re.compile(":")
"""The same where no other is: a single letter is found much faster than one of two."""
_TO_THE_END = re.compile("[ \t\xa0*\u200b\ufeff>]*\n")
_KEY_LENGTH: Final = 40

_WHOLE_BLOCK: Final = frozenset({"from", "sent", "to", "subject"})
_TIME = re.compile(r"\d{1,2}[.:h]\d{2}(?!\.)")
_STAMP = re.compile(r"\d{1,2}[.:h]\d{2}|\d{4}|@|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_BREAK = re.compile("\n")
_BLANKS = " \t\r\xa0\u200b\ufeff"


def folded(text: str, subject: str = "") -> tuple[Lines, ...]:
    r"""Return what to fold of a text, in its order, without any new words in it.

    Args:
        text: Its lines end with ``\n``.
        subject: It tells a forwarded mail from an answer where nothing else does.
    """
    text = text[:MAX_CHARACTERS]
    framed = f"\n{text}\n"
    fields, ends = _colons(framed)
    if not fields and not ends and _STARTING.search(framed) is None:
        last = framed.rstrip().rpartition("\n")[2]
        if not MOBILE.match(last.strip(_BLANKS)):
            return ()
    breaks = array("l", (found.start() for found in _BREAK.finditer(framed)))
    page = _Page(
        [framed[before + 1 : end].strip(_BLANKS) for before, end in pairwise(breaks)],
        marks=array("l", (bisect_left(breaks, found.start()) for found in _STARTING.finditer(framed))),
        heads=array("l", (bisect_left(breaks, at) - 1 for at in ends)),
        fields=[bisect_left(breaks, at) for at in fields],
        signatures=[bisect_left(breaks, found.start()) for found in _SURE_SIGNATURE.finditer(framed)],
    )
    return page.folded(subject)


def _colons(framed: str) -> tuple[array[int], array[int]]:
    """Return where lines begin with the name of a header field, and where the last letter of a line is a colon."""
    fields, ends = array("l"), array("l")
    colon = _COLON if "\uff1a" in framed else _PLAIN_COLON
    for found in colon.finditer(framed):
        at = found.start()
        if _TO_THE_END.match(framed, at + 1):
            ends.append(at)
        start = framed.rfind("\n", max(0, at - _KEY_LENGTH), at)
        if start >= 0 and _key(framed[start + 1 : at]):
            fields.append(start)
    return fields, ends


def _key(written: str) -> str:
    return HEADER_KEYS.get(written.strip("*> \t\xa0").lower(), "")


class _Page:
    """A text by its lines, and those of them at which it pays to look."""

    def __init__(
        self,
        lines: Sequence[str],
        *,
        marks: Sequence[int],
        heads: Sequence[int],
        fields: Iterable[int],
        signatures: Iterable[int],
    ) -> None:
        self._lines = lines
        self._marks = marks
        self._heads = {start: end for end in heads[:MAX_HEADS] if (start := self._head_start(end)) >= 0}
        """Lines at which a head begins, and the line behind it."""
        self._heads = {start: end + 1 for start, end in self._heads.items()}
        self._fields = set(fields)
        self._sure = set(signatures)
        self._ends = heads
        self._end = len(lines)
        rules = (n for n in marks if RULE.match(lines[n]) or ORIGINAL.match(lines[n]))
        tried = sorted({*islice(rules, MAX_HEADS), *sorted(self._fields)[:MAX_HEADS]})
        self._blocks = [n for n in tried if self._block_below(n)]
        """Lines at which header fields begin, or a rule above them."""

    def folded(self, subject: str) -> tuple[Lines, ...]:
        quotes = self._quotes(self._forwarded_from(subject))
        if quotes and INLINE.search("\n".join(self._lines[: min(quotes[0].first, MAX_HEADS)])[:MAX_ABOVE]):
            quotes = []  # the answers stand within them, and nothing but a colour may tell which lines these are
        found = sorted([*quotes, *self._signatures(quotes)], key=lambda one: one.first)
        return tuple(found) if self._has_words_beside(found) else ()

    def _has_words_beside(self, found: Sequence[Lines]) -> bool:
        """Whether anything is left: whoever sends a mail says something, so if all of it looks old, some of it is new."""
        at = 0
        for one in found:
            if any(self._lines[at : one.first]):
                return True
            at = one.end
        return any(self._lines[at:])

    def _forwarded_from(self, subject: str) -> int:
        """Return the line at which a forwarded mail begins; the end, if there is none."""
        forwarding = FORWARDING_SUBJECT.match(subject) is not None
        block = next((n for n in self._blocks if not _is_marked(self._lines[n])), self._end)
        for n in merge(self._marks, self._ends):
            if n >= block:
                break
            if FORWARDED.match(self._lines[n]) or self._is_marked_forward(n):
                return n
        if block < self._end and FORWARDED.match(self._lines[block]):
            return block
        return block if forwarding else self._end

    def _is_marked_forward(self, n: int) -> bool:
        """Whether marked lines begin here that are no answer's quote but a forwarded mail."""
        line = self._lines[n]
        if not line.startswith(">") or FORWARDED.match(line[1:].strip()) is None:
            return False
        above = self._last_words(0, n)
        return above == 0 or not (_is_marked(self._lines[above - 1]) or above in self._heads.values())

    def _quotes(self, end: int) -> list[Lines]:
        found: list[Lines] = []
        after = 0
        for n in merge(self._marks, sorted(self._heads), self._blocks):
            if n < after or n >= end:
                continue
            stop = self._quote_end(n, end)
            if stop > n:
                found.append(Lines(n, stop))
                after = stop
        return found

    def _quote_end(self, n: int, end: int) -> int:
        """Return the line behind the quote that begins at *n*; *n* itself, if none does."""
        if _is_marked(self._lines[n]):
            return self._marked_end(n, end)
        if n in self._heads:
            below = self._words(self._heads[n], end)
            if below >= end:
                return n
            if _is_marked(self._lines[below]):
                return self._marked_end(below, end)
            return self._rest(n, end) if self._is_last_quote(n, end) else n
        if n in self._blocks:
            return self._rest(n, end)
        if ORIGINAL.match(self._lines[n]) and self._words(n + 1, end) < end:
            return self._rest(n, end)
        return n

    def _rest(self, n: int, end: int) -> int:
        """Programs that do not mark what they quote put it at the end."""
        return max(n + 1, self._last_words(n, end))

    def _is_last_quote(self, n: int, end: int) -> bool:
        """Whether all below a head is quoted though nothing is marked: the head is certain, and no marks come later."""
        head = " ".join(self._lines[n : self._heads[n]])
        later = bisect_left(self._marks, self._heads[n])
        marked = any(_is_marked(self._lines[at]) for at in self._marks[later : later + 50] if at < end)
        return "@" in head and len(_STAMP.findall(head)) >= 2 and not marked

    def _head_start(self, end: int) -> int:
        """Return the line at which the head begins that ends with line *end*, -1 if it is the end of none."""
        head = ""
        nearest = -1
        for n in range(end, max(end - HEAD_LINES, -1), -1):
            line = self._lines[n]
            if not line or _is_marked(line) or len(head) > 500:
                break
            head = f"{line} {head}" if head else line
            if ATTRIBUTION.match(head):
                if ATTRIBUTION_START.match(line):
                    return n
                nearest = n if nearest < 0 else nearest
        if nearest >= 0:
            return nearest
        return self._unknown_head_start(end)

    def _unknown_head_start(self, end: int) -> int:
        """A head in a language that we do not know: it names a time and a person, and marked lines come right below."""
        below = self._words(end + 1, min(end + 3, len(self._lines)))
        if below >= min(end + 3, len(self._lines)) or not _is_marked(self._lines[below]):
            return -1
        if _is_stamped(self._lines[end]):
            return end
        two = " ".join(self._lines[max(0, end - 1) : end + 1])
        return end - 1 if end and self._lines[end - 1] and _is_stamped(two) else -1

    def _marked_end(self, n: int, end: int) -> int:
        """Return the line behind the marked lines from *n* on; a blank one and what was broken on the way lie among them."""
        lines, last = self._lines, n
        while n < end:
            line = lines[n]
            if _is_marked(line):
                last = n
            elif (line and not self._is_broken_rest(n, end)) or n - last > 1:
                break
            n += 1
        return last + 1

    def _is_broken_rest(self, n: int, end: int) -> bool:
        """A quoted line that was too long leaves a word or two without a mark between marked lines."""
        lines = self._lines
        if n + 1 >= end or not (_is_marked(lines[n - 1]) and _is_marked(lines[n + 1])):
            return False
        return len(lines[n]) < 30 and len(lines[n - 1]) > 60 and lines[n + 1].lstrip("> \t")[:1].islower()

    def _block_below(self, n: int) -> bool:
        """Return whether header fields (From, Sent, To, Subject) begin at *n*, or below a rule there."""
        lines, end = self._lines, len(self._lines)
        rules = 0
        while n < end and n not in self._fields:
            if not (RULE.match(lines[n]) or ORIGINAL.match(lines[n])) or rules > 1:
                return False
            n, rules = self._words(n + 1, end), rules + 1
        kinds: set[str] = set()
        blanks = 0
        for at in range(n, min(n + BLOCK_LINES, end)):
            if at in self._fields:
                kinds.add(_key(lines[at].partition(":")[0].partition("\uff1a")[0].lstrip("> ")))
                blanks = 0
            elif not lines[at]:
                blanks += 1
            if blanks > 1:
                break
        return kinds.issuperset(_WHOLE_BLOCK)  # a form that a shop fills in names fewer of them

    def _signatures(self, quotes: Sequence[Lines]) -> list[Lines]:
        """Return the signatures in the words around the quotes: from ``-- `` on, or the line that a telephone adds."""
        found: list[Lines] = []
        begin = 0
        for quote in [*quotes, Lines(self._end, self._end)]:
            last = self._last_words(begin, quote.first)
            first = self._signature_start(begin, last)
            last = next((n for n in range(first, last) if POSTSCRIPT.match(self._lines[n])), last)
            if first < last:
                found.append(Lines(first, self._last_words(first, last), "signature"))
            begin = quote.end
        return found

    def _signature_start(self, begin: int, last: int) -> int:
        for n in self._marks[bisect_left(self._marks, begin) :]:
            if n >= last:
                break
            if self._lines[n] == SIGNATURE and self._is_signature(n, last):
                return n
        first = last
        for n in range(last - 1, max(begin, last - 4) - 1, -1):
            if MOBILE.match(self._lines[n]):
                first = n
            elif self._lines[n]:
                break
        return first

    def _is_signature(self, n: int, last: int) -> bool:
        if n in self._sure:
            return 1 < last - n <= MAX_SIGNATURE
        asks = any(line.endswith("?") for line in self._lines[n:last])
        return 1 < last - n <= MAX_BARE_SIGNATURE and not asks

    def _words(self, n: int, end: int) -> int:
        """Return the first line from *n* on that is not blank, *end* if all are."""
        while n < end and not self._lines[n]:
            n += 1
        return n

    def _last_words(self, begin: int, end: int) -> int:
        """Return the line behind the last one that is not blank."""
        while end > begin and not self._lines[end - 1]:
            end -= 1
        return end


def _is_stamped(head: str) -> bool:
    return len(_STAMP.findall(head)) >= 2 and ("@" in head or _TIME.search(head) is not None)


def _is_marked(line: str) -> bool:
    return line.startswith((">", "&gt;", "| >", "|>"))
