"""`fernamt reply`, `note` and `solve`: what a person writes into a conversation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from fernamt.cli.options import COMMON, As, Common, Json
from fernamt.cli.outcome import DONE, FAILED, USAGE, Failure
from fernamt.cli.whom import whom

if TYPE_CHECKING:
    from fernamt._store.desk import Composed
    from fernamt._store.engine import Store
    from fernamt._store.views.deliveries import DeliveryView

MAX_TEXT_BYTES: Final = 1_048_576
WAIT_S: Final = 15.0
_LOOK_EVERY_S: Final = 0.2


def reply(
    number: int,
    text: str | None = None,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=("--file", "-f"))] = None,
    to: tuple[str, ...] = (),
    cc: tuple[str, ...] = (),
    bcc: tuple[str, ...] = (),
    to_all: Annotated[bool, Parameter(name="--all", negative="")] = False,
    channel: str = "",
    attach: tuple[Path, ...] = (),
    as_: As = "",
    wait: Annotated[bool | None, Parameter(negative="--no-wait")] = None,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Answer, and say what became of the answer.

    It goes to whoever wrote last, on the channel where they wrote. The daemon sends it; if it does not run, the answer waits.

    Example: fernamt reply 12 "Guten Tag, wir schauen nach." --attach form.pdf

    Args:
        number: Of the conversation; fernamt inbox lists them.
        text: The answer. Without it and --file it is read from stdin.
        file: Read the answer from this UTF-8 file.
        to: Somebody else instead, a telephone number or scheme:value; may be given several times.
        cc: Somebody else as well, as scheme:value; may be given several times.
        bcc: The same, but nobody else sees it.
        to_all: Also in copy to everybody who is named in the message that is answered.
        channel: The id of another channel.
        attach: A file to send along; may be given several times.
        as_: Who writes this; without it the name that you are logged in with.
        wait: Wait up to 15 s for what becomes of it; without either, only on a terminal.
        json: Print a JSON object with the keys conversation, n and deliveries; a delivery is one of fernamt show.
        common: What every command takes.
    """
    from fernamt._store.desk import Composition, compose
    from fernamt.cli.access import author, opened, write
    from fernamt.cli.content import put
    from fernamt.cli.screen import show_json

    recipients, copies, hidden = (tuple(map(whom, some)) for some in (to, cc, bcc))
    words = _text(text, file)
    with opened(common) as store:
        composition = Composition(
            conversation=number,
            kind="sent",
            author=author(as_),
            text=words,
            to=recipients,
            cc=copies,
            bcc=hidden,
            to_all=to_all,
            channel=channel,
            attachments=tuple(put(store, path) for path in attach),
        )
        composed = write(store, compose, composition)
        waits = sys.stdout.isatty() if wait is None else wait
        deliveries = follow(store, composed.deliveries, wait_s=WAIT_S if waits else 0.0)
        if json:
            show_json({"conversation": composed.conversation, "n": composed.n, "deliveries": deliveries})
        else:
            _tell(store, composed, deliveries)
    went_wrong = {"uncertain", "failed", "refused"}
    return FAILED if any(one.state in went_wrong for one in deliveries) else DONE


def follow(
    store: Store, numbers: tuple[int, ...], *, wait_s: float, pause: Callable[[float], None] = time.sleep
) -> tuple[DeliveryView, ...]:
    """Return the deliveries once all have come to rest, or after *wait_s* seconds; at once if no daemon works on them."""
    from fernamt._store.views.deliveries import deliveries_numbered
    from fernamt.cli.access import daemon_runs

    waited_s = 0.0
    while True:
        with store.read() as connection:
            deliveries = deliveries_numbered(connection, numbers)
        # What was tried and goes again will not do so within our wait.
        moving = any(one.state == "sending" or (one.state == "queued" and not one.reason) for one in deliveries)
        if not moving or waited_s >= wait_s or not daemon_runs(store):
            return deliveries
        pause(_LOOK_EVERY_S)
        waited_s += _LOOK_EVERY_S


def _tell(store: Store, composed: Composed, deliveries: tuple[DeliveryView, ...]) -> None:
    from rich.text import Text

    from fernamt.cli.access import daemon_runs
    from fernamt.cli.screen import say, show
    from fernamt.cli.standing import STYLES, standing
    from fernamt.cli.words import one_line

    now = store.clock.now()
    for delivery in deliveries:
        line = Text(f"Entry {composed.n} of conversation {composed.conversation} to {one_line(str(delivery.to))}: ")
        show(line.append(delivery.state, STYLES[delivery.state]).append(f", {standing(delivery, now)}"))
    if any(one.state == "queued" for one in deliveries) and not daemon_runs(store):
        say("No daemon works on this store, so nothing is sent yet. Start it with: fernamt run")


def note(
    number: int,
    text: str | None = None,
    /,
    *,
    file: Annotated[Path | None, Parameter(name=("--file", "-f"))] = None,
    as_: As = "",
    common: Common = COMMON,
) -> int:
    """Write a note, which is never sent.

    Example: fernamt note 12 "Called back, she sends pictures."

    Args:
        number: Of the conversation; fernamt inbox lists them.
        text: The note. Without it and --file it is read from stdin.
        file: Read the note from this UTF-8 file.
        as_: Who writes this; without it the name that you are logged in with.
        common: What every command takes.
    """
    return _add(number, "note", _text(text, file), as_, common)


def solve(number: int, text: str = "", /, *, as_: As = "", common: Common = COMMON) -> int:
    """Mark a conversation as solved.

    A new message of the customer opens it again.

    Example: fernamt solve 12 "Replacement arrived."

    Args:
        number: Of the conversation; fernamt inbox lists them.
        text: What the solution was, for colleagues.
        as_: Who writes this; without it the name that you are logged in with.
        common: What every command takes.
    """
    return _add(number, "solved", _clean(text), as_, common)


def _add(number: int, kind: str, text: str, name: str, common: Common) -> int:
    from fernamt._store.desk import Composition, compose
    from fernamt.cli.access import author, opened, write
    from fernamt.cli.screen import show

    with opened(common) as store:
        composition = Composition(conversation=number, kind=kind, author=author(name), text=text)
        composed = write(store, compose, composition)
    show(f"Entry {composed.n} of conversation {composed.conversation}: {kind}")
    return DONE


def _text(text: str | None, file: Path | None) -> str:
    """Return what is to be written: from the command line, a file, or stdin."""
    if text is not None and file is not None:
        raise Failure("Give the text or a file, not both.", USAGE)
    if text is None:
        if file is None:
            from fernamt.cli.screen import say

            if sys.stdin.isatty():
                say("Write the text; Ctrl-D on a line of its own ends it, Ctrl-C gives it up.")
            content = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(MAX_TEXT_BYTES + 1)
        if len(content) > MAX_TEXT_BYTES:
            raise Failure("The text is longer than 1 MB: send it as a file with --attach.", USAGE)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Failure("The text is not UTF-8. Save it as UTF-8.", USAGE) from None
    text = _clean(text)
    if not text.strip():
        raise Failure("The text is empty: nothing was written.", USAGE)
    return text


def _clean(text: str) -> str:
    from fernamt._runtime.storable import storable_text

    return storable_text(text.replace("\r\n", "\n").rstrip())
