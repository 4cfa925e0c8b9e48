"""Values made fit to be stored: what a database refuses is replaced, HTML is cleaned, before any transaction."""

from __future__ import annotations

from typing import Any, Final

import nh3
from attrs import evolve, fields

from fernamt.inbound import InboundEvent, Received
from fernamt.model import Address

_TAGS: Final = nh3.ALLOWED_TAGS - {"map", "area"}
_PICTURES: Final = {"cid", "data"}
"""A remote picture tells its sender that the mail was read."""


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
    """Return the event with every text storable and its HTML cleaned."""
    dirty: dict[str, Any] = {}
    for name in _TEXTS.get(type(event), ()):
        value = getattr(event, name)
        if value:
            clean = storable_text(value)
            if clean is not value:
                dirty[name] = clean
    if isinstance(event, Received):
        if event.html:
            dirty["html"] = clean_html(dirty.get("html", event.html))
        if event.attachments:
            dirty["attachments"] = tuple(
                evolve(one, name=storable_text(one.name), media_type=storable_text(one.media_type))
                for one in event.attachments
            )
        for name in ("sender", "aliases", "cc"):
            value = getattr(event, name)
            clean_value = _address(value) if isinstance(value, Address) else tuple(_address(one) for one in value)
            if clean_value != value:
                dirty[name] = clean_value
    return evolve(event, **dirty) if dirty else event


def _address(address: Address) -> Address:
    value = storable_text(address.value)
    return address if value is address.value else Address(address.scheme, value)


def clean_html(html: str) -> str:
    """Return HTML that runs nothing and loads nothing from elsewhere."""
    return nh3.clean(
        html, tags=_TAGS, attribute_filter=_attribute, url_schemes=_SCHEMES, link_rel="noopener noreferrer"
    )


_SCHEMES: Final = {"http", "https", "mailto", "tel", "cid", "data"}


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    scheme = value.strip().partition(":")[0].lower()
    if attribute == "src":
        return value if tag == "img" and scheme in _PICTURES else None
    if attribute in {"href", "cite"}:
        return None if scheme in _PICTURES else value
    return value


def _texts(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if one.type in {"str", str})


_TEXTS: Final = {kind: _texts(kind) for kind in InboundEvent.__args__}
