"""The redactor: what may not stand in a log, by the name of its field, by its value, and by its look."""

from __future__ import annotations

import base64
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, MutableMapping
from datetime import datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote, quote_plus

import attrs

from fernamt.model import Address

HIDDEN: Final = "[redacted]"
_MIN_SECRET: Final = 4
_MAX_TEXT: Final = 4_000
_MAX_ITEMS: Final = 64
_MAX_DEPTH: Final = 6
_LAST_FRAMES: Final = 8
_INT64: Final = 2**63

_SECRET_KEYS: Final = re.compile(
    r"passw|passphrase|token|secret|authori[sz]ation|api_?key|private_?key|credential|cookie|signature"
)
# Words of customers and agents, and what they type.
_TEXT_KEYS: Final = re.compile(
    r"(?:text|body|html|subject|content|raw|payload|message|caption|draft|transcript|words|pin|otp|tan"
    r"|(?:sender|customer|display)_name)"
)
# Mostly the text of an exception.
_FOREIGN_KEYS: Final = frozenset({"said", "error", "reason", "cause"})
_PLAIN_KEYS: Final = frozenset({"level", "timestamp"})

_LOOKS: Final = tuple(
    (re.compile(look), mask)
    for look, mask in (
        (r"://[^/\s@]+@", "://…@"),
        (r"(?i)([?&][\w-]*(?:token|key|sig|signature|code|password|secret)=)[^&\s]+", r"\1…"),
        (r"(?i)\b(Bearer|Basic) +[\w.~+/=-]{6,}", r"\1 …"),
        (r"(?<![\w.+%-])(\w)[\w.+%-]*@([\w-]+(?:\.[\w-]+)+)", r"\1…@\2"),
        (r"\b(phone|tel|sms|whatsapp|signal|sip):(\+?\w{2})[\w.-]+(\w{2})\b", r"\1:\2…\3"),
    )
)
# Most texts have no sign of any look, and are spared the search for them.
_SIGNS: Final = re.compile(r"[@:=]|(?i:bearer|basic) ")
_NUMBERS: Final = re.compile(r"\d(?:[ ()/.-]{0,3}\w){6}")
_IBAN: Final = re.compile(r"\b([A-Z]{2}\d{2})(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_PHONE: Final = re.compile(r"(?<![\w.,:+-])(?:\+|0)\d(?:[ ()/.-]{0,3}\d){6,}")
_QUOTED: Final = re.compile(r"""(?<!\w)b?(["'])((?:\\.|(?!\1).)*)\1(?!\w)""", re.DOTALL)


class Redactor:
    """A structlog processor that makes an event fit to be written: plain values, nothing secret, no customer's words.

    - Fields whose name says secret or text (at any depth) lose their value.
    - Secrets that :meth:`known` was told of are taken out of every text, also URL-quoted, escaped and in base64.
    - E-mail addresses, telephone numbers, IBANs and credentials in addresses are masked by their look.
    - An exception becomes its type, its cleaned message and its last frames; never its local variables.

    What it cannot know: a customer's words that a programmer puts, unquoted, into an exception or an event's name.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        """Longest first, so that a secret that begins with another one is taken whole."""

    def known(self, secrets: Iterable[str]) -> None:
        """Take these values out of everything from now on. Shorter than four characters they cannot be told from text."""
        forms = set(self._forms)
        for secret in secrets:
            lines = [line.strip() for line in secret.splitlines() if len(line.strip()) >= 16]
            encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
            forms |= {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], encoded, *lines}
        self._forms = tuple(sorted((it for it in forms if len(it) >= _MIN_SECRET), key=lambda it: (-len(it), it)))

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """See the class."""
        why = _exception(event.pop("exc_info", None))
        cleaned = {
            str(key): value if key in _PLAIN_KEYS else self._field(str(key), value, 0) for key, value in event.items()
        }
        if why is not None:
            cleaned["exception"] = self.exception(why)
        return cleaned

    def text(self, text: str) -> str:
        """Return the text with what is known or looks like a secret or a person's handle taken out; at most 4,000 characters."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, HIDDEN)
        if len(text) > _MAX_TEXT:
            # Back to a space: half an address would not be recognised.
            text = f"{text[:_MAX_TEXT].rpartition(' ')[0] or text[: _MAX_TEXT // 2]} … ({len(text)} characters)"
        if not text.isascii():
            text = text.encode("utf-8", "backslashreplace").decode()
        if _SIGNS.search(text):
            for look, mask in _LOOKS:
                text = look.sub(mask, text)
        if _NUMBERS.search(text):
            text = _PHONE.sub(lambda found: _ends(found[0]), _IBAN.sub(r"\1…", text))
        return text

    def foreign(self, text: str) -> str:
        """Return :meth:`text` of what a library says: beside that, quoted values that could be somebody's words go."""
        text = text.partition("\n[SQL:")[0].partition("\n[parameters:")[0]
        return self.text(_QUOTED.sub(_without_words, text[: 4 * _MAX_TEXT]))

    def exception(self, why: BaseException) -> dict[str, Any]:
        """Return an exception as plain values, with up to three that led to it."""
        shown: dict[str, Any] = {
            "type": type(why).__name__,
            "said": self.foreign(_said(why)),
            "frames": [
                f"{'/'.join(PurePath(frame.filename).parts[-3:])}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(why.__traceback__)[-_LAST_FRAMES:]
            ],
        }
        if notes := getattr(why, "__notes__", None):
            shown["notes"] = [self.foreign(str(note)) for note in notes[:_LAST_FRAMES]]
        if isinstance(why, BaseExceptionGroup):
            shown["inside"] = [
                f"{type(it).__name__}: {self.foreign(_said(it))}" for it in why.exceptions[:_LAST_FRAMES]
            ]
        led: list[str] = []
        before = _before(why)
        while before is not None and len(led) < 3:
            led.append(f"{type(before).__name__}: {self.foreign(_said(before))}")
            before = _before(before)
        if led:
            shown["after"] = led
        return shown

    def _field(self, key: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if _is_hidden(key):
            return HIDDEN
        if key in _FOREIGN_KEYS and isinstance(value, str):
            return self.foreign(value)
        try:
            return self._plain(value, depth)
        except Exception:  # noqa: BLE001 - the repr of a stranger's object may raise; logging never does
            return f"(unreadable {type(value).__name__})"

    def _plain(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(str(value))
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return int(value) if -_INT64 <= value < _INT64 else str(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"({len(value)} bytes)"
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, Address):
            masked = self.text(value.value)
            return f"{value.scheme}:{masked if masked != value.value else _ends(masked)}"
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {self.foreign(_said(value))}"
        return self._inside(value, depth)

    def _inside(self, value: Any, depth: int) -> Any:
        if depth >= _MAX_DEPTH:
            return f"({type(value).__name__})"
        if attrs.has(type(value)):
            value = {it.name: getattr(value, it.name) for it in attrs.fields(type(value)) if it.repr is not False}
        if isinstance(value, Mapping):
            items = list(value.items())[:_MAX_ITEMS]
            return {self.text(str(key)): self._field(str(key), item, depth + 1) for key, item in items}
        if isinstance(value, Collection):
            return [self._field("", item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
        return self.text(str(value))


def names_secret(key: str) -> bool:
    """Return whether a field, header or parameter of this name holds a secret."""
    return _SECRET_KEYS.search(key.lower().replace("-", "_")) is not None


@lru_cache(maxsize=1024)
def _is_hidden(key: str) -> bool:
    return bool(_TEXT_KEYS.fullmatch(key.lower().replace("-", "_"))) or names_secret(key)


def _ends(text: str) -> str:
    kept = re.sub(r"[ ()/.-]", "", text)
    start = 3 if kept.startswith("+") else 2
    return f"{kept[:start]}…{kept[-2:]}" if len(kept) > start + 2 else "…"


def _without_words(found: re.Match[str]) -> str:
    quoted = found[2]
    return f"'…({len(quoted)})'" if len(quoted) > 24 or re.search(r"\s|\\[nrt]", quoted) else found[0]


def _said(why: BaseException) -> str:
    try:
        return str(why)
    except Exception:  # noqa: BLE001 - even the text of a stranger's exception may raise
        return "(unreadable)"


def _before(why: BaseException) -> BaseException | None:
    return why.__cause__ or (None if why.__suppress_context__ else why.__context__)


def _exception(given: Any) -> BaseException | None:
    if isinstance(given, tuple):
        given = given[1]
    if given is True:
        given = sys.exc_info()[1]
    return given if isinstance(given, BaseException) else None
