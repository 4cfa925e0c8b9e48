"""What we say to a gateway: forms with places in braces, each filled in by the rules of its format. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode
from xml.sax.saxutils import escape

import orjson

Format: TypeAlias = Literal["json", "form", "xml", "none"]
MEDIA_TYPES: Final[Mapping[Format, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "text/xml; charset=utf-8",
    "none": "",
}

NAMES: Final = frozenset({"to", "digits", "text", "sender", "key", "parts", "encoding", "callback", "secret"})
_PLACE: Final = re.compile(r"\{([a-z_]+)(:number)?\}")
_NEARLY: Final = re.compile(r"\{\s*[A-Za-z_]+\s*(:[^{}\"]*)?\}")
"""What is meant for one: it would go to the customer as it stands."""


def check(template: str) -> None:
    """Raise ``ValueError`` if a place has a name that we do not know."""
    for found in _NEARLY.finditer(template):
        place = _PLACE.fullmatch(found[0])
        if place is None or place[1] not in NAMES:
            raise ValueError(f"there is no {found[0]}; there are {', '.join(f'{{{name}}}' for name in sorted(NAMES))}")


def check_body(template: str, form: Format) -> None:
    """Raise ``ValueError`` if a body is not what its format says."""
    check(template)
    if form == "json":
        try:
            orjson.loads(template)
        except orjson.JSONDecodeError as why:
            raise ValueError(f'it is no JSON: {why}. Each place stands within a text: "{{to}}"') from None
    if form == "form":
        pairs(template)
    if form == "none" and template:
        raise ValueError("format = 'none' has no body: write json, form or xml")


def pairs(template: str) -> list[tuple[str, str]]:
    """Return names and templates of ``to={to}&text={text}``; raises ``ValueError``."""
    try:
        return parse_qsl(template, keep_blank_values=True, strict_parsing=True) if template else []
    except ValueError:
        raise ValueError("write it as name={to}&other={text}") from None


def filled(template: str, values: Mapping[str, str], by: Callable[[str], str] = str) -> str:
    """Return the template with its values, each made harmless by *by*."""
    return _PLACE.sub(lambda found: by(values[found[1]]), template)


def query(template: str, values: Mapping[str, str]) -> str:
    """Return a form or query with its values."""
    return urlencode([(name, filled(value, values)) for name, value in pairs(template)])


def in_path(text: str) -> str:
    """Return a text that stands in an address and ends nothing there."""
    return quote(text, safe="")


def body(template: str, form: Format, values: Mapping[str, str]) -> bytes:
    """Return a body with its values: whatever they hold, they stay values."""
    match form:
        case "json":
            return orjson.dumps(_in_json(orjson.loads(template), values))
        case "form":
            return query(template, values).encode()
        case "xml":
            return filled(template, values, lambda text: escape(_no_controls(text), {'"': "&quot;"})).encode()
        case "none":
            return b""


def _in_json(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case str():
            whole = _PLACE.fullmatch(value)
            if whole is not None and whole[2]:
                return _number(values[whole[1]])
            return filled(value, values)
        case list():
            return [_in_json(one, values) for one in value]
        case dict():
            return {name: _in_json(one, values) for name, one in value.items()}
        case _:
            return value


def _number(text: str) -> int | str:
    digits = text.removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdecimal() else text


def _no_controls(text: str) -> str:
    """XML 1.0 has no way to say them."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", " ", text)
