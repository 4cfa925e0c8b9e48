"""A recording: one request of a provider, its secrets masked, and the events that a connector must make of it.

It is a JSON file that a person can read and write::

    {
      "about": "a text with an emoji",
      "kind": "courier",
      "webhook": "events",
      "request": {
        "method": "POST",
        "headers": {"Content-Type": "application/json", "X-Signature": "(masked)"},
        "body": {"events": [{"type": "message", "id": "m-1", "from": "+49301", "text": "Hallo"}]}
      },
      "at": "2026-11-22T08:00:00+00:00",
      "expected": [{"event": "Received", "key": "m-1", "id": "m-1", "sender": "phone:+49301", "text": "Hallo"}]
    }

A ``body`` that is no text is its compact JSON; ``base64`` stands for a body that is no UTF-8. Without a ``webhook`` the body is
what ``run`` read. An expected event names its class, and every field that is not its default.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs
import orjson
from attrs import evolve, frozen
from multidict import CIMultiDict

from fernamt._runtime.redact import names_secret
from fernamt.connector import Webhook
from fernamt.errors import ChannelError, FernamtError
from fernamt.inbound import InboundEvent, Request
from fernamt.model import Address, Blob, Json, Remote

MASK: Final = "(masked)"
_MIN_SECRET: Final = 4
_SIGNATURE: Final = re.compile(r"(?i)(^|[-_])(sig|sign|hmac|digest)([-_]|$)")
_FORM: Final = "application/x-www-form-urlencoded"
_TOP: Final = frozenset({"about", "kind", "webhook", "request", "at", "expected"})
_REQUEST: Final = frozenset({"method", "path", "query", "headers", "body", "base64"})


class BadRecording(FernamtError):
    """A file is no recording; the text names the file, the field, the cause and the remedy."""


@frozen(kw_only=True)
class Recording:
    """One recorded request, and what is expected of it."""

    about: str = ""
    kind: str
    webhook: str | None
    """The path of the webhook that was called; ``None``: a connector's ``run`` read the body."""
    request: Request
    """As it came, its secrets masked; sign it anew with :func:`signed`."""
    expected: tuple[Mapping[str, Json], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Return the recording in the file *path*; raises :class:`BadRecording`."""
        try:
            said = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            raise BadRecording(
                f"{path}: there is no such file. The inspector of fernamt dev saves recordings."
            ) from None
        except OSError as why:
            raise BadRecording(f"{path}: it cannot be read: {why.strerror}.") from None
        except orjson.JSONDecodeError as why:
            raise BadRecording(f"{path}:{why.lineno}: it is no JSON: {why.msg}. Correct that line.") from None
        return _Reading(path).recording(said)

    def write(self, path: Path) -> None:
        """Write the recording to *path*, so that :meth:`read` gives it back."""
        came = self.request
        parts: dict[str, Any] = {"path": came.path, "query": _texts(came.query), "headers": _texts(came.headers)}
        request = {"method": came.method} | {name: part for name, part in parts.items() if part}
        said = {
            "about": self.about,
            "kind": self.kind,
            "webhook": self.webhook,
            "request": request | _said_of_body(came.body),
            "at": came.at.isoformat(),
            "expected": [dict(one) for one in self.expected],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def recordings(folder: Path) -> tuple[Recording, ...]:
    """Return every recording in *folder*, by the names of the files: the cases of a table test. None there: empty."""
    return tuple(Recording.read(path) for path in sorted(folder.glob("*.json")))


def described(event: InboundEvent) -> dict[str, Json]:
    """Return an event as a recording expects it: its class and every field that is not its default, as plain values."""
    return {"event": type(event).__name__, **_fields(event)}


def masked(request: Request, secrets: Iterable[str]) -> Request:
    """Return the request without what is secret: by the names of headers, parameters and JSON fields, and by value.

    The words of the message stay: they are what the recording is about.
    """
    known = sorted((secret for secret in secrets if len(secret) >= _MIN_SECRET), key=len, reverse=True)

    def without(text: str) -> str:
        for secret in known:
            text = text.replace(secret, MASK)
        return text

    def of(name: str, value: str) -> str:
        return MASK if value and _is_secret(name) else without(value)

    body = _masked_body(request)
    for secret in known:
        body = body.replace(secret.encode(), MASK.encode())
    return evolve(
        request,
        url=without(request.url),
        path=without(request.path),
        query={name: of(name, value) for name, value in request.query.items()},
        headers=CIMultiDict({name: of(name, value) for name, value in request.headers.items()}),
        body=body,
    )


def signed(webhook: Webhook, request: Request) -> Request:
    """Return the request as the provider would sign it now; unchanged if the webhook says nothing of signing."""
    return request if webhook.sign is None else webhook.sign(request)


def tampered(request: Request) -> Request:
    """Return the request with one character of its body changed, or of its first parameter if it has no body."""
    if request.body:
        return evolve(request, body=_changed(request.body.decode("latin-1")).encode("latin-1"))
    query = dict(request.query)
    if query:
        name = next(iter(query))
        query[name] = _changed(query[name])
        return evolve(request, query=query)
    return evolve(request, body=b"x")


def _is_secret(name: str) -> bool:
    return names_secret(name) or _SIGNATURE.search(name) is not None


def _changed(text: str) -> str:
    found = list(re.finditer(r"[A-Za-z0-9]", text))
    at = found[len(found) // 2].start() if found else 0
    return f"{text[:at]}{'b' if text[at : at + 1] == 'a' else 'a'}{text[at + 1 :]}"


# ---- values
def _fields(value: Any) -> dict[str, Json]:
    said: dict[str, Json] = {}
    for field in attrs.fields(type(value)):
        is_now = getattr(value, field.name)
        default: Any = field.default
        if default is attrs.NOTHING or is_now != default:
            said[field.name] = _plain(is_now)
    return said


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in value]
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case Remote(ref=ref):
            return {"remote": ref}
        case Blob(digest=digest):
            return {"blob": digest}
        case ChannelError():
            return {"error": type(value).__name__, "reason": value.reason, "code": value.code}
        case _:
            return _scalar(value)


def _scalar(value: Any) -> Any:
    match value:
        case Address() | Decimal():
            return str(value)
        case Enum():
            return value.value
        case str() | bool() | int() | float() | None:
            return value
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case _:
            return _fields(value)


def _texts(named: Mapping[str, str]) -> dict[str, str]:
    """Return a plain dictionary: aiohttp's names are of a class of its own."""
    return {str(name): str(value) for name, value in named.items()}


def _said_of_body(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict | list) and orjson.dumps(parsed) == body:
        return {"body": parsed}
    try:
        return {"body": body.decode()} if body else {}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _masked_body(request: Request) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM:
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        if any(value and _is_secret(name) for name, value in pairs):
            return urlencode([(name, MASK if value and _is_secret(name) else value) for name, value in pairs]).encode()
        return request.body
    try:
        parsed = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return request.body
    cleaned = _masked_json(parsed)
    return request.body if cleaned == parsed else orjson.dumps(cleaned)


def _masked_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: MASK if isinstance(one, str) and one and _is_secret(key) else _masked_json(one)
            for key, one in value.items()
        }
    return [_masked_json(one) for one in value] if isinstance(value, list) else value


# ---- reading
class _Reading:
    """Reads one file, and says what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def recording(self, said: Any) -> Recording:
        top = self._object("", said, _TOP)
        request = self._object("request", top.get("request"), _REQUEST)
        webhook = top.get("webhook")
        if webhook is not None and not isinstance(webhook, str):
            raise self._bad("webhook", "must be the path of a webhook, or null")
        kind = self._text("kind", top.get("kind"))
        if not kind:
            raise self._bad("kind", "is missing: name the kind of channel that it was made for")
        expected = top.get("expected", [])
        if not isinstance(expected, list) or not all(isinstance(one, dict) and "event" in one for one in expected):
            raise self._bad("expected", 'must be a list of objects, each with an "event"')
        return Recording(
            about=self._text("about", top.get("about", "")),
            kind=kind,
            webhook=webhook,
            request=Request(
                method=self._text("request.method", request.get("method", "POST")),
                url="",
                path=self._text("request.path", request.get("path", "")),
                query=self._texts("request.query", request.get("query", {})),
                headers=CIMultiDict(self._texts("request.headers", request.get("headers", {}))),
                body=self._body(request),
                at=self._at(top.get("at")),
            ),
            expected=tuple(expected),
        )

    def _body(self, request: Mapping[str, Any]) -> bytes:
        if "base64" in request:
            try:
                return base64.b64decode(self._text("request.base64", request["base64"]), validate=True)
            except ValueError:
                raise self._bad("request.base64", "is no base64") from None
        body = request.get("body", "")
        return body.encode() if isinstance(body, str) else orjson.dumps(body)

    def _at(self, said: Any) -> datetime:
        try:
            at = datetime.fromisoformat(self._text("at", said))
        except ValueError:
            raise self._bad("at", "must be a time such as 2026-11-22T08:00:00+00:00") from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)

    def _object(self, key: str, said: Any, known: frozenset[str]) -> Mapping[str, Any]:
        if not isinstance(said, dict):
            raise self._bad(key or "the file", "must be an object: { ... }")
        if unknown := sorted(said.keys() - known):
            raise self._bad(f"{key}.{unknown[0]}".lstrip("."), f"is no key here. Known: {', '.join(sorted(known))}")
        return said

    def _texts(self, key: str, said: Any) -> Mapping[str, str]:
        if not isinstance(said, dict) or not all(isinstance(one, str) for one in said.values()):
            raise self._bad(key, "must be an object of texts")
        return said

    def _text(self, key: str, said: Any) -> str:
        if not isinstance(said, str):
            raise self._bad(key, "is missing or no text")
        return said

    def _bad(self, key: str, problem: str) -> BadRecording:
        return BadRecording(f"{self._path}: {key}: {problem}.")
