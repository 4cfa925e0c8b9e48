"""The mails that a mailbox still has, page by page: what ``fernamt backfill`` asks for. Nothing is moved."""

from __future__ import annotations

import re
from typing import Final

from attrs import evolve, frozen

from fernamt import InboundEvent, Page, Rejected, Throttled
from fernamt_email.folder import Fetcher
from fernamt_email.mailbox import Busy, CommandRefused, Mailbox
from fernamt_email.settings import ImapSettings

PAGE_MAILS: Final = 50
PAGE_BYTES: Final = 16_000_000
BUSY_S: Final = 120.0
_PLACE: Final = re.compile(r"(all|only):(\d+):(\d+):(.+)", re.DOTALL)


@frozen(kw_only=True)
class _Place:
    """Where a page begins."""

    folder: str
    whole: bool
    """The other folders of the channel come after it."""
    validity: int = 0
    uid: int = 0

    @classmethod
    def of(cls, cursor: str, first: str) -> _Place:
        if not cursor:
            return cls(folder=first, whole=True)
        found = _PLACE.fullmatch(cursor)
        if found is None:
            return cls(folder=cursor, whole=False)
        return cls(folder=found[4], whole=found[1] == "all", validity=int(found[2]), uid=int(found[3]))

    def text(self) -> str:
        return f"{'all' if self.whole else 'only'}:{self.validity}:{self.uid}:{self.folder}"


class History:
    """Reads the folders of a channel and that for what is done, each from its first mail on; or one folder by its name."""

    def __init__(self, settings: ImapSettings, fetcher: Fetcher) -> None:
        self._settings = settings
        self._fetcher = fetcher
        done = (settings.done_folder,) if settings.done_folder else ()
        self._folders = tuple(dict.fromkeys((*settings.folders, *done)))

    async def page(self, box: Mailbox, cursor: str) -> Page:
        """Return the page at *cursor*: ``""``, the name of any folder, or what the page before gave.

        Raises:
            Rejected: There is no such folder.
            Throttled: The server takes no more for now.
            Unreachable: The connection is lost.
        """
        place = _Place.of(cursor, self._folders[0])
        try:
            await box.select(place.folder)
        except CommandRefused as why:
            if place.whole:
                return Page(events=(), next=self._following(place.folder))
            raise Rejected(f"the folder {place.folder!r} cannot be opened: {why.reason}") from why
        except Busy as why:
            raise Throttled(why.reason, after_s=BUSY_S) from why
        if place.validity != box.validity:
            place = evolve(place, validity=box.validity, uid=0)
        try:
            return await self._page(box, place)
        except Busy as why:
            raise Throttled(why.reason, after_s=BUSY_S) from why

    async def _page(self, box: Mailbox, place: _Place) -> Page:
        uids = await box.uids_after(place.uid)
        some = uids[:PAGE_MAILS]
        items = await box.items(some) if some else {}
        events: list[InboundEvent] = []
        size, last = 0, place.uid
        for uid in some:
            if size > PAGE_BYTES:
                break
            last = uid
            if item := items.get(uid):
                size += item.size
                spam = place.folder == self._settings.spam_folder
                fetched = await self._fetcher.fetch(box, uid, item, where=place.folder, spam=spam)
                events += fetched[0] if fetched else ()
        more = evolve(place, uid=last).text() if uids and last < uids[-1] else ""
        return Page(events=tuple(events), next=more or (self._following(place.folder) if place.whole else ""))

    def _following(self, folder: str) -> str:
        at = self._folders.index(folder) + 1 if folder in self._folders else len(self._folders)
        return _Place(folder=self._folders[at], whole=True).text() if at < len(self._folders) else ""
