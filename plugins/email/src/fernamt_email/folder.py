"""One folder of a mailbox: every mail in it is taken once, stored first, moved away after that, and counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import evolve

from fernamt import (
    Accepted,
    Blob,
    ConnectorContext,
    Cursor,
    InboundEvent,
    NotStored,
    Received,
    Unparsed,
    Unreachable,
)
from fernamt_email.mailbox import Busy, CommandRefused, Item, Mailbox
from fernamt_email.marks import TOO_LARGE, is_junk
from fernamt_email.parse import event_key
from fernamt_email.progress import Fate, Progress, expected_fate, fate_of
from fernamt_email.reading import Reader
from fernamt_email.settings import ImapSettings

BATCH: Final = 100
"""Mails that the server is asked about at once."""
LOST_MAX: Final = 10
"""With the pauses between two attempts that takes minutes: what is over sooner was the server's trouble, not the mail's."""
POISON_MAX: Final = 1_000
_Place: TypeAlias = tuple[str, int, int]
"""Folder, UIDVALIDITY and UID of a mail."""
_NOTICE: Final = (
    "[Diese Mail ist {size} groß, übernommen werden höchstens {limit}. Hier steht nur ihr Anfang, ohne Anhänge.\n"
    "Die ganze Mail liegt im Ordner {where}.]\n"
    "[This mail is {size}, at most {limit} are taken. Here is only its beginning, without attachments.\n"
    "The whole mail is in the folder {where}.]\n\n"
)


class Fetcher:
    """Brings mails out of a mailbox and reads them."""

    def __init__(self, settings: ImapSettings, reader: Reader) -> None:
        self._limit = settings.max_bytes
        self._reader = reader
        self._lost: tuple[_Place, int] | None = None
        """The mail that was being fetched when the connection was lost, and how often in a row."""
        self._poison: deque[_Place] = deque(maxlen=POISON_MAX)

    async def fetch(
        self, box: Mailbox, uid: int, item: Item, *, where: str, spam: bool
    ) -> tuple[Sequence[InboundEvent], bytes | Blob] | None:
        """Return what a mail says and its raw form, or what can be had of it; ``None``: it is gone.

        Args:
            box: With the mail's folder selected.
            uid: Of the mail.
            item: What the server said of it.
            where: The folder in which a person finds it afterwards.
            spam: The folder is that of spam.

        Raises:
            NotStored: An attachment or the raw mail could not be stored.
            Unreachable: As :class:`Mailbox` says.
        """
        large = item.size > self._limit
        place = box.folder, box.validity, uid
        if place in self._poison:
            return self._unfetched(place, f"the connection was lost {LOST_MAX} times in a row while it was fetched")
        try:
            content = await (box.head(uid) if large else box.mail(uid))
        except CommandRefused as why:
            return self._unfetched(place, why.reason)
        except Busy:
            raise
        except Unreachable:
            self._count_lost(place)
            raise
        self._lost = None
        if content is None:
            return None
        events, raw = await self._reader.read(content, spam=spam or is_junk(item.flags))
        return [self._shortened(one, content, item.size, where) for one in events] if large else events, raw

    def _count_lost(self, place: _Place) -> None:
        """Some servers break off over one mail, each time: the others behind it must not wait for ever."""
        count = self._lost[1] + 1 if self._lost is not None and self._lost[0] == place else 1
        self._lost = place, count
        if count >= LOST_MAX:
            self._poison.append(place)

    @staticmethod
    def _unfetched(place: _Place, why: str) -> tuple[Sequence[InboundEvent], bytes]:
        """Return what is stored in place of a mail that stays where it is, for a person to look at."""
        folder, validity, uid = place
        reason = f"the mail with UID {uid} in {folder!r} cannot be fetched: {why}"
        return [Unparsed(key=f"{folder}:{validity}:{uid}", reason=reason)], b""

    def _shortened(self, event: InboundEvent, content: bytes, size: int, where: str) -> InboundEvent:
        """Return what a person sees of a mail of which only the beginning was fetched."""
        if isinstance(event, Received):
            notice = _NOTICE.format(size=_megabytes(size), limit=_megabytes(self._limit), where=repr(where))
            return evolve(
                event,
                text=notice + event.text,
                html="",
                folded=(),
                attachments=(),
                marks=(*event.marks, TOO_LARGE),
                automatic=True,
            )
        if isinstance(event, Unparsed):
            reason = (
                f"the mail is too large: {size} bytes, the limit is {self._limit}. All of it is in the folder {where!r}"
            )
            return Unparsed(key=event_key(content), reason=reason)
        return event


class Folder:
    """A folder that is read from where the last connection, or the last daemon, left off."""

    def __init__(
        self, name: str, *, spam: bool, settings: ImapSettings, fetcher: Fetcher, context: ConnectorContext
    ) -> None:
        self.name = name
        self.progress: Progress | None = None
        """``None``: it was not seen yet."""
        self.trouble = ""
        """Why it is not read, or why what was stored stays there; for people."""
        self._spam = spam
        self._settings = settings
        self._fetcher = fetcher
        self._context = context
        self._committed = ""

    async def catch_up(self, box: Mailbox) -> None:
        """Take all that is new. A folder that is not there is a trouble, not an error."""
        try:
            await box.select(self.name)
        except CommandRefused as why:
            self.trouble = f"the folder {self.name!r} cannot be opened: {why.reason}"
            return
        if self.progress is None or self.progress.validity != box.validity:
            self.trouble = ""
            progress = await self._begin(box)
            if self._moves(box):  # stored before a crash, but not moved: intake knows them by their keys
                await self._take_all(box, [one for one in await box.uids_until(progress.uid) if one > progress.floor])
        while uids := await box.uids_after(self._now.uid):
            await self._take_all(box, uids, new=True)
        await self._commit_rest()

    @property
    def _now(self) -> Progress:
        assert self.progress is not None
        return self.progress

    def _moves(self, box: Mailbox) -> bool:
        return box.moves and not self._spam and self.name != self._settings.done_folder

    async def _begin(self, box: Mailbox) -> Progress:
        """Return where to go on: at the beginning of a folder that is new or was numbered anew, for keys catch the repeats."""
        stored = Progress.of(self._committed or await self._context.cursor(self.name))
        if stored is not None and stored.validity == box.validity:
            progress = stored
        else:
            left_s = stored.left_s if stored is not None else self._first_seen_s()
            floor = box.next_uid - 1 if box.next_uid else max(await box.uids_after(0), default=0)
            progress = Progress(validity=box.validity, floor=floor if left_s else 0, left_s=left_s)
            if stored is None:
                progress = evolve(progress, uid=progress.floor)
            else:
                self._context.log.warning("folder_renumbered", folder=self.name)
        self.progress, self._committed = progress, progress.text() if progress is stored else ""
        return progress

    def _first_seen_s(self) -> int:
        return int(self._context.clock.now().timestamp()) if self._settings.older == "leave" else 0

    async def _take_all(self, box: Mailbox, uids: list[int], *, new: bool = False) -> None:
        """Take these mails; they are counted if they are *new*. Otherwise they were offered before."""
        seen = self._now.seen
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            items = await box.items(batch)
            for place, uid in enumerate(batch, start + 1):
                await self._take(box, uid, items.get(uid), seen + place if new else None)

    async def _take(self, box: Mailbox, uid: int, item: Item | None, seen: int | None) -> None:
        if item is None:
            self._settled(uid, seen, Fate.GONE)
        elif uid <= self._now.floor and item.came_s <= self._now.left_s:
            self._settled(uid, seen, Fate.LEFT)
        elif await self._stored(box, uid, item, seen) not in {None, Fate.GONE} and self._moves(box):
            await self._move(box, uid)

    def _settled(self, uid: int, seen: int | None, fate: Fate) -> None:
        if seen is not None:
            self.progress = self._now.at(uid, seen).counted(fate)

    async def _stored(self, box: Mailbox, uid: int, item: Item, seen: int | None) -> Fate | None:
        """Return what became of a mail when it is on disk, however long the disk takes; ``None``: it must not be moved."""
        while True:
            try:
                return await self._store(box, uid, item, seen)
            except NotStored as full:
                self._context.log.warning("mail_waits", reason=full.reason)
                await self._context.clock.sleep(full.after_s)

    async def _store(self, box: Mailbox, uid: int, item: Item, seen: int | None) -> Fate | None:
        where = self._settings.done_folder if self._moves(box) else self.name
        fetched = await self._fetcher.fetch(box, uid, item, where=where, spam=self._spam)
        if fetched is None:
            self._settled(uid, seen, Fate.GONE)
            return Fate.GONE
        events, raw = fetched
        expected = expected_fate(events)
        then = self._now if seen is None else self._now.at(uid, seen).counted(expected)
        fate = fate_of(events, await self._accept(events, raw, then))
        self.progress = then if seen is None or fate is expected else then.counted(fate, instead_of=expected)
        return fate if raw else None

    async def _accept(
        self, events: Sequence[InboundEvent], raw: bytes | Blob | None, progress: Progress
    ) -> tuple[Accepted, ...]:
        text = progress.text()
        accepted = await self._context.intake.accept(events, raw=raw, cursor=Cursor(self.name, text), wait=True)
        self._committed = text
        return accepted

    async def _commit_rest(self) -> None:
        """Commit what became known after a mail was committed, and say it aloud if the count does not add up."""
        if self._now.text() == self._committed:
            return
        try:
            await self._accept((), None, self._now)
        except NotStored as full:  # the next mail, or the next look, brings it
            self._context.log.warning("count_waits", folder=self.name, reason=full.reason)
        if self._now.missing:
            self._context.log.error("mails_unaccounted", folder=self.name, count=self._now.missing)

    async def _move(self, box: Mailbox, uid: int) -> None:
        try:
            await box.move(uid)
        except CommandRefused as why:
            self.trouble = f"stored mails cannot be moved to {self._settings.done_folder!r}: {why.reason}"
        else:
            self.trouble = ""


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
