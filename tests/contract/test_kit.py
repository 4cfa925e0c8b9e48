"""The probes of the contract are connectors, too: the kit judges them. What they are not made for is waived in quality.toml."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest
from attrs import evolve

from fernamt import Address, Request, Response, Secret
from fernamt.registry import ConnectorOffer
from fernamt.testing import ConnectorConformance, FaultyProvider, ProviderCall, Recording
from tests.contract import twiml
from tests.contract.probes import batch, notifier, poller

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SECRET = Secret("a-secret-of-the-probes")


class Probe(ConnectorConformance):
    """What all have in common: they are modules, installed nowhere."""

    module: Any

    def offer(self) -> ConnectorOffer:
        found: list[ConnectorOffer] = []

        class Offers:
            def connector(self, kind: str, *, settings: Any, factory: Any, about: str) -> None:
                found.append(ConnectorOffer(kind=kind, plugin=kind, settings=settings, factory=factory, about=about))

        self.module.fernamt_register(Offers())
        return found[0]


def recording(path: str, body: bytes, *expect: Mapping[str, Any]) -> Recording:
    return Recording(name="one", path=path, body=body, expect=expect)


class TestBatch(Probe):
    kind = "batch"
    module = batch

    def server(self) -> None:
        """It calls nobody."""

    def settings(self, server: None) -> Mapping[str, object]:
        return {"secret": SECRET}

    def signed(self, request: Request) -> Request:
        mark = hmac.digest(SECRET.reveal().encode(), request.body, "sha256").hex()
        return evolve(request, headers={**request.headers, "X-Sign": mark})

    def recorded(self) -> Sequence[Recording]:
        said = [{"id": f"m{number}", "from": "ann", "text": f"text {number}"} for number in range(3)]
        expect = [{"type": "Received", "key": one["id"], "text": one["text"]} for one in said]
        return [recording("hook", json.dumps({"messages": said}).encode(), *expect)]


class Waiting(FaultyProvider):
    """A mailbox that the poller empties."""

    def __init__(self) -> None:
        super().__init__(answer=self._told)
        self._held: list[dict[str, str]] = []
        self._count = 0

    async def hold(self, *texts: str) -> None:
        for text in texts:
            self._count += 1
            self._held.append({"id": str(self._count), "from": "ann", "text": text})

    async def put(self, content: bytes) -> None:
        self._held.append(json.loads(content))

    def _told(self, call: ProviderCall) -> Response:
        if call.path == "/taken":
            self._held = [one for one in self._held if one["id"] not in call.json()]
        said = self._held[:5] if call.path == "/waiting" else []
        return Response(body=json.dumps(said).encode(), media_type="application/json")


class TestPoller(Probe):
    kind = "poller"
    module = poller
    sends = False

    def server(self) -> Waiting:
        return Waiting()

    def settings(self, server: Waiting) -> Mapping[str, object]:
        return {"base": server.url}

    def recorded(self) -> Sequence[Recording]:
        body = json.dumps({"id": "7", "from": "ann", "text": "Hallo"}).encode()
        return [recording("", body, {"type": "Received", "key": "7", "sender": "probe:ann", "text": "Hallo"})]


class History(FaultyProvider):
    """An inbox whose history the notifier reads."""

    def __init__(self) -> None:
        super().__init__(answer=self._told)
        self._past: list[dict[str, Any]] = []
        self._files: dict[str, bytes] = {}

    async def hold(self, *texts: str) -> None:
        for text in texts:
            self._past.append({"id": f"m{len(self._past)}", "from": "ann", "text": text, "files": []})

    async def hold_media(self, content: bytes) -> str:
        self._files["photo.png"] = content
        return "photo.png"

    async def lose_media(self) -> None:
        self._files.clear()

    def _told(self, call: ProviderCall) -> Response:
        if call.path.startswith("/files/"):
            content = self._files.get(call.path.removeprefix("/files/"))
            return Response(status=404) if content is None else Response(body=content)
        first = int(call.query.get("since") or 0)
        more = str(first + 4) if first + 4 < len(self._past) else ""
        said = {"messages": self._past[first : first + 4], "next": more}
        return Response(body=json.dumps(said).encode(), media_type="application/json")


class TestNotifier(Probe):
    kind = "notifier"
    module = notifier
    sends = False

    def server(self) -> History:
        return History()

    def settings(self, server: History) -> Mapping[str, object]:
        return {"base": server.url}

    def recorded(self) -> Sequence[Recording]:
        return [recording("hook", b"", {"type": "Fetch", "cursor": ""})]


class TestTwiml(Probe):
    kind = "twiml"
    module = twiml
    sends = False

    def server(self) -> None:
        """It calls nobody."""

    def settings(self, server: None) -> Mapping[str, object]:
        return {"token": SECRET}

    def recipient(self) -> Address:
        return Address("phone", "+4930123456")

    def signed(self, request: Request) -> Request:
        form = "".join(name + value for name, value in sorted(parse_qsl(request.body.decode())))
        mac = hmac.new(SECRET.reveal().encode(), (request.url + form).encode(), hashlib.sha1)
        return evolve(request, headers={**request.headers, "X-Signature": base64.b64encode(mac.digest()).decode()})

    def recorded(self) -> Sequence[Recording]:
        body = b"CallSid=CA1&From=%2B4930123456&To=%2B4930999&CallStatus=ringing"
        return [recording("voice", body, {"type": "SessionEvent", "key": "Started:None", "session": "CA1"})]
