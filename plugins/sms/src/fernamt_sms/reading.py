"""What stands in a provider's JSON, field by field; what cannot be read is kept, and spoils nothing beside it. Pure."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from attrs import frozen

from fernamt import Address, Attachment, InboundEvent, Remote, Unparsable, Unparsed
from fernamt_sms.number import sender


class Wrong(Exception):
    """Something that cannot be read, and why: in names of fields, never in their values."""


@frozen
class Said:
    """An object of a provider's JSON."""

    fields: Mapping[str, Any]

    @classmethod
    def of(cls, value: Any) -> Said:
        """Return *value* as an object; raises :class:`Wrong` if it is none."""
        if not isinstance(value, Mapping):
            raise Wrong("an element that is no object")
        return cls(value)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text, or a number as one; raises :class:`Wrong` if it is neither, or missing without a *default*."""
        value = self.fields.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is None and default is not None:
            return default
        raise Wrong(f"{name} is missing" if value is None else f"{name} is no text")

    def needed(self, name: str) -> str:
        """Return a text that is not empty; raises :class:`Wrong`."""
        if not (found := self.text(name)):
            raise Wrong(f"{name} is empty")
        return found

    def count(self, name: str) -> int:
        """Return a number from 1 to 255; raises :class:`Wrong`."""
        found = self.text(name)
        if not (found.isascii() and found.isdecimal() and len(found) <= 3 and 0 < int(found) <= 255):
            raise Wrong(f"{name} is no number from 1 to 255")
        return int(found)

    def within(self, name: str) -> Said:
        """Return an object in this one, an empty one if it is missing; raises :class:`Wrong` if it is something else."""
        value = self.fields.get(name)
        return Said({}) if value is None else Said.of(value)

    def each(self, name: str) -> Sequence[Said]:
        """Return the objects of a list, none if it is missing; raises :class:`Wrong` if it is something else."""
        value = self.fields.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Wrong(f"{name} is no list")
        return [Said.of(one) for one in value]

    def moment(self, name: str) -> datetime | None:
        """Return a time, in UTC where it has no zone; ``None``: there is none that can be read, which spoils nothing else."""
        value = self.fields.get(name)
        try:
            at = datetime.fromisoformat(value) if isinstance(value, str) else None
            return at if at is None else (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
        except (OverflowError, ValueError):
            return None

    def who(self, name: str, region: str) -> Address:
        """Return who wrote, a number perhaps without the + before its country code; raises :class:`Wrong`."""
        return sender(self.needed(name), region, international=True)


def document(body: bytes) -> Any:
    """Return the JSON of a call; raises ``Unparsable``."""
    try:
        return orjson.loads(body)
    except ValueError:
        raise Unparsable("this is no JSON") from None


def events(elements: Iterable[Any], read: Callable[[Said], Sequence[InboundEvent]]) -> list[InboundEvent]:
    """Return what every element means; one that *read* cannot read (:class:`Wrong`) is kept with its bytes."""
    found: list[InboundEvent] = []
    for one in elements:
        try:
            found += read(Said.of(one))
        except Wrong as why:
            raw = orjson.dumps(one)
            found.append(Unparsed(key=f"unknown:{hashlib.sha256(raw).hexdigest()}", reason=str(why), raw=raw))
    return found


def picture(message: str, number: int, ref: str, media_type: str = "") -> Attachment:
    """Return what hangs on a message, the *number* th from 1, which lies at the provider."""
    kind = media_type.partition(";")[0].strip().lower()
    kind = kind or mimetypes.guess_type(ref.partition("?")[0])[0] or "application/octet-stream"
    return Attachment(
        name=f"{message}-{number}{mimetypes.guess_extension(kind) or ''}", media_type=kind, content=Remote(ref)
    )
