"""`fernamt erase`: a person's words and identifiers leave the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, USAGE, Failure

if TYPE_CHECKING:
    from fernamt._store.engine import Store
    from fernamt._store.erasure import Erased
    from fernamt._store.views.people import Person


def erase(
    customer: str = "",
    /,
    *,
    yes: bool = False,
    reapply: Path | None = None,
    list_: Annotated[Path | None, Parameter(name="--list")] = None,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Erase a person: their words, names, addresses and files, for good.

    What stays are numbers, kinds and times, the fact that a stopped address gets nothing, and a keyed hash by which a
    restored backup is cleaned again. Plugins erase what they keep when the daemon runs. A backup is not changed.

    Example: fernamt erase email:ann@example.org

    Args:
        customer: The customer's number, or one of the addresses; fernamt show tells both.
        yes: Do not ask.
        reapply: Instead, erase again whoever a restored backup brought back, by this list.
        list_: Where to keep the erase list; without it beside the database, on PostgreSQL nowhere.
        json: Print a JSON object with the keys customers, addresses, conversations, entries, refused, quarantined, files,
            files_left, compact, duties and list; with --reapply an array of them.
        common: What every command takes.
    """
    from fernamt._runtime.duties import erasing
    from fernamt._runtime.installed import discover
    from fernamt._runtime.loader import load, wanted
    from fernamt._store import erasure
    from fernamt.cli.access import customer_number, opened
    from fernamt.cli.screen import say, show_json
    from fernamt.settings import read_settings

    if bool(customer) == (reapply is not None):
        raise Failure("Say whom to erase, or --reapply with a list.", USAGE)
    with opened(common) as store:
        kept = list_ or erasure.list_beside(store)
        number = customer_number(store, customer) if customer else 0
        if number and not yes:
            _ask(store, number)
        duties = erasing(load(wanted(read_settings(common.config)), discover(beside=common.config)))
        if reapply is not None:
            try:
                done = erasure.reapply(store, reapply, plugins=duties)
            except (ValueError, UnicodeDecodeError):
                raise Failure(f"{reapply} is no erase list.") from None
        else:
            done = [erasure.erase(store, number, plugins=duties)]
        if kept is not None:
            erasure.write_list(kept, store)
        told = [_told(store, one, duties, kept) for one in done]
        if json:
            show_json(told if reapply is not None else told[0])
        else:
            for one in done:
                _say(store, one, duties)
            if not done:
                say("Nobody on the list came back.")
            elif kept is None:
                say("No list of this was kept. Before you restore a backup you need one: fernamt erase --list FILE ...")
    return DONE


def _ask(store: Store, number: int) -> None:
    from fernamt._store.views.people import person_of
    from fernamt.cli.screen import is_terminal, say
    from fernamt.cli.words import one_line

    if not is_terminal(sys.stdin):
        raise Failure("This cannot be undone: say --yes.", USAGE)
    with store.read() as connection:
        person: Person = person_of(connection, number)
    addresses = ", ".join(one_line(str(address)) for address in person.addresses) or "no address"
    say(
        f"Customer {person.number}, {one_line(person.name) or 'without a name'}, {addresses}: all that they wrote goes."
    )
    say("This cannot be undone. Type the customer's number to erase:")
    if sys.stdin.readline().strip() != str(person.number):
        raise Failure("Nothing was erased.")


def _told(store: Store, done: Erased, duties: tuple[str, ...], kept: Path | None) -> dict[str, object]:
    from fernamt._store.blobs import open_blobs
    from fernamt.cli.screen import plain

    gone = open_blobs(store).sweep(done.digests)
    told = plain(done)
    digests = told.pop("digests")
    more = {
        "files": gone,
        "files_left": len(digests) - gone,
        "duties": list(duties),
        "list": str(kept) if kept else None,
    }
    return {**told, **more}


def _say(store: Store, done: Erased, duties: tuple[str, ...]) -> None:
    from fernamt.cli.screen import say, show
    from fernamt.cli.words import counted

    entries = counted(done.entries, "entry", "entries")
    customers = ", ".join(map(str, done.customers))
    show(f"Erased: customer {customers}, {counted(done.addresses, 'address', 'addresses')}, {entries}.")
    if done.refused:
        show(f"{counted(done.refused, 'message')} that waited to be sent will not be.")
    if duties:
        say(
            f"{', '.join(duties)} will erase what they keep when the daemon runs; fernamt work tells whether they have."
        )
    if not done.compact and store.is_sqlite:
        say("Somebody was reading, so remains may stand in the database's log until the daemon is restarted.")
    if not store.is_sqlite:
        say("PostgreSQL keeps remains in its files until it vacuums: VACUUM FULL removes them at once.")
