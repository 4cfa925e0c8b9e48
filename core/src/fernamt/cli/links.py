"""`fernamt merge`, `split` and `undo`: what belongs together, what does not, and taking either back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fernamt.cli.options import COMMON, As, Common, Json
from fernamt.cli.outcome import DONE

if TYPE_CHECKING:
    from fernamt._store.links import Linked


def merge(
    source: str,
    target: str,
    /,
    *,
    customers: bool = False,
    as_: As = "",
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Let one conversation go on in another one, or one customer be another one.

    Nothing is moved or renumbered: either number shows both from now on, in the order of time, and what would have come
    to the first comes to the second. fernamt undo takes it back.

    Example: fernamt merge 14 12

    Args:
        source: The conversation that goes on in the other one. With --customers a customer: the number, or an address.
        target: The one in which it goes on.
        customers: They are customers, not conversations: one person with the addresses of both.
        as_: Who says so; without it the name that you are logged in with.
        json: Print a JSON object with the keys link, kind, source, target and stays.
        common: What every command takes.
    """
    from fernamt._store.links import Merge
    from fernamt._store.links import merge as operation
    from fernamt.cli.access import author, customer_number, number_of, opened, write

    with opened(common) as store:
        read = (lambda word: customer_number(store, word)) if customers else number_of
        wanted = Merge(source=read(source), target=read(target), by=author(as_), customers=customers)
        made = write(store, operation, wanted)
    what = "Customer" if customers else "Conversation"
    also = f", where {target} goes on" if target.isdecimal() and int(target) != made.target else ""
    back = f"Taken back with: fernamt undo {made.link}"
    return _told(made, f"{what} {made.source} goes on in {made.target}{also}. {back}", json=json)


def split(number: int, n: int, /, *, as_: As = "", json: Json = False, common: Common = COMMON) -> int:
    """Let the rest of a conversation, from one entry on, go on as a new conversation.

    Nothing is moved or renumbered: the new one shows these entries under their old numbers, and what the customer writes
    next comes to it. The old one can still be written in. fernamt undo takes it back.

    Example: fernamt split 12 4

    Args:
        number: Of the conversation; fernamt inbox lists them.
        n: The first entry that belongs to the new conversation.
        as_: Who says so; without it the name that you are logged in with.
        json: Print a JSON object with the keys link, kind, source, target and stays.
        common: What every command takes.
    """
    from fernamt._store.links import Split
    from fernamt._store.links import split as operation
    from fernamt.cli.access import author, opened, write

    with opened(common) as store:
        made = write(store, operation, Split(conversation=number, n=n, by=author(as_)))
    text = (
        f"From entry {n} on, conversation {number} goes on as {made.target}. Taken back with: fernamt undo {made.link}"
    )
    return _told(made, text, json=json)


def undo(link: int, /, *, as_: As = "", json: Json = False, common: Common = COMMON) -> int:
    """Take a merge or a split back.

    Both are then as they were. What was written meanwhile stays in the conversation in which it was written.

    Example: fernamt undo 3

    Args:
        link: Its number: merge and split say it, and fernamt show.
        as_: Who says so; without it the name that you are logged in with.
        json: Print a JSON object with the keys link, kind, source, target and stays: so many entries came to the target
            meanwhile, and stay there.
        common: What every command takes.
    """
    from fernamt._store.links import Undo
    from fernamt._store.links import undo as operation
    from fernamt.cli.access import author, opened, write
    from fernamt.cli.words import counted

    with opened(common) as store:
        made = write(store, operation, Undo(link=link, by=author(as_)))
    what = "split" if made.kind == "split" else "merge"
    pair = f"{made.source} and {made.target}"
    text = f"The {what} of {'customers ' if made.kind == 'customer' else ''}{pair} is taken back."
    if made.stays:
        came = counted(made.stays, "entry", "entries")
        text += f" Conversation {made.target} keeps the {came} that came to it meanwhile."
    return _told(made, text, json=json)


def _told(made: Linked, text: str, *, json: bool) -> int:
    from fernamt.cli.screen import show, show_json

    if json:
        show_json(made)
    else:
        show(text)
    return DONE
