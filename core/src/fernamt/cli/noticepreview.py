"""What a run of notices would be: its first messages as they would go, how long all of them are, and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import evolve, field, frozen

from fernamt.cli.noticecost import Bill, Cost
from fernamt.cli.outcome import DONE, FAILED

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fernamt._runtime.notice_rows import Asked
    from fernamt._store.consents import Said
    from fernamt.cli.notify import Wanted
    from fernamt.connector import Connector
    from fernamt.model import Address
    from fernamt.outbound import Capabilities, OutboundMessage
    from fernamt.settings import ChannelSection, NoticeTemplate, Prices, Settings

    Consents: TypeAlias = Callable[[Sequence[str]], Said]
    """Tells what some addresses have said of messages on a channel."""

_REFUSED_SHOWN: Final = 20
_TOGETHER: Final = 500
"""So many rows are looked up at a time."""


@frozen(kw_only=True)
class Shown:
    """One message as it would go."""

    row: int
    to: Address
    language: str
    subject: str
    text: str
    html: bool
    """There is HTML beside the text."""
    messages: int
    """So many it would be split into."""
    units: int
    """What the channel counts: of an SMS its parts."""
    cost: Decimal | None
    """In the currency of the channel's prices; ``None``: they say nothing of this number."""
    refused: str
    """Why it would not go; empty: it would."""


@frozen(kw_only=True)
class Preview:
    """What a run would be."""

    template: str
    channel: str
    total: int
    units: int
    refused: int
    """So many would not go as they are."""
    currency: str
    """Of the costs; empty: the channel has no prices."""
    cost: Decimal | None
    """Of all that have a price."""
    costs: tuple[Cost, ...]
    """By the beginnings of numbers that have a price, in the order of the configuration, and then those that have none."""
    messages: tuple[Shown, ...] = field(factory=tuple)


def show_preview(settings: Settings, wanted: Wanted, count: int, *, json: bool) -> int:
    """Show what a run would be, and queue nothing."""
    from fernamt._runtime import log
    from fernamt.cli.screen import say, show, show_json
    from fernamt.errors import ConfigError
    from fernamt.settings import LogSettings

    log.configure(LogSettings(format=settings.log.format, level="error"))
    with contextlib.ExitStack() as stack:
        consents: Consents = _nobody
        unknown = ""
        try:
            consents = stack.enter_context(_consents(settings, wanted.section.id))
        except ConfigError as why:  # as before the daemon's first start
            unknown = f"Who opted out cannot be told: {why}"
        preview, refused = asyncio.run(_measured(settings, wanted, consents, count))
    if json:
        show_json(preview)
    else:
        for one in preview.messages:
            show(*_page(one, preview.currency))
        _tell(preview)
        if refused:
            say("\n".join(f"row {one.row}: {one.refused}" for one in refused))
    if unknown:
        say(unknown)
    return FAILED if preview.refused else DONE


@contextlib.asynccontextmanager
async def _built(settings: Settings, section: ChannelSection) -> AsyncIterator[tuple[Connector, Capabilities]]:
    """Give a channel's connector and what it can do, to ask it how it counts. Nothing is started; its store is its own."""
    from fernamt.app import App

    with tempfile.TemporaryDirectory() as folder:
        app = App.from_settings(evolve(settings, store=f"sqlite:///{folder}/built.db", channels=(section,)))
        try:
            yield await app.built()
        finally:
            await app.stop()


def _nobody(_handles: Sequence[str]) -> Said:
    return {}


@contextlib.contextmanager
def _consents(settings: Settings, channel: str) -> Iterator[Consents]:
    """Give what the store knows of who opted out.

    Raises:
        ConfigError: There is no store yet, or it is away.
    """
    from fernamt._runtime.clock import SystemClock
    from fernamt._store.consents import said_by
    from fernamt._store.engine import Store
    from fernamt._store.names import Names

    with contextlib.closing(Store.open(settings.store, SystemClock(), cache_mb=4)) as store:
        store.require_schema()
        names = Names(store.keys())

        def said(handles: Sequence[str]) -> Said:
            with store.read() as connection:
                do = store.statements(connection)
                known = do.rows("SELECT id FROM channel WHERE name = ?", (channel,))
                return said_by(do, names, known[0][0], handles) if known else {}

        yield said


async def _measured(settings: Settings, wanted: Wanted, consents: Consents, count: int) -> tuple[Preview, list[Shown]]:
    from fernamt.cli.noticelooking import Progress
    from fernamt.settings import Prices

    prices = Prices.of(wanted.section.prices)
    bill = Bill(prices)
    shown: list[Shown] = []
    refused: list[Shown] = []
    units = wrong = 0
    progress = Progress("measured", wanted.total)
    async with _built(settings, wanted.section) as (connector, can):
        for one in _all(wanted, consents, connector, can, prices):
            bill.add(one.to, one.units)
            units += one.units
            wrong += bool(one.refused)
            if len(shown) < count:
                shown.append(one)
            if one.refused and len(refused) < _REFUSED_SHOWN:
                refused.append(one)
            progress.told(one.row)
    progress.end()
    preview = Preview(
        template=wanted.template.name,
        channel=wanted.section.id,
        total=wanted.total,
        units=units,
        refused=wrong,
        currency=prices.currency,
        cost=bill.total() if prices else None,
        costs=bill.rows() if prices else (),
        messages=tuple(shown),
    )
    return preview, refused


def _all(
    wanted: Wanted, consents: Consents, connector: Connector, can: Capabilities, prices: Prices
) -> Iterator[Shown]:
    from fernamt._store.consents import why_not
    from fernamt.cli.notify import checked_rows
    from fernamt.model import Purpose

    template, purpose = wanted.template, Purpose(wanted.template.purpose)
    rows = enumerate(checked_rows(template, wanted.rows()), 1)
    while some := [*islice(rows, _TOGETHER)]:
        said = consents([str(row.to) for _, row in some])
        for n, row in some:
            yield _shown(n, row, template, why_not(said, str(row.to), purpose), connector, can, prices)


def _shown(
    n: int, row: Asked, template: NoticeTemplate, stopped: str, connector: Connector, can: Capabilities, prices: Prices
) -> Shown:
    from fernamt._runtime.fitting import fit, measures_of
    from fernamt.connector import Measures
    from fernamt.errors import Rejected

    filled = template.filled(row.values, row.language)
    message = _message(row, template)
    try:
        fitted = stopped or fit(message, can, measures_of(connector))
    except Rejected as why:
        fitted = why.reason
    parts = () if isinstance(fitted, str) else fitted
    measures = can.unit == "measured" and isinstance(connector, Measures)
    units = sum(connector.units(part) for part in parts) if measures else len(parts)  # type: ignore[attr-defined]
    price = prices.of_part(row.to)
    return Shown(
        row=n,
        to=row.to,
        language=filled.language,
        subject=filled.subject if can.subject else "",
        text="\n\n".join(part.text for part in parts) or filled.text,
        html=bool(filled.html) and can.html,
        messages=len(parts),
        units=units,
        cost=None if price is None else price.amount * units,
        refused=fitted if isinstance(fitted, str) else "",
    )


def _message(row: Asked, template: NoticeTemplate) -> OutboundMessage:
    from fernamt.model import Purpose
    from fernamt.outbound import OutboundMessage

    filled = template.filled(row.values, row.language)
    return OutboundMessage(
        key="preview",
        entry_key="preview",
        attempt=1,
        to=row.to,
        text=filled.text,
        html=filled.html,
        subject=filled.subject,
        purpose=Purpose(template.purpose),
        automatic=True,
        language=filled.language,
    )


def _page(one: Shown, currency: str) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from fernamt.cli.words import counted, harmless, one_line

    size = counted(one.units, "part") + (f" in {one.messages} messages" if one.messages > 1 else "")
    size += "" if one.cost is None else f", {one.cost:f} {currency}"
    head = Text.assemble(
        (f"row {one.row}  ", "bold"), (one_line(str(one.to)), "cyan"), (f"  {one.language}, {size}", "dim")
    )
    lines = [Text(one_line(one.subject), "bold")] if one.subject else []
    lines += [Text(line) for line in harmless(one.text).splitlines()]
    if one.html:
        lines.append(Text("(and as HTML)", "dim"))
    return [head, *(Padding(line, (0, 0, 0, 5)) for line in lines), Text()]


def _tell(preview: Preview) -> None:
    from fernamt.cli.screen import say, show
    from fernamt.cli.words import counted, one_line

    parts = f", {counted(preview.units, 'part')}" if preview.units != preview.total else ""
    by = f"{one_line(preview.template)} by {one_line(preview.channel)}"
    cost = "" if preview.cost is None else f": {preview.cost:f} {preview.currency}"
    show(f"{counted(preview.total, 'notice')} of {by}{parts}{cost}")
    for one in preview.costs:
        show(f"  {one.told(preview.currency)}")
    if preview.refused:
        say(f"{preview.refused} of them would not go:")
    else:
        say("Nothing was queued. Without --preview and --dry-run they go.")
