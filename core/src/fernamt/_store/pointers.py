"""Where links lead: what was merged goes on in its target, the rest of what was split goes on apart. Pure, but for one read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from attrs import frozen


def _near(table: str, kinds: str) -> str:
    """Return the statement for all links of those that are connected with the given ones, however far, in either direction."""
    of_kind = f"l.undone_at IS NULL AND l.kind {kinds}"
    return (
        f"WITH RECURSIVE near (id) AS (SELECT id FROM {table} WHERE id IN {{}}"
        " UNION SELECT CASE WHEN l.source = near.id THEN l.target ELSE l.source END"
        f" FROM near JOIN link l ON (l.source = near.id OR l.target = near.id) AND {of_kind})"
        " SELECT l.id, l.kind, l.source, l.target, coalesce(l.n, 0), coalesce(l.last_n, 0)"
        f" FROM near JOIN link l ON l.source = near.id AND {of_kind} ORDER BY l.id"
    )


NEAR_CONVERSATIONS: Final = _near("conversation", "<> 'customer'")
NEAR_CUSTOMERS: Final = _near("customer", "= 'customer'")


@frozen
class Link:
    """A pointer that holds: a row of ``link``."""

    id: int
    kind: str
    source: int
    target: int
    n: int
    last_n: int


@frozen
class Span:
    """A run of entries of one conversation; *last* is ``None`` where it goes on."""

    conversation: int
    first: int
    last: int | None

    @property
    def end(self) -> int:
        """*last*, for a comparison."""
        return 2**31 - 1 if self.last is None else self.last


class Pointers:
    """The links of some conversations, or of some customers. However they were tied, no question goes round for ever."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._merged: dict[int, Link] = {}
        self._splits: defaultdict[int, list[Link]] = defaultdict(list)
        for link in links:
            if link.kind == "split":
                self._splits[link.source].append(link)
            else:
                self._merged[link.source] = link

    def merged(self, number: int) -> Link | None:
        """Return what says that this one goes on in another."""
        return self._merged.get(number)

    def follow(self, number: int, n: int | None = 0) -> int:
        """Return where *number* goes on now.

        Args:
            number: As it was written down once.
            n: The entry that somebody refers to; 0: none, it is meant itself; ``None``: wherever the rest of it goes on.
        """
        seen: set[int] = set()
        while number not in seen:
            seen.add(number)
            if n != 0 and (split := self._split(number, n)) is not None:
                number, n = split.target, None
            elif number in self._merged:
                number, n = self._merged[number].target, 0
        return number

    def _split(self, number: int, n: int | None) -> Link | None:
        """Return the split that entry *n* went with, with ``None`` that of the last part."""
        found = [one for one in self._splits.get(number, ()) if n is None or one.n <= n <= one.last_n]
        return max(found, key=lambda one: one.n, default=None)

    def firsts(self, number: int) -> list[int]:
        """Return the entries with which its splits begin."""
        return [one.n for one in self._splits.get(number, ())]

    def members(self, number: int) -> tuple[int, ...]:
        """Return all that go on where *number* does, and that itself first."""
        root = self.follow(number)
        return root, *sorted(one for one in self._merged if one != root and self.follow(one) == root)

    def spans(self, number: int) -> tuple[Span, ...]:
        """Return everything that is shown as *number*, a run of entries each."""
        found = []
        for member in self.members(number):
            found += [span for span, split in self._parted(member) if split is None]
            for link in (link for links in self._splits.values() for link in links if link.target == member):
                found += [span for span, split in self._parted(link.source) if split == link]
        return tuple(found)

    def _parted(self, number: int) -> list[tuple[Span, Link | None]]:
        """Return the runs of a conversation's own entries, each with the split that took it away."""
        splits = self._splits.get(number, ())
        firsts = sorted({1, *(one.n for one in splits), *(one.last_n + 1 for one in splits)})
        ends = [first - 1 for first in firsts[1:]]
        return [
            (Span(number, first, last), self._split(number, first))
            for first, last in zip(firsts, [*ends, None], strict=True)
        ]
