"""A Vonage that misbehaves as it is told: its SMS API, which answers 200 to almost everything."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import parse_qsl

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall, ProviderFault, Trouble

US: Final = "+493023125000"
ANN: Final = "+4915112345678"


def answer(*statuses: str) -> bytes:
    """Return an answer with a part for each status."""
    parts = [
        {"to": ANN[1:], "status": one, "error-text": f"Said of {ANN}"}
        | ({"message-id": f"id-{at}"} if one == "0" else {})
        for at, one in enumerate(statuses)
    ]
    return json.dumps({"message-count": str(len(parts)), "messages": parts}).encode()


class FakeVonage(FaultyProvider):
    """One account."""

    def __init__(self) -> None:
        super().__init__(answer=self._answered, sends=lambda call: call.path == "/sms/json")

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Vonage's own words."""
        await super().meet(trouble)
        said = {Trouble.REFUSED: "3", Trouble.LOGIN: "4"}.get(trouble) if trouble is not None else None
        if said is not None:
            self.use(lambda call: _refused(call, said))

    def _answered(self, call: ProviderCall) -> Response:
        if call.path == "/account/get-balance":
            return _json({"value": 12.5, "autoReload": False})
        form = dict(parse_qsl(call.body.decode(), strict_parsing=True))
        part = {"to": form["to"], "message-id": f"0C{call.number:014X}", "status": "0", "remaining-balance": "12.4"}
        return _json({"message-count": "1", "messages": [part]})


def _refused(call: ProviderCall, status: str) -> ProviderFault:
    if call.path != "/sms/json":
        return ProviderFault.expired_login() if status == "4" else ProviderFault()
    return ProviderFault(acts=False, status=200, body=answer(status), media_type="application/json")


def _json(said: Any) -> Response:
    return Response(body=json.dumps(said).encode(), media_type="application/json")
