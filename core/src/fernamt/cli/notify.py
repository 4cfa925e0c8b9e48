"""`fernamt notify`: notices from a template, to one customer or to all of a file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from attrs import define, field, frozen
from cyclopts import Parameter

from fernamt.cli.options import COMMON, As, Common, Json
from fernamt.cli.outcome import INTERRUPTED, USAGE, Failure

if TYPE_CHECKING:
    from fernamt._runtime.notice_rows import Asked
    from fernamt._store.engine import Store
    from fernamt._store.notices import Notice, Run
    from fernamt.settings import ChannelSection, NoticeTemplate, Problem, Settings

Rows: TypeAlias = Callable[[], Iterable[object]]
"""Gives the rows, from the first one on, as often as it is called."""
PROBLEMS_SHOWN: Final = 20
ROWS_SHOWN: Final = 10
"""Numbers of rows that have the same one."""


@frozen(kw_only=True)
class Wanted:
    """What was asked for, checked: every row is right."""

    template: NoticeTemplate
    section: ChannelSection
    rows: Rows
    total: int
    digest: bytes


@define
class Found:
    """What is wrong with rows: each problem once, and which rows have it."""

    more: bool = False
    """There are others that are not shown."""
    _rows: dict[str, list[int]] = field(factory=dict)
    _counts: Counter[str] = field(factory=Counter)

    def add(self, problems: Sequence[Problem], n: int) -> None:
        """Take in what is wrong with row *n*."""
        for one in problems:
            said = str(one).removeprefix("values.")
            if said not in self._rows and len(self._rows) == PROBLEMS_SHOWN:
                self.more = True
                continue
            self._counts[said] += 1
            rows = self._rows.setdefault(said, [])
            if len(rows) < ROWS_SHOWN:
                rows.append(n)

    def lines(self, *, one: bool) -> list[str]:
        """Return it for people; *one*: there is one row, and nobody counts."""
        return [
            said if one else f"{self._which(rows, self._counts[said])}: {said}" for said, rows in self._rows.items()
        ]

    @staticmethod
    def _which(rows: Sequence[int], count: int) -> str:
        numbers = ", ".join(map(str, rows))
        more = f" and {count - len(rows):,} more" if count > len(rows) else ""
        return f"{'row' if count == 1 else 'rows'} {numbers}{more}"


def notify(
    template: str,
    /,
    *,
    to: str = "",
    set_: Annotated[tuple[str, ...], Parameter(name=("--set", "-s"))] = (),
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    channel: str = "",
    language: str = "",
    key: str = "",
    preview: int | None = None,
    dry_run: bool = False,
    ignore_unknown: bool = False,
    wait: Annotated[bool | None, Parameter(negative="--no-wait")] = None,
    results: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    as_: As = "",
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Send a notice from a template of the configuration: to one customer, or to each of a file.

    Everything is checked before anything is queued. The same command given twice sends once: if it was interrupted, give it
    again, and it goes on where it was. The daemon sends, after whatever answers somebody; Ctrl-C ends only the looking on.

    Example: fernamt notify order-dispatched --to +4917012345678 --set order=4711 --set day=2026-12-03

    Example: fernamt notify order-dispatched --from orders.csv --preview 3

    Example: fernamt notify order-dispatched --from orders.csv --wait --results sent.csv

    Args:
        template: The name of the template, as in [notices.order-dispatched].
        to: A telephone number with its country, a mail address, or scheme:value.
        set_: A value of the template, as name=value; may be given several times. With --from: for every row that has none.
        from_: A .csv with the headings to and the template's values (and, if you like, key, language, name), or a .jsonl with
            objects of to, values, key, language, name.
        channel: The id of the channel; without it, that of the template or the only one there is.
        language: Of whoever has none in the file.
        key: Whatever is given under a key is sent once. Without it, the same rows are sent once.
        preview: Show the first so many as they would go, how long all are, who would get nothing and why, and what they cost if
            the channel has prices; queue nothing.
        dry_run: Check everything, and queue nothing.
        ignore_unknown: Pass over columns that the template does not know.
        wait: Look on until all have gone; without either, only on a terminal.
        results: When that is over, write a .csv of what became of each row; - writes it to stdout.
        as_: Who asks for this; without it the name that you are logged in with.
        json: Print a JSON object: one of fernamt notices list; with --preview or --dry-run one with the keys template, channel,
            total, units, refused, currency, cost, costs and messages.
        common: What every command takes.
    """
    from fernamt.cli.noticepreview import show_preview
    from fernamt.settings import read_settings

    settings = read_settings(common.config)
    found = _template(settings, template)
    section = _section(settings, found, channel)
    given = dict(_pair(one) for one in set_)
    if (from_ is None) == (not to):
        raise Failure("Say to whom: --to for one, or --from and a file for many.", USAGE)
    only = frozenset(found.values) if ignore_unknown else None
    rows = _of_file(from_, only, given, language) if from_ is not None else _of_one(to, given, language)
    if from_ is not None and not from_.is_file():
        raise Failure(f"{from_} is no file that can be read twice: name one.", USAGE)
    with _unchanged(from_):
        wanted = _checked(found, section, rows, one=from_ is None)
        if preview is not None or dry_run:
            return show_preview(settings, wanted, preview or 0, json=json)
        return _send(wanted, key, wait, results, as_, json, common)


def _send(
    wanted: Wanted, key: str, wait: bool | None, results: Path | None, as_: str, json: bool, common: Common
) -> int:
    from fernamt._store.notices import Opening, open_run
    from fernamt.cli.access import author, opened, write
    from fernamt.cli.noticelooking import look_on

    opening = Opening(
        key=key.strip() or f"rows:{wanted.digest.hex()}",
        template=wanted.template.name,
        channel=wanted.section.id,
        purpose=wanted.template.purpose,
        author=author(as_),
        total=wanted.total,
        digest=wanted.digest,
    )
    with opened(common) as store:
        run = write(store, open_run, opening)
        if run.cancelled:
            raise Failure(f"Run {run.number} was cancelled. To send it after all, give it a key of its own: --key")
        if run.given < run.total:
            _give(store, run, wanted)
        waits = sys.stdout.isatty() if wait is None else wait
        return look_on(store, run, waits=waits, results=results, json=json)


def _give(store: Store, run: Run, wanted: Wanted) -> None:
    """Write the rows that are not written yet, and let the daemon write as long as each chunk took."""
    from fernamt._store.hints import Hints
    from fernamt._store.notices import Chunk, give
    from fernamt.cli.access import daemon_runs
    from fernamt.cli.noticelooking import Progress
    from fernamt.errors import FernamtError

    progress = Progress("queued", run.total)
    shares = store.is_sqlite and daemon_runs(store)
    done = run.given
    try:
        with contextlib.closing(store.session()) as session:
            for first, notices in _chunks(wanted, done):
                chunk = Chunk(run=run.number, first=first, notices=notices, reopen_days=wanted.section.reopen_days)
                began = time.monotonic()
                [given] = session.run(lambda tx, chunk=chunk: give(tx, [chunk]))  # type: ignore[misc]
                if isinstance(given, FernamtError):
                    raise given
                done = given
                if not store.is_sqlite:
                    Hints(store).send(session.topics)
                progress.told(done)
                if shares:
                    # Whoever asks first gets in, and a provider waits for the daemon's OK.
                    time.sleep(time.monotonic() - began)
    except KeyboardInterrupt:
        text = f"Run {run.number}: {done} of {run.total} rows are queued. The same command goes on from there."
        raise Failure(f"{text} To call it off: fernamt notices cancel {run.number}", INTERRUPTED) from None
    finally:
        progress.end()


def _chunks(wanted: Wanted, given: int) -> Iterator[tuple[int, tuple[Notice, ...]]]:
    """Yield what is left after *given* rows, some hundreds at a time, each with the number of its first row."""
    from fernamt._runtime.notice_rows import notice_of
    from fernamt._store.notices import CHUNK

    some: list[Notice] = []
    n = 0
    for n, row in enumerate(checked_rows(wanted.template, wanted.rows()), 1):
        if n <= given:
            continue
        some.append(notice_of(row, wanted.template))
        if len(some) == CHUNK:
            yield n - len(some) + 1, tuple(some)
            some = []
    if some:
        yield n - len(some) + 1, tuple(some)


def checked_rows(template: NoticeTemplate, rows: Iterable[object]) -> Iterator[Asked]:
    """Yield rows that were checked before."""
    from fernamt._runtime.notice_rows import row_of

    for n, raw in enumerate(rows, 1):
        row = row_of(raw, template)
        if isinstance(row, tuple):
            raise Failure(f"Row {n} was right and is not any more: {row[0]}. Was the file changed meanwhile?")
        yield row


# ---- what is asked for
def _checked(template: NoticeTemplate, section: ChannelSection, rows: Rows, *, one: bool) -> Wanted:
    """Read every row once. Raises ``Failure`` with what is wrong, row by row."""
    from fernamt._runtime.notice_rows import BadFile, Digest, row_of
    from fernamt.cli.noticelooking import Progress

    digest, wrong, found = Digest(template.name, section.id), 0, Found()
    progress = Progress("checked", 0)
    try:
        for n, raw in enumerate(rows(), 1):
            row = row_of(raw, template)
            progress.told(n)
            if isinstance(row, tuple):
                wrong += 1
                found.add(row, n)
            else:
                digest.add(row)
    except BadFile as why:
        raise Failure(str(why), USAGE) from None
    finally:
        progress.end()
    if wrong:
        lines = found.lines(one=one)
        if not one and any("has no such value" in line for line in lines):
            lines.append("Columns that the template does not know are passed over with --ignore-unknown.")
        total = digest.total + wrong
        more = " The first ones are shown." if found.more else ""
        are = "is" if wrong == 1 else "are"
        last = "Nothing was queued." if one else f"{wrong} of {total} rows {are} wrong.{more} Nothing was queued."
        raise Failure("\n".join([*lines, last]), USAGE)
    if not digest.total:
        raise Failure("There is no row in it: nothing was queued.", USAGE)
    return Wanted(template=template, section=section, rows=rows, total=digest.total, digest=digest.whole())


def _template(settings: Settings, name: str) -> NoticeTemplate:
    from fernamt.settings import did_you_mean

    if name in settings.notices:
        return settings.notices[name]
    known = did_you_mean(name, settings.notices) or "The configuration has none: write a section [notices.<name>]."
    raise Failure(f"There is no template {name!r}. {known}", USAGE)


def _section(settings: Settings, template: NoticeTemplate, channel: str) -> ChannelSection:
    from fernamt.settings import did_you_mean

    wanted = channel or template.channel
    if not wanted and len(settings.channels) == 1:
        return settings.channels[0]
    known = [str(one.id) for one in settings.channels]
    if not wanted:
        raise Failure(f"Say by which channel: --channel. {did_you_mean('', known)}".rstrip(), USAGE)
    found = next((one for one in settings.channels if one.id == wanted), None)
    if found is None:
        raise Failure(f"There is no channel {wanted!r}. {did_you_mean(wanted, known)}".rstrip(), USAGE)
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Failure(f"{text!r} is no value: write --set name=value, for instance --set order=4711.", USAGE)
    return name, value


def _of_one(to: str, values: dict[str, str], language: str) -> Rows:
    return lambda: ({"to": to, "values": values, "language": language},)


def _of_file(path: Path, only: frozenset[str] | None, values: dict[str, str], language: str) -> Rows:
    from fernamt._runtime.notice_rows import rows_in

    def rows() -> Iterator[object]:
        for raw in rows_in(path, only=only):
            if (values or language) and isinstance(raw, dict):
                own = raw.get("values", {})
                merged = {**values, **own} if isinstance(own, dict) else own
                yield {**raw, "values": merged, "language": raw.get("language") or language}
            else:
                yield raw

    return rows


@contextlib.contextmanager
def _unchanged(path: Path | None) -> Iterator[None]:
    """Say it if a file was changed while it was read: what was checked is not what was queued."""
    if path is None:
        yield
        return
    before = path.stat()
    yield
    after = path.stat()
    if (before.st_mtime_ns, before.st_size, before.st_ino) != (after.st_mtime_ns, after.st_size, after.st_ino):
        from fernamt.cli.screen import say

        say(f"{path.name} was changed while it was read: look at what was queued with fernamt notices.")
