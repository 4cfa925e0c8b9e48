"""Values made fit to be stored: what a database refuses is replaced, HTML is cleaned, before any transaction."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import attrs
import nh3

from fernamt.errors import ChannelError
from fernamt.inbound import InboundEvent, Received

_T = TypeVar("_T")
_TAGS: Final = nh3.ALLOWED_TAGS - {"map", "area"}
_PICTURES: Final = {"cid", "data"}
"""A remote picture tells its sender that the mail was read."""
_SCHEMES: Final = {"http", "https", "mailto", "tel", *_PICTURES}


def storable_text(text: str) -> str:
    """Return *text* without NUL and lone surrogates, which no database takes."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = text.encode("utf-8", "replace").decode()
    return text


def storable(event: InboundEvent) -> InboundEvent:
    """Return the event with every text in it storable and its HTML cleaned."""
    if type(event) is Received and _is_plain(event):
        whole = (
            f"{event.key}{event.text}{event.id}{event.sender_name}{event.subject}{event.choice}{event.sender.scheme}"
            f"{event.sender.value}{event.thread.token}{event.thread.place}"
        )
        if storable_text(whole) is whole:
            return event
    clean = _clean(event)
    if isinstance(clean, Received) and clean.html:
        return attrs.evolve(clean, html=clean_html(clean.html))
    return clean


def _is_plain(event: Received) -> bool:
    return not (event.html or event.attachments or event.aliases or event.cc or event.part or event.thread.references)


def _clean(value: _T) -> _T:
    """Return *value* with every text below it storable; itself, if all are."""
    clean: Any = value
    if isinstance(value, str):
        clean = type(value)(storable_text(value)) if storable_text(value) is not value else value
    elif isinstance(value, tuple):
        parts = [_clean(one) for one in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            clean = tuple(parts)
    elif isinstance(value, ChannelError):
        value.reason, value.code = storable_text(value.reason), storable_text(value.code)
    elif attrs.has(type(value)):
        dirty = {}
        kind: Any = type(value)
        for field in attrs.fields(kind):
            old = getattr(value, field.name)
            new = _clean(old)
            if new is not old:
                dirty[field.alias or field.name] = new
        clean = attrs.evolve(value, **dirty) if dirty else value  # type: ignore[misc]
    result: _T = clean
    return result


def clean_html(html: str) -> str:
    """Return HTML that runs nothing and loads nothing from elsewhere."""
    return nh3.clean(
        html, tags=_TAGS, attribute_filter=_attribute, url_schemes=_SCHEMES, link_rel="noopener noreferrer"
    )


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    scheme = value.strip().partition(":")[0].lower()
    if attribute == "src":
        return value if tag == "img" and scheme in _PICTURES else None
    if attribute in {"href", "cite"}:
        return None if scheme in _PICTURES else value
    return value
