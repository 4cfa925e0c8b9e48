"""A Telnyx that misbehaves as it is told: as much of its API as the connector uses, and the key that it signs with."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any, Final

from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multidict import CIMultiDict

from fernamt import Request, Response
from fernamt.testing import ProviderCall, ProviderFault, Trouble

from ..lines import ANN
from ..pictures import KeepsPictures

TOKEN: Final = "KEY-of-the-tests"
PRIVATE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PROFILE: Final = "4000eba1-a0c0-4563-9925-b25e842a7cb6"


def public(key: Ed25519PrivateKey) -> str:
    """Return the other half of a key, as the portal shows it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def sign(request: Request, key: Ed25519PrivateKey = PRIVATE, *, at: str | None = None) -> Request:
    """Return *request* as Telnyx sends it."""
    time = at if at is not None else str(int(request.at.timestamp()))
    made = base64.b64encode(key.sign(time.encode() + b"|" + request.body)).decode()
    headers = {**request.headers, "Telnyx-Signature-Ed25519": made, "Telnyx-Timestamp": time}
    return evolve(request, headers=CIMultiDict(headers))


class FakeTelnyx(KeepsPictures):
    """One account with one number."""

    def __init__(self) -> None:
        super().__init__(honours_keys=True, answer=self._answered, sends=lambda call: call.method == "POST")
        self.profile: dict[str, Any] = {"id": PROFILE, "enabled": True, "webhook_url": ""}
        self.refusing: tuple[int, str, str] | None = None
        """Status, code and title of every answer to a message."""
        self._numbers = itertools.count(1)

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Telnyx's own words."""
        await super().meet(trouble)
        said = {
            Trouble.LOGIN: (401, "10009"),
            Trouble.REFUSED: (400, "40310"),
            Trouble.FAILED: (500, "10007"),
        }
        if trouble in said:
            status, code = said[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=errors(code), media_type="application/json"))

    def _answered(self, call: ProviderCall) -> Response:
        if (picture := self.picture(call)) is not None:
            return picture
        match call.method, call.path:
            case "GET", "/v2/balance":
                return _json({"record_type": "balance", "balance": "300.00", "currency": "USD"})
            case "GET", path if path == f"/v2/messaging_profiles/{PROFILE}":
                return _json(self.profile)
            case "POST", "/v2/messages":
                return self._sent(call.json())
            case _:
                return Response(status=404, body=errors("10005"), media_type="application/json")

    def _sent(self, said: Any) -> Response:
        if self.refusing is not None:
            status, code, title = self.refusing
            return Response(status=status, body=errors(code, title), media_type="application/json")
        return _json(
            {
                "record_type": "message",
                "direction": "outbound",
                "id": f"40385f64-5717-4562-b3fc-{next(self._numbers):012x}",
                "type": said["type"],
                "from": {"phone_number": said["from"], "carrier": "Telnyx", "line_type": "Wireless"},
                "to": [{"phone_number": said["to"], "status": "queued", "carrier": "", "line_type": "Wireless"}],
                "text": said.get("text"),
                "parts": 1,
                "errors": [],
            }
        )


def errors(code: str, title: str = "Said in words") -> bytes:
    """Return an error, in words that hold a number."""
    return json.dumps({"errors": [{"code": code, "title": title, "detail": f"It cannot go to {ANN}."}]}).encode()


def _json(data: Any) -> Response:
    return Response(body=json.dumps({"data": data}).encode(), media_type="application/json")
