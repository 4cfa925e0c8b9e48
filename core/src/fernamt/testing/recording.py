"""Recordings: what a provider sent, with its secrets masked, and what it means. One JSON file each.

::

    {
      "about": "a message with an emoji",
      "kind": "courier",
      "at": "2026-11-21T12:00:00+00:00",
      "request": {"method": "POST", "path": "events", "headers": {"Content-Type": "application/json"}, "body": "{...}"},
      "expect": [{"type": "Received", "key": "m-1", "sender": "phone:+4915112345678", "text": "Hallo 🙂"}]
    }

``kind`` and ``at`` may be missing. ``path`` is the path below ``/in/<channel>/``, ``body`` the exact text (``body_base64`` for bytes that are none). For a channel
that is not called but polls or streams, only the body counts: what waits at the provider. Of each event only the named
fields are compared; ``{"handshake": "4711"}`` instead of the list expects that answer. A file says what was seen, so it is
never changed by a test.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, quote_plus, urlencode

import attrs
import orjson
from attrs import evolve, field, frozen
from multidict import CIMultiDict, CIMultiDictProxy

from fernamt._runtime.redact import names_secret
from fernamt.inbound import Handshake, InboundEvent, Request
from fernamt.model import Address, Remote

MASKED: Final = "masked"
_SIGNED: Final = re.compile(r"(?i)(^|[-_])(sig|sign|hmac|digest)([-_]|$)")
_NOTHING: Final[Mapping[str, str]] = {}


@frozen(kw_only=True)
class Recording:
    """One request of a provider, or one message that waited there, and the events that it stands for."""

    name: str = ""
    """The file's, without its ending."""
    about: str = ""
    kind: str = ""
    """The kind of channel that it belongs to; ``""``: not said."""
    at: datetime | None = None
    """When it came."""
    method: str = "POST"
    path: str = ""
    query: Mapping[str, str] = _NOTHING
    headers: Mapping[str, str] = _NOTHING
    body: bytes = field(default=b"", repr=False)
    expect: Sequence[Mapping[str, Any]] | str = ()
    """The named fields of each event, or the body of a handshake's answer."""

    @classmethod
    def of(
        cls, request: Request, path: str, events: Sequence[InboundEvent] | Handshake, *, about: str = "", kind: str = ""
    ) -> Self:
        """Return a recording of what was seen: *path* is the whole path below ``/in/<channel>/``. Not masked yet."""
        if isinstance(events, Handshake):
            expect: Sequence[Mapping[str, Any]] | str = events.response.body.decode("utf-8", "replace")
        else:
            expect = [plain(event) for event in events]
        return cls(
            about=about,
            kind=kind,
            at=request.at,
            method=request.method,
            path=path,
            query=_plain_texts(request.query),
            headers=_plain_texts(request.headers),
            body=request.body,
            expect=expect,
        )

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read a file; raises ``ValueError`` with its name if it is no recording."""
        try:
            said = orjson.loads(file.read_bytes())
            request, expect = said["request"], said["expect"]
            body = base64.b64decode(encoded) if (encoded := request.get("body_base64")) else request["body"].encode()
            return cls(
                name=file.stem,
                about=said.get("about", ""),
                kind=said.get("kind", ""),
                at=datetime.fromisoformat(said["at"]) if "at" in said else None,
                method=request.get("method", "POST"),
                path=request.get("path", ""),
                query=request.get("query", {}),
                headers=request.get("headers", {}),
                body=body,
                expect=expect["handshake"] if isinstance(expect, dict) else expect,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as why:
            raise ValueError(f"{file.name} is no recording: {type(why).__name__} {why}") from why

    def save(self, file: Path) -> None:
        """Write a file."""
        request: dict[str, Any] = {"method": self.method, "path": self.path} if self.path else {}
        request |= {name: dict(value) for name in ("query", "headers") if (value := getattr(self, name))}
        try:
            request["body"] = self.body.decode()
        except UnicodeDecodeError:
            request["body_base64"] = base64.b64encode(self.body).decode()
        expect = {"handshake": self.expect} if isinstance(self.expect, str) else list(self.expect)
        said: dict[str, Any] = {"about": self.about}
        if self.kind:
            said["kind"] = self.kind
        if self.at is not None:
            said["at"] = self.at.isoformat()
        said |= {"request": request, "expect": expect}
        file.write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def masked(self, secrets: Iterable[str]) -> Self:
        """Return it without *secrets* and without the values of headers and parameters whose names say secret."""
        clean = partial(without_secrets, secrets=[*secrets])

        def hidden(values: Mapping[str, str]) -> dict[str, str]:
            return {
                name: MASKED if names_secret(name) or _SIGNED.search(name) else clean(value)
                for name, value in values.items()
            }

        body = clean(self.body.decode("utf-8", "surrogateescape"))
        expect = self.expect
        if not isinstance(expect, str):
            expect = orjson.loads(clean(orjson.dumps(list(expect)).decode()))
        return evolve(
            self,
            query=hidden(self.query),
            headers=hidden(self.headers),
            body=body.encode("utf-8", "surrogateescape"),
            expect=expect,
        )

    def request(self, url: str, path: str, *, at: datetime) -> Request:
        """Return the request again, without what was masked: to the webhook at *path* of the channel at *url*, received at *at*.

        It is signed by nobody: ``Webhook.sign`` does that.
        """
        headers = CIMultiDict((name, value) for name, value in self.headers.items() if value != MASKED)
        return Request(
            method=self.method,
            url=f"{url}{self.path}{_query(self.query)}",
            path=self.path.removeprefix(path).strip("/"),
            query={name: value for name, value in self.query.items() if value != MASKED},
            headers=CIMultiDictProxy(headers),
            body=self.body,
            at=at,
        )

    def differences(self, events: Sequence[InboundEvent]) -> list[str]:
        """Return what is different in *events* from what is expected, as far as both go."""
        found = []
        for number, (event, wanted) in enumerate(zip(events, self.expect, strict=False), 1):
            assert isinstance(wanted, Mapping)
            seen = {
                "type": type(event).__name__,
                **{one.name: None for one in attrs.fields(type(event))},
                **plain(event),
            }
            for name, value in wanted.items():
                if seen.get(name) != value and not (value in _EMPTY and seen.get(name) is None):
                    found.append(f"event {number}: {name} is {seen.get(name)!r}, expected is {value!r}")
        return found


_EMPTY: Final[tuple[Any, ...]] = ("", [], (), None, False)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return *text* with every secret masked, as it is and as it stands in an address."""
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    pattern = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.sub(pattern, MASKED, text) if forms else text


def _plain_texts(named: Mapping[str, str]) -> dict[str, str]:
    """Return a dictionary of plain texts: the names of aiohttp's headers are of a class of their own."""
    return {str(name): str(value) for name, value in named.items()}


def _query(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}" if query else ""


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: events as objects with their type, without what is as it is by default."""
    match value:
        case Address():
            return str(value)
        case Remote(ref=ref):
            return {"remote": ref}
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case Exception():
            return {"type": type(value).__name__, "reason": str(value)}
        case list() | tuple() | frozenset():
            return [plain(one) for one in value]
        case _ if attrs.has(type(value)):
            said = {one.name: getattr(value, one.name) for one in attrs.fields(type(value))}
            defaults = {one.name: one.default for one in attrs.fields(type(value))}
            return {"type": type(value).__name__} | {
                name: plain(one) for name, one in said.items() if one != defaults[name]
            }
        case _:
            return value
