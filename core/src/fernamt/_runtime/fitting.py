"""A message as a channel can carry it: split, put in simpler words, or refused with a sentence; never cut off. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import accumulate
from typing import Final

import regex
from attrs import evolve, frozen

from fernamt._store.correspondence import Prepared
from fernamt.connector import Connector, Measures
from fernamt.model import Attachment, Blob, Purpose
from fernamt.outbound import Capabilities, Files, OutboundMessage

PARTS_MAX: Final = 20
"""Whoever has to read more than so many messages would rather have had a letter."""
_GRAPHEME: Final = regex.compile(r"\X")
_BREAKS: Final = tuple(regex.compile(one) for one in (r"\n\s*+\n", r"\n", r"(?<=[.!?…:;])\s++", r"\s++(?!\p{M})"))
"""Where a reader expects an end, the best first: paragraph, line, sentence, word."""
_EDGES: Final = regex.compile(r"\A(?:\s(?!\p{M}))+|\s+\Z")
_ANSWERED: Final = ("re:", "aw:")


@frozen
class Part:
    """What is sent next of a delivery: one of *total* messages."""

    message: OutboundMessage
    total: int


def measures_of(connector: Connector) -> Measures | None:
    """Return the connector if it counts. Ask once: to look for an ability costs as much as a commit's share of a message."""
    return connector if isinstance(connector, Measures) else None


def next_part(
    prepared: Prepared, parts: int, can: Capabilities, measures: Measures | None, now: datetime
) -> Part | str:
    """Return what is sent of a message of which *parts* are through, or why it cannot be. Raises what ``units`` raises."""
    message = prepared.message
    if not _window_is_open(prepared, can, now):
        if message.template is None or not can.templates:
            return "the time in which this channel lets us answer is over: use a template that the provider approved"
    elif message.template is not None:
        message = evolve(message, template=None)
    fitted = fit(message, can, measures)
    if isinstance(fitted, str):
        return fitted
    if parts >= len(fitted):
        return f"{parts} parts of it were sent, and what the channel takes has changed since: send the rest anew"
    return Part(fitted[parts], len(fitted))


def _window_is_open(prepared: Prepared, can: Capabilities, now: datetime) -> bool:
    if can.reply_window is None:
        return True
    until = prepared.window_until
    if until is None and prepared.last_at is not None:
        until = prepared.last_at + can.reply_window
    return until is not None and now < until


def fit(message: OutboundMessage, can: Capabilities, measures: Measures | None) -> tuple[OutboundMessage, ...] | str:
    """Return what has to be sent, in order, or why it cannot be. Raises what the connector's ``units`` raises.

    The same message and the same capabilities give the same parts.
    """
    whole = _simpler(message, can)
    if not (whole.attachments or whole.buttons) and _units(whole, can, measures) <= can.max_units:
        return (whole,)  # as it is with nearly all: no copy of it is made
    files = _grouped(whole.attachments, can.files)
    if isinstance(files, str):
        return files
    bare = evolve(whole, attachments=(), buttons=())

    def units(text: str) -> int:
        return _units(evolve(bare, text=text), can, measures)

    if units(whole.text) <= can.max_units:
        texts = [whole.text]
    elif not (texts := _split(whole.text, lambda text: units(text) <= can.max_units)):
        return f"the text is {units(whole.text)} long ({can.unit}), this channel takes {can.max_units}: shorten it"
    parts = [bare] if texts == [whole.text] else [evolve(bare, text=text, html="") for text in texts]
    if files:
        kind, first = files[0]
        if len(parts) == 1 and (kind.caption is None or units(whole.text) <= kind.caption):
            parts = [evolve(bare, attachments=first)]
            files = files[1:]
        parts += [evolve(bare, text="", html="", attachments=group) for _, group in files]
    if len(parts) > PARTS_MAX:
        return f"this would be {len(parts)} messages, and {PARTS_MAX} are the most: shorten it, or send fewer files"
    # The choice belongs below the last words, where it is read.
    last = max(number for number, part in enumerate(parts) if part.text or len(parts) == 1)
    parts[last] = evolve(parts[last], buttons=whole.buttons)
    return tuple(parts)


def _simpler(message: OutboundMessage, can: Capabilities) -> OutboundMessage:
    """Say as text what the channel has no form for."""
    text, buttons, subject = message.text, message.buttons, message.subject
    if len(buttons) > can.buttons or any(len(button.label) > can.button_units for button in buttons):
        lines = "\n".join(f"{number}. {button.label}" for number, button in enumerate(buttons, 1))
        text, buttons = f"{text}\n\n{lines}" if text else lines, ()
    if subject and not can.subject:
        # That an answer answers is seen from where it stands; a subject of its own is part of what was written. A template has
        # one for mail, beside a text that stands alone.
        if not subject.lower().startswith(_ANSWERED) and message.purpose == Purpose.REPLY:
            text = f"{subject}\n\n{text}" if text else subject
        subject = ""
    html = message.html if can.html and text == message.text else ""
    if (text, buttons, subject, html) == (message.text, message.buttons, message.subject, message.html):
        return message
    return evolve(message, text=text, buttons=buttons, subject=subject, html=html)


def _units(message: OutboundMessage, can: Capabilities, measures: Measures | None) -> int:
    if can.unit == "measured" and measures is not None:
        return measures.units(message)
    if can.unit == "byte":
        return len(message.text.encode())
    if can.unit == "utf16":
        return len(message.text.encode("utf-16-le")) // 2
    return len(message.text)


def _split(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut into pieces that fit, where a reader expects an end and never inside a character; empty: not even one fits."""
    pieces = []
    rest = _EDGES.sub("", text)
    while rest:
        if fits(rest):
            pieces.append(rest)
            break
        most = _longest(rest, fits)
        if most == 0:
            return []
        at = _best_break(rest, most)
        pieces.append(rest[:at].rstrip())
        rest = _EDGES.sub("", rest[at:])
        if len(pieces) > PARTS_MAX * 2:
            break  # refused anyway
    return pieces


def _longest(text: str, fits: Callable[[str], bool]) -> int:
    """Return how many code points fit that end a whole character as people see it. The measure grows with the text."""
    ends = list(accumulate(len(one) for one in _GRAPHEME.findall(text)))
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(text[: ends[middle - 1]]):
            low = middle
        else:
            high = middle - 1
    return ends[low - 1] if low else 0


def _best_break(text: str, most: int) -> int:
    """Return where to cut the first *most* code points: the last good end in their second half, else the last word's."""
    for number, pattern in enumerate(_BREAKS):
        found = [match.start() for match in pattern.finditer(text, 1, most + 1)]
        if found and (found[-1] >= most // 2 or number == len(_BREAKS) - 1):
            return found[-1]
    return most


def _grouped(
    attachments: Sequence[Attachment], kinds: Sequence[Files]
) -> list[tuple[Files, tuple[Attachment, ...]]] | str:
    """Return the files by message, each of one kind and no more than it may have, in their order, or what stands against it."""
    if attachments and not kinds:
        return "this channel takes no attachments: send a link, or use another channel"
    groups: list[tuple[Files, tuple[Attachment, ...]]] = []
    for one in attachments:
        media_type = one.media_type.partition(";")[0].strip().lower()
        able = [kind for kind in kinds if any(fnmatchcase(media_type, it) for it in kind.media_types)]
        if not able:
            return f"this channel takes no {media_type}: send {one.name} in another form"
        size = one.content.size if isinstance(one.content, Blob) else 0
        kind = next((kind for kind in able if size <= kind.max_bytes), None)
        if kind is None:
            most = max(kind.max_bytes for kind in able)
            return f"{one.name} has {size} bytes, this channel takes {most}: send a link instead"
        if groups and groups[-1][0] == kind and len(groups[-1][1]) < kind.max_count:
            groups[-1] = (kind, (*groups[-1][1], one))
        else:
            groups.append((kind, (one,)))
    return groups
