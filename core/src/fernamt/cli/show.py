"""`fernamt show`: one conversation, from its first entry to its last."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, Failure

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.console import RenderableType
    from rich.text import Text

    from fernamt._store.views.conversation import ConversationView, EntryView, RemoteView
    from fernamt._store.views.deliveries import DeliveryView

_KIND_STYLES: Final = {"received": "bold cyan", "sent": "bold green", "notice": "green", "note": "bold yellow"}


def show(
    number: int,
    /,
    *,
    raw: int | None = None,
    save_attachment: tuple[int, str, Path] | None = None,
    full: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Show one conversation and where its answers stand.

    Of what was said before and comes quoted again, and of signatures, only the number of lines is shown.
    What was merged into it is shown among its own entries, in the order of time; 7/3 is entry 3 of conversation 7.

    Example: fernamt show 12 --save-attachment 1 invoice.pdf /tmp/invoice.pdf

    Args:
        number: Of the conversation; fernamt inbox lists them.
        raw: Instead, write the bytes that this entry was read from to stdout.
        save_attachment: Instead, save a file: the entry, the file's name there, and where to write it.
        full: Show quoted lines and signatures, too.
        json: Print a JSON object with the keys number, merged, kind, state, subject, customer_number, customer, addresses,
            participants and entries. An entry has conversation, n, kind, at, author, channel, text, attachments, remote, data, provider_id, has_raw and deliveries.
        common: What every command takes.
    """
    from fernamt._store.views.conversation import conversation_view
    from fernamt.cli.access import opened
    from fernamt.cli.screen import plain, show_json
    from fernamt.cli.screen import show as show_on_screen

    with opened(common) as store:
        if raw is not None:
            from fernamt._store.views.raw import raw_of_entry
            from fernamt.cli.content import write_raw

            with store.read() as connection:
                _require(connection, number)
                content = raw_of_entry(connection, number, raw)
            write_raw(store, content, f"entry {raw} of conversation {number}")
            return DONE
        with store.read() as connection:
            view = conversation_view(connection, number)
        if view is None:
            raise _missing(number)
        if save_attachment is not None:
            from fernamt.cli.content import save

            save(store, view, number, *save_attachment)
        elif json:
            show_json({**plain(view), "subject": view.subject})
        else:
            show_on_screen(*_page(view, store.clock.now(), full=full))
    return DONE


def _missing(number: int) -> Failure:
    return Failure(f"There is no conversation {number}. fernamt inbox lists them.")


def _require(connection: sa.Connection, number: int) -> None:
    from fernamt._store.views.conversation import exists

    if not exists(connection, number):
        raise _missing(number)


def _page(view: ConversationView, now: datetime, *, full: bool) -> list[RenderableType]:
    from rich.text import Text

    names = _names(view)
    page: list[RenderableType] = [*_head(view, names)]
    for entry in view.entries:
        page += [Text(), *_entry(entry, view.number, names, now, full=full)]
    return page


def _names(view: ConversationView) -> dict[str, str]:
    """Return the name that each address gave itself in this conversation, the newest."""
    from fernamt.cli.words import one_line

    names = {}
    for entry in view.entries:
        if name := one_line(str(entry.data.get("sender_name", ""))):
            names[entry.author] = name
    return names


def _head(view: ConversationView, names: dict[str, str]) -> list[RenderableType]:
    from rich.text import Text

    from fernamt.cli.inbox import STATE_STYLES
    from fernamt.cli.words import one_line

    title = Text.assemble(
        (f"#{view.number}", "bold"),
        "  ",
        (one_line(view.subject) or "(no subject)", "bold"),
        "  ",
        (view.state, STATE_STYLES[view.state]),
        "" if view.kind == "support" else f", {one_line(view.kind)}",
    )
    who = Text(one_line(view.customer), "bold")
    for address in view.addresses:
        who.append("  " if who else "").append(one_line(str(address)), "cyan")
    head: list[RenderableType] = [title, who]
    who.append(f"  customer {view.customer_number}", "dim")
    if view.merged:
        head.append(Text(f"together with {', '.join(f'#{number}' for number in view.merged)}", "dim"))
    if view.participants:
        others = [_person(str(address), names) for address in view.participants]
        head.append(Text(f"with {', '.join(others)}", "dim"))
    return head


def _person(author: str, names: dict[str, str]) -> str:
    from fernamt.cli.words import one_line

    handle = one_line(author)
    return f"{names[author]} <{handle}>" if author in names else handle or "Fernamt"


def _entry(entry: EntryView, shown: int, names: dict[str, str], now: datetime, *, full: bool) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from fernamt.cli.screen import aligned
    from fernamt.cli.words import ago, is_today, minute, one_line

    kind = (one_line(entry.kind), _KIND_STYLES.get(entry.kind, "bold"))
    place = f"{entry.n:>3}" if entry.conversation == shown else f"{entry.conversation}/{entry.n}"
    who = Text.assemble((f"{place}  ", "bold"), kind, f"  {_person(entry.author, names)}")
    when = f"{minute(entry.at, now)} ({ago(entry.at, now)})" if is_today(entry.at, now) else minute(entry.at, now)
    head = aligned(who, Text(", ".join(filter(None, (one_line(entry.channel), when))), "dim"))
    below = [
        *_marks(entry),
        *_words(entry, full=full),
        *_files(entry),
        *(line for one in entry.deliveries for line in _delivery(one, now)),
    ]
    return [head, *(Padding(line, (0, 0, 0, 5)) for line in below)]


def _marks(entry: EntryView) -> list[Text]:
    from rich.text import Text

    from fernamt.cli.folding import language, shown_marks, shown_notice
    from fernamt.cli.words import one_line

    marks = one_line(shown_marks(entry.data, language=language()))
    about = one_line(shown_notice(entry.data, language=language()))
    return [*([Text(about, "dim")] if about else []), *([Text(marks, "yellow")] if marks else [])]


def _words(entry: EntryView, *, full: bool) -> list[Text]:
    from rich.text import Text

    from fernamt.cli.folding import language, shown_lines
    from fernamt.cli.words import harmless

    shown = [
        Text(line, "dim" if faint else "")
        for words, faint in shown_lines(entry.text, entry.data, full=full, language=language())
        for line in harmless(words).expandtabs(4).splitlines() or [""]
    ]
    while shown and not shown[-1].plain:
        shown.pop()
    first = next((n for n, line in enumerate(shown) if line.plain), 0)
    if not shown and (told := _told(entry)):
        return [Text(told, "dim")]
    return shown[first:]


def _told(entry: EntryView) -> str:
    """Return what an entry of a link means."""
    link, told = entry.data.get("link"), entry.data
    match entry.kind:
        case "merged" if "into" in told:
            return f"goes on in #{told['into']} (link {link})"
        case "merged":
            return f"#{told.get('from')} goes on here. Taken back with: fernamt undo {link}"
        case "split" if "to" in told:
            return (
                f"from entry {told.get('from_n')} on this went to #{told['to']}. Taken back with: fernamt undo {link}"
            )
        case "split":
            return f"was #{told.get('from')} from its entry {told.get('from_n')} on (link {link})"
        case "call":
            return f"called {told.get('called') or 'us'}"
        case "step":
            return f"{told.get('what')}{', and it is not kept' if told.get('secret') else ''}"
        case "hung-up":
            return f"by {told.get('by')}"
        case "undone":
            return f"link {link} was taken back"
        case _:
            return ""


def _files(entry: EntryView) -> list[Text]:
    from rich.text import Text

    from fernamt.cli.words import one_line, size
    from fernamt.model import Blob

    remote = {one.at: _standing(one) for one in entry.remote}
    return [
        Text.assemble(
            ("file  ", "dim"),
            one_line(file.name) or "(without a name)",
            (f"  {one_line(file.media_type)}", "dim"),
            (f"  {size(file.content.size) if isinstance(file.content, Blob) else remote.get(at, '')}", "dim"),
        )
        for at, file in enumerate(entry.attachments)
    ]


def _standing(remote: RemoteView) -> str:
    """Say how it stands with a file that is still at the provider."""
    from fernamt.cli.words import one_line

    why = one_line(remote.reason)
    match remote.state:
        case "parked":
            return f"could not be fetched: {why} (fernamt work)"
        case "fetching":
            return f"is being fetched, so far: {why}" if why else "is being fetched"
        case _:
            return "still at the provider"


def _delivery(delivery: DeliveryView, now: datetime) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    from fernamt.cli.standing import STYLES, history, standing
    from fernamt.cli.words import one_line

    to = one_line(str(delivery.to)) if delivery.to is not None else "(erased)"
    said = Text.assemble(to, "  ", (delivery.state, STYLES[delivery.state]), "  ", standing(delivery, now))
    lines = Table.grid(padding=(0, 2, 0, 0))  # so that what is wrapped stands below what it belongs to
    lines.add_row(Text("to", "dim"), said)
    for told in history(delivery, now):
        lines.add_row(Text(), Text(told, "dim"))
    return [lines]
