"""What a channel can carry of a message: too much is refused with a sentence, never cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from fernamt.connector import Connector, Measures
from fernamt.model import Attachment, Blob
from fernamt.outbound import Capabilities, Files, OutboundMessage


def too_much(message: OutboundMessage, can: Capabilities, connector: Connector) -> str:
    """Say what the channel cannot carry of *message*; empty: it takes all of it. Raises what the connector's ``units`` raises."""
    units = _units(message, can, connector)
    if units > can.max_units:
        return f"the text is {units} long ({can.unit}), this channel takes {can.max_units}: shorten it"
    return _too_many(message.attachments, can.files)


def _units(message: OutboundMessage, can: Capabilities, connector: Connector) -> int:
    if can.unit == "measured" and isinstance(connector, Measures):
        return connector.units(message)
    if can.unit == "byte":
        return len(message.text.encode())
    if can.unit == "utf16":
        return len(message.text.encode("utf-16-le")) // 2
    return len(message.text)


def _too_many(attachments: Sequence[Attachment], files: Sequence[Files]) -> str:
    if attachments and not files:
        return "this channel takes no attachments: send a link, or use another channel"
    counts: Counter[Files] = Counter()
    for one in attachments:
        media_type = one.media_type.partition(";")[0].strip().lower()
        kinds = [kind for kind in files if any(fnmatchcase(media_type, it) for it in kind.media_types)]
        if not kinds:
            return f"this channel takes no {media_type}: send {one.name} in another form"
        size = one.content.size if isinstance(one.content, Blob) else 0
        fits = next((kind for kind in kinds if size <= kind.max_bytes), None)
        if fits is None:
            most = max(kind.max_bytes for kind in kinds)
            return f"{one.name} has {size} bytes, this channel takes {most}: send a link instead"
        counts[fits] += 1
        if counts[fits] > fits.max_count:
            return f"there are {len(attachments)} attachments, this channel takes {fits.max_count} such: send fewer"
    return ""
