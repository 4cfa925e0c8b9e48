"""Values made fit to be stored: what a database refuses is replaced, HTML is cleaned, before any transaction."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, TypeVar

import attrs
import nh3

from fernamt.errors import ChannelError
from fernamt.inbound import InboundEvent, Received, Thread
from fernamt.model import Address
from fernamt.session import SessionEvent

_T = TypeVar("_T")
_Event = TypeVar("_Event", bound=InboundEvent)
_TAGS: Final = nh3.ALLOWED_TAGS - {"map", "area"}
_PICTURES: Final = {"cid", "data"}
"""A remote picture tells its sender that the mail was read."""
_SCHEMES: Final = {"http", "https", "mailto", "tel", *_PICTURES}
QUICK_HTML: Final = 16_384
HTML_MAX: Final = 500_000
_TAGS_MAX: Final = 20_000
_FORMATTED_TAGS_MAX: Final = 500
_FORMATTING: Final = re.compile(r"<(/?)(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])", re.IGNORECASE)
REFERENCES_MAX: Final = 100
_PLACE_MAX: Final = 500
_VALUE_MAX: Final = 1_000
"""Longer keys fit into no index of PostgreSQL."""


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


def storable(event: _Event) -> _Event:
    """Return the event with every text in it storable and its HTML cleaned.

    Raises:
        ValueError: It has no key, nobody sent it, or somebody in it has no address.
    """
    texts: list[str] = []
    people: list[Address] = []
    _look(event, texts, people)
    whole = "".join(texts)
    clean: Any = event if storable_text(whole) is whole else cleaned(event)
    if type(clean) is Received:
        if type(clean.sender) is not Address:
            raise ValueError("nobody sent it")
        clean = attrs.evolve(clean, html=clean_html(clean.html), thread=_bounded(clean.thread))
    if not all(_is_somebody(one) for one in people):
        raise ValueError("somebody in it has no address")
    if type(clean) is SessionEvent and not 0 < len(clean.session) <= _VALUE_MAX:
        raise ValueError("it names no session")
    if not getattr(clean, "key", True):
        raise ValueError("it has no key")
    result: _Event = clean
    return result


def is_plain(event: InboundEvent) -> bool:
    """Say whether :func:`storable` would return the event as it is: most are a few short texts, looked at together."""
    try:
        if type(event) is not Received or event.html or event.attachments or event.aliases or event.cc:
            return False
        thread, sender = event.thread, event.sender
        if event.acknowledgement or event.part or event.folded or event.marks or thread.references:
            return False
        whole = (
            f"{event.key}{event.text}{event.id}{event.sender_name}{event.subject}{event.choice}{sender.scheme}"
            f"{sender.value}{thread.token}{thread.place}"
        )
        is_clean = storable_text(whole) is whole and len(thread.place) <= _PLACE_MAX
        return is_clean and bool(event.key) and _is_somebody(sender)
    except (AttributeError, TypeError):  # a connector's value of another type: told where it is made storable
        return False


def _is_somebody(one: Address) -> bool:
    return bool(one.value and one.scheme and ":" not in one.scheme and len(one.value) <= _VALUE_MAX)


def _look(value: Any, texts: list[str], people: list[Address]) -> None:
    """Add every text below *value*, and everybody whom it names; a list counts as the tuple that it should be."""
    kind: Any = type(value)
    if kind is Address:
        people.append(value)
    elif isinstance(value, str):
        texts.append(value)
    parts_of = _parts_of(kind)
    for one in value if kind is tuple or kind is list else parts_of(value) if parts_of else ():
        if type(one) is str:
            texts.append(one)
        elif one:
            _look(one, texts, people)


@cache
def _parts_of(kind: Any) -> Callable[[Any], tuple[Any, ...]] | None:
    """Return what gives the values in a value of that class; ``None``: there are none in it."""
    names = ["reason", "code"] if issubclass(kind, ChannelError) else []
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
    return attrgetter(*names, "__doc__") if names else None  # of one name alone it would give no tuple


def _bounded(thread: Thread) -> Thread:
    if len(thread.place) <= _PLACE_MAX and len(thread.references) <= REFERENCES_MAX:
        return thread
    place = thread.place
    if len(place) > _PLACE_MAX:
        place = f"sha256:{sha256(place.encode()).hexdigest()}"
    return attrs.evolve(thread, references=thread.references[:REFERENCES_MAX], place=place)


def cleaned(value: _T) -> _T:
    """Return *value* with every text below it storable."""
    clean: Any = value
    if isinstance(value, str):
        clean = type(value)(storable_text(value))
    elif isinstance(value, tuple | list):
        clean = tuple(cleaned(one) for one in value)
    elif isinstance(value, ChannelError):
        value.reason, value.code = storable_text(value.reason), storable_text(value.code)
    elif attrs.has(type(value)):
        fields = attrs.fields(type(clean))
        clean = attrs.evolve(clean, **{it.alias or it.name: cleaned(getattr(value, it.name)) for it in fields})
    result: _T = clean
    return result


def clean_html(html: str) -> str:
    """Return HTML that runs nothing and loads nothing from elsewhere; nothing of it if reading it would take too long.

    A parser of HTML works quadratically on some input, and repeats open formatting in every block after it: a small text
    becomes a large tree. So beyond a few tags formatting is not kept, and beyond many the HTML is not. Above
    :data:`QUICK_HTML` characters call it in a thread: it may take seconds there, and lets the others work.
    """
    tags = html.count("<")
    if tags > _TAGS_MAX or len(html) > HTML_MAX:
        return ""
    if tags > _FORMATTED_TAGS_MAX:
        html = _FORMATTING.sub(r"<\1span", html)
    return nh3.clean(
        html, tags=_TAGS, attribute_filter=_attribute, url_schemes=_SCHEMES, link_rel="noopener noreferrer"
    )


def _attribute(tag: str, attribute: str, value: str) -> str | None:
    scheme = value.strip().partition(":")[0].lower()
    if attribute == "src":
        return value if tag == "img" and scheme in _PICTURES else None
    if attribute == "href":
        return None if scheme in _PICTURES else value
    # Of cite the cleaner does not look at the scheme, and nobody follows it.
    return None if attribute == "cite" else value
