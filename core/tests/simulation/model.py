"""The promise (DESIGN 1) as a plain model: what a store may look like after each commit, and at the end of a story."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from fernamt._runtime.outcome import THROTTLED_MIN_S
from fernamt._store.claims import Claim
from fernamt.errors import NeedsLogin, OptedOut, Rejected, Throttled, Unreachable
from fernamt.inbound import Accepted, InboundEvent, Receipt, Received
from fernamt.outbound import Sent

_HEIGHTS: Final = {
    state: height
    for height, state in enumerate(("queued", "sending", "uncertain", "sent", "refused", "failed", "delivered", "read"))
}
_OPEN: Final = {"queued", "sending"}
_COLUMNS: Final = (
    "id, conversation, channel, address, state, attempts, queued_at, first_at, next_at, changed_at, ids, purpose"
)


class Broken(AssertionError):
    """The promise was broken."""


class _Row(NamedTuple):
    id: int
    conversation: int
    channel: int
    address: int
    state: str
    attempts: int
    queued_at: int
    first_at: int | None
    next_at: int
    changed_at: int
    ids: str
    purpose: str

    @property
    def lane(self) -> tuple[int, int, int, str]:
        """What keeps its order: an answer does not wait for a newsletter, so each purpose has lanes of its own."""
        return self.conversation, self.channel, self.address, self.purpose


class Model:
    """Knows what customers, providers and agents saw, and holds the store to it."""

    def __init__(self, path: str, now_us: Callable[[], int], say: Callable[[str, str], None], hold_s: float) -> None:
        self._store = sqlite3.connect(path, isolation_level=None)
        self._now_us = now_us
        self._say = say
        self._hold_us = int(hold_s * 1_000_000)
        # ---- in
        self.acknowledged: dict[tuple[int, str], Accepted] = {}
        self._offered: dict[tuple[int, str], Mapping[str, int]] = {}
        self._highest: dict[str, int] = {}
        self._new: Counter[tuple[int, str]] = Counter()
        self._texts: dict[tuple[int, str], str] = {}
        self._wholes: dict[tuple[int, str], dict[int, str]] = defaultdict(dict)
        """By channel and group the keys of the pieces of a message."""
        self._pieces: set[tuple[int, str]] = set()
        # ---- out
        self.rows: dict[int, _Row] = {}
        self.idempotent: dict[int, bool] = {}
        self.copies: Callable[[int], int] = lambda _delivery: 0
        self._asked: set[int] = set()
        self._calls: dict[int, set[int]] = defaultdict(set)
        self._unsafe: Counter[int] = Counter()
        self._granted: Counter[int] = Counter()
        self._absent: Counter[int] = Counter()
        self._certain: set[tuple[int, int]] = set()
        self._doubted: set[int] = set()
        self._answers: dict[int, list[object]] = defaultdict(list)
        self._taken_for_sent: set[int] = set()
        self._receipts: list[tuple[int, Receipt, int]] = []
        self._attempts = 0

    def close(self) -> None:
        self._store.close()

    # ---- what customers see
    def offered(self, channel: int, events: Sequence[InboundEvent]) -> None:
        """Somebody begins to offer *events*: what was acknowledged until now stands before them."""
        for event in events:
            key = channel, getattr(event, "key", "")
            self._offered.setdefault(key, dict(self._highest))
            if isinstance(event, Received):
                self._texts[key] = event.text
                if event.part is not None:
                    self._wholes[channel, event.part.group][event.part.number] = event.key
                    self._pieces.add(key)

    def accepted(self, channel: int, events: Sequence[InboundEvent], accepted: Sequence[Accepted]) -> None:
        """The provider got its OK."""
        last: dict[str, int] = {}
        for event, now in zip(events, accepted, strict=True):
            key = channel, getattr(event, "key", "")
            first = self._first_said(key, now)
            if (first.conversation, first.n) != (now.conversation, now.n):
                raise Broken(f"{key} was acknowledged as {first}, and now as {now}")
            if not now.repeat:
                self._new[key] += 1
            if self._new[key] > 1:
                raise Broken(f"{key} was acknowledged twice as new")
            if now.conversation is None or now.n is None:
                continue
            if not now.n > self._offered[key].get(now.conversation, 0):
                raise Broken(f"{key} is {now}, but what was acknowledged before it was offered came after it")
            if not now.repeat:
                if now.n <= last.get(now.conversation, 0):
                    raise Broken(f"the events of one batch changed places: {accepted}")
                last[now.conversation] = now.n
            self._highest[now.conversation] = max(now.n, self._highest.get(now.conversation, 0))

    def conversations(self) -> list[int]:
        return sorted(int(one) for one in self._highest)

    # ---- what providers see
    def receipt_sent(self, receipt: Receipt, delivery: int) -> None:
        self._receipts.append((self.rows[delivery].channel, receipt, delivery))

    def receipts_on_their_way(self) -> bool:
        return any((channel, receipt.key) not in self.acknowledged for channel, receipt, _ in self._receipts)

    def called(self, delivery: int, attempt: int, *, idempotent: bool) -> None:
        """A runner calls the provider."""
        known = self._store.execute(
            "SELECT 1 FROM attempt WHERE delivery = ? AND n = ?", (delivery, attempt)
        ).fetchall()
        if not known:
            raise Broken(f"attempt {attempt} of delivery {delivery} is made and was never committed")
        if attempt in self._calls[delivery]:
            raise Broken(f"attempt {attempt} of delivery {delivery} is made twice")
        self._calls[delivery].add(attempt)
        if not idempotent and self._unsafe[delivery] > self._granted[delivery] + self._absent[delivery]:
            raise Broken(f"delivery {delivery} is sent again, and nobody knows how attempt {attempt - 1} ended")
        self._unsafe[delivery] += 1

    def looked_up(self, delivery: int) -> None:
        """The provider says that it has nothing of it: it may be tried again."""
        self._absent[delivery] = self._unsafe[delivery]

    def certainly_not(self, delivery: int, attempt: int) -> None:
        """A runner was told that this attempt certainly did not happen."""
        self._unsafe[delivery] -= 1
        self._certain.add((delivery, attempt))

    def answered(self, delivery: int, _attempt: int, answer: object) -> None:
        self._answers[delivery].append(answer)

    # ---- what people do
    def asked(self, deliveries: Sequence[int]) -> None:
        self._asked.update(deliveries)

    def decided(self, delivery: int, *, sent: bool) -> None:
        if sent:
            self._taken_for_sent.add(delivery)
        else:
            self._granted[delivery] += 1

    def uncertain(self) -> list[int]:
        return [row.id for row in self.rows.values() if row.state == "uncertain"]

    def open(self) -> list[_Row]:
        return [row for row in self.rows.values() if row.state in _OPEN]

    # ---- after each commit
    def held(self, claim: Claim, what: str) -> None:
        rows = self._store.execute("SELECT fence FROM due WHERE key = ?", (claim.key,)).fetchall()
        if rows != [(claim.fence,)]:
            raise Broken(f"{what} counted with fence {claim.fence} of {claim.key}, which has {rows}")

    def observe(self, who: str) -> None:
        """Look at the deliveries after a commit and compare them with those before it."""
        rows = self._store.execute(f"SELECT {_COLUMNS} FROM delivery ORDER BY id").fetchall()
        before, after = self.rows, {row[0]: _Row(*row) for row in rows}
        if before == after:
            return
        self.rows = after
        for number, row in after.items():
            old = before.get(number)
            if old == row:
                continue
            if old is None or old.state != row.state:
                self._say(who, f"delivery {number}: {old.state if old else 'new'} -> {row.state}")
            if old is not None:
                self._moved(old, row, before)
        if gone := before.keys() - after.keys():
            raise Broken(f"deliveries are gone: {gone}")

    def _moved(self, old: _Row, row: _Row, before: Mapping[int, _Row]) -> None:
        if row[:4] != old[:4]:
            raise Broken(f"{old} became {row}")
        if row.state == "uncertain":
            self._doubted.add(row.id)
        if row.attempts != old.attempts:
            self._begun(old, row, before)
        elif row.state == "sending" and old.state != "sending":
            raise Broken(f"delivery {row.id} is being sent without an attempt of its own")
        if _HEIGHTS[row.state] >= _HEIGHTS[old.state]:
            return
        again = row.state == "queued" and old.state in {"sending", "uncertain"}
        if not again and not (row.state == "sending" and row.attempts > old.attempts):
            raise Broken(f"delivery {row.id} was lowered from {old.state} to {row.state}")
        if self.idempotent[row.channel] or (row.id, row.attempts) in self._certain:
            return
        if (
            self._granted[row.id] + self._absent[row.id] >= self._unsafe[row.id] > 0
            or row.attempts not in self._calls[row.id]
        ):
            return
        raise Broken(f"delivery {row.id} is to be tried again, and nobody knows how attempt {old.attempts} ended")

    def _begun(self, old: _Row, row: _Row, before: Mapping[int, _Row]) -> None:
        if row.attempts != old.attempts + 1 or old.state != "queued":
            raise Broken(f"an attempt was begun out of turn: {old} became {row}")
        now = self._now_us()
        for earlier in self.rows.values():
            if earlier.id >= row.id:
                break
            was = before.get(earlier.id)
            if earlier.lane != row.lane or was is None or not {earlier.state, was.state} <= _OPEN:
                continue
            if earlier.id in self._doubted:
                continue  # a person put it back into a lane that had gone on
            tried = earlier.attempts > 0 or earlier.next_at > earlier.queued_at
            released = tried and (earlier.first_at or earlier.queued_at) + self._hold_us <= now
            if earlier.state == "queued" and released:
                continue
            raise Broken(f"delivery {row.id} overtook {earlier}")

    def _first_said(self, key: tuple[int, str], now: Accepted) -> Accepted:
        """Return what was said of an event first; of a piece that waited for the others, what was said of their message."""
        first = self.acknowledged.setdefault(key, now)
        if key not in self._pieces:
            return first
        if first.conversation is None:
            self.acknowledged[key] = first = now
        # That it waits may be told after they came: it was committed before.
        return now if now.conversation is None else first

    # ---- at the end
    def judge(self, give_up_s: float) -> None:
        """Hold the whole store to the promise, after everything has come to rest."""
        self._judge_log()
        for row in self.rows.values():
            self._judge_delivery(row, give_up_s)
        if missing := self._asked - self.rows.keys():
            raise Broken(f"deliveries were lost: {missing}")
        self._judge_receipts()

    def _judge_log(self) -> None:
        numbers: dict[int, list[int]] = defaultdict(list)
        entries: dict[tuple[int, str], list[tuple[int, int, str]]] = defaultdict(list)
        for conversation, n, channel, kind, text, key in self._store.execute(
            "SELECT e.conversation, e.n, e.channel, e.kind, c.text, c.key FROM entry e JOIN content c ON c.entry = e.id"
            " ORDER BY e.conversation, e.n"
        ):
            if kind == "received":
                entries[channel, key].append((conversation, n, text))
        for conversation, n in self._store.execute("SELECT conversation, n FROM entry ORDER BY conversation, n"):
            numbers[conversation].append(n)
        last = dict(self._store.execute("SELECT id, last_n FROM conversation"))
        for conversation, found in numbers.items():
            if found != list(range(1, last[conversation] + 1)):
                raise Broken(f"conversation {conversation} counts {found}, and says {last[conversation]}")
        for key, accepted in self.acknowledged.items():
            if accepted.conversation is None or key in self._pieces:
                continue
            stored = [(int(accepted.conversation), accepted.n, self._texts[key])]
            if entries[key] != stored:
                raise Broken(f"{key} was acknowledged as {stored} and is in the store as {entries[key]}")
        self._judge_pieces(entries)
        if doubled := {key: found for key, found in entries.items() if len(found) > 1 or key not in self._offered}:
            raise Broken(f"entries that nobody wrote: {doubled}")

    def _judge_pieces(self, entries: Mapping[tuple[int, str], Sequence[tuple[int, int, str]]]) -> None:
        """Each message that came in pieces is one entry, under the key of its first piece, and every piece means it."""
        for (channel, group), keys in self._wholes.items():
            text = "".join(self._texts[channel, keys[number]] for number in sorted(keys))
            found = entries.get((channel, keys[1]), ())
            if [words for _, _, words in found] != [text]:
                raise Broken(f"the pieces of {group} are {text!r}, and in the store they are {found}")
            for key in keys.values():
                one = self.acknowledged[channel, key]
                if one.conversation is not None and (int(one.conversation), one.n) != found[0][:2]:
                    raise Broken(f"{key} was acknowledged as {one}, and its message is {found[0]}")
        if waiting := self._store.execute("SELECT id FROM piece WHERE entry IS NULL").fetchall():
            raise Broken(f"pieces wait for ever: {waiting}")

    def _judge_delivery(self, row: _Row, give_up_s: float) -> None:
        copies, answers = self.copies(row.id), self._answers[row.id]
        if copies > 1 and self.idempotent[row.channel]:
            raise Broken(f"delivery {row.id} has {copies} copies at a provider that makes only one")
        if copies > 1 + self._granted[row.id]:
            raise Broken(f"delivery {row.id} has {copies} copies, and {self._granted[row.id]} were allowed")
        if row.state in _OPEN:
            raise Broken(f"{row} never came to an end")
        if row.state in {"sent", "delivered", "read"} and not copies and row.id not in self._taken_for_sent:
            raise Broken(f"delivery {row.id} is {row.state}, and nobody got it")
        failed = any(found[1].state == "failed" for found in self._receipts if found[2] == row.id)
        rejected = any(isinstance(answer, Rejected | OptedOut) for answer in answers)
        if row.state == "refused" and copies and not self._granted[row.id] and row.attempts <= 1:
            raise Broken(f"delivery {row.id} is refused, and the recipient has it")
        if row.state != "failed" or failed or rejected:
            return
        if copies and not self._granted[row.id]:
            raise Broken(f"delivery {row.id} is failed, and the recipient has it")
        longest_s = 5.0 * 2 ** (row.attempts - 1) + 5.0
        throttled = [answer.after_s for answer in answers if isinstance(answer, Throttled)]
        longest_s = max(longest_s, THROTTLED_MIN_S, *throttled)
        if any(not isinstance(answer, NeedsLogin | Throttled | Unreachable | Sent) for answer in answers):
            return
        if row.changed_at + longest_s * 1e6 < (row.first_at or row.queued_at) + give_up_s * 1e6:
            raise Broken(f"delivery {row.id} was given up before its time: {row}")

    def _judge_receipts(self) -> None:
        for channel, receipt, delivery in self._receipts:
            if (channel, receipt.key) not in self.acknowledged:
                raise Broken(f"nobody took {receipt}")
            row = self.rows[delivery]
            if not receipt.message_key and (not receipt.id or receipt.id not in orjson.loads(row.ids)):
                continue
            if _HEIGHTS[row.state] < _HEIGHTS[receipt.state.value]:
                raise Broken(f"{receipt} was acknowledged, and {row} knows nothing of it")


def certain(answer: object) -> bool:
    """Say whether an answer means that it certainly did not happen."""
    return isinstance(answer, Throttled | NeedsLogin) or (isinstance(answer, Unreachable) and answer.certain)
