"""Where something stands in what a gateway says: a path in its JSON, or a pattern in its text. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from attrs import Attribute, field, frozen

_SEARCHED: Final = 65_536
_MISSING: Final = object()


@frozen
class Document:
    """What a gateway said."""

    text: str = field(repr=False)
    value: Any = field(repr=False)
    """As JSON; ``None`` if it is none."""

    @classmethod
    def of(cls, body: bytes) -> Document:
        """Read a body, whatever it is."""
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        return cls(body[:_SEARCHED].decode("utf-8", "replace"), value)


@frozen
class Place:
    r"""Names a value: ``messages.0.status`` in JSON, or ``/^OK (\S+)/`` in text, whose group it is."""

    path: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """Read what an operator wrote, ``None`` for nothing; raises ``ValueError`` with the remedy."""
        if not text:
            return None
        if not text.startswith("/"):
            return cls(path=tuple(text.split(".")))
        if len(text) < 3 or not text.endswith("/"):
            raise ValueError("a pattern stands between two slashes: /^OK (\\S+)/")
        try:
            pattern = re.compile(text[1:-1], re.MULTILINE)
        except re.error as why:
            raise ValueError(f"this is no regular expression: {why}") from None
        if pattern.groups > 1:
            raise ValueError("a pattern has one group at most, the value; write the others as (?:...)")
        return cls(pattern=pattern)

    def find(self, said: Document) -> str | None:
        """Return the value as text, ``None`` if it is not there; of a pattern without a group what it matches."""
        if self.pattern is not None:
            match = self.pattern.search(said.text)
            return None if match is None else match[self.pattern.groups]
        return as_text(self.value(said.value))

    def value(self, said: Any) -> Any:
        """Return what stands there in JSON, ``None`` if nothing does."""
        if isinstance(said, Mapping) and (whole := ".".join(self.path)) in said:
            return said[whole]
        for name in self.path:
            if isinstance(said, Mapping):
                said = said.get(name, _MISSING)
            elif isinstance(said, list) and name.isdecimal() and int(name) < len(said):
                said = said[int(name)]
            else:
                return None
        return None if said is _MISSING else said


def as_text(value: Any) -> str | None:
    """Return a text, number or truth of JSON as text; ``None`` for anything else."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return None


def place(_: Any, attribute: Attribute[str], value: str) -> None:
    """Let a right place pass, for attrs' ``validator=``."""
    try:
        Place.parse(value)
    except ValueError as why:
        raise ValueError(f"{attribute.name} is {value!r}: {why}") from None


def path(_: Any, attribute: Attribute[str], value: str) -> None:
    """Let a path pass where a pattern finds nothing, for attrs' ``validator=``."""
    if value.startswith("/"):
        raise ValueError(f"{attribute.name} is {value!r}; here only a path counts, for instance data.from")
