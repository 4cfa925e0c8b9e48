"""A definition as bytes: the same for the same content, whatever it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs
import orjson

from fernamt.menus.definition import MenuDefinition, kind_of
from fernamt.menus.walk import VERSION


def written_down(definition: MenuDefinition, menus: Mapping[str, MenuDefinition]) -> bytes:
    """Return what the digest of a menu is made of: all that it says and does, and the version of the state that it keeps."""
    whole = {
        "engine": VERSION,
        "menu": plain(definition),
        "menus": {name: plain(menus[name]) for name in sorted(menus)},
    }
    return orjson.dumps(whole)


def plain(value: Any) -> Any:
    """Return a value of a definition as JSON knows it. Raises ``TypeError`` for what has none."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case set() | frozenset():
            return sorted(map(str, value))
        case datetime() | date() | Decimal():
            return str(value)
        case _ if attrs.has(type(value)):
            fields = {one.name: plain(getattr(value, one.name)) for one in attrs.fields(type(value))}
            return {"": kind_of(value), **fields}
        case _:
            raise TypeError(f"a {type(value).__name__} has no place in a menu")
