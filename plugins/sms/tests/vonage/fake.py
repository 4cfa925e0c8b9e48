"""A Vonage that misbehaves as it is told: as much of its two APIs as the connector uses."""

from __future__ import annotations

import itertools
import json
from typing import Any, Final
from urllib.parse import parse_qsl

from fernamt import Response
from fernamt.testing import ProviderCall, ProviderFault, Trouble

from ..lines import ANN
from ..pictures import KeepsPictures

KEY: Final = "a1b2c3d4"
SECRET: Final = "secret-of-the-tests"
SIGNATURE: Final = "signature-secret-of-the-tests-0123456789"
UUID: Final = "aaaaaaaa-bbbb-4ccc-8ddd-{:012x}"


class FakeVonage(KeepsPictures):
    """One account."""

    def __init__(self, *, api: str = "messages") -> None:
        super().__init__(answer=self._answered, sends=lambda call: call.method == "POST")
        self.api = api
        self.refusing: tuple[int, str] | None = None
        """Status and code of every answer of the Messages API to a message."""
        self.statuses: list[str] = []
        """Of the parts of the next messages of the SMS API; empty: all are taken."""
        self._numbers = itertools.count(1)

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Vonage's own words."""
        await super().meet(trouble)
        if self.api == "sms":
            said = {Trouble.LOGIN: "4", Trouble.REFUSED: "3"}
            if trouble in said:
                bad = ProviderFault(acts=False, body=sms_answer(said[trouble]), media_type="application/json")
                # The account is asked for another way, and says it by HTTP.
                self.use(lambda call: bad if call.method == "POST" else ProviderFault.expired_login())
            return
        problems = {Trouble.LOGIN: (401, "unauthorized"), Trouble.REFUSED: (422, "1020"), Trouble.FAILED: (500, "1030")}
        if trouble in problems:
            status, code = problems[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=problem(code), media_type="application/json"))

    def _answered(self, call: ProviderCall) -> Response:
        if (picture := self.picture(call)) is not None:
            return picture
        match call.method, call.path:
            case "GET", "/account/get-balance":
                return _json({"value": 10.285, "autoReload": False})
            case "POST", "/v1/messages":
                if self.refusing is not None:
                    return Response(
                        status=self.refusing[0], body=problem(self.refusing[1]), media_type="application/problem+json"
                    )
                return _json({"message_uuid": UUID.format(next(self._numbers))}, status=202)
            case "POST", "/sms/json":
                form = dict(parse_qsl(call.body.decode(), strict_parsing=True))
                statuses, self.statuses = self.statuses or ["0"], []
                ids = [f"0A0000000123ABC{next(self._numbers)}" for _ in statuses]
                return Response(body=sms_answer(*statuses, ids=ids, to=form["to"]), media_type="application/json")
            case _:
                return _json({"type": "https://developer.vonage.com/api-errors#not-found"}, status=404)


def problem(code: str) -> bytes:
    """Return an error of the Messages API, in words that hold a number."""
    return json.dumps(
        {
            "type": f"https://developer.vonage.com/api-errors/messages#{code}",
            "title": "Said with a number",
            "detail": f"It cannot go to {ANN}.",
            "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
        }
    ).encode()


def sms_answer(*statuses: str, ids: list[str] | None = None, to: str = "") -> bytes:
    """Return an answer of the SMS API: HTTP says 200 whatever the statuses are."""
    parts = [
        {
            "to": to,
            "message-id": id_,
            "status": "0",
            "remaining-balance": "3.14",
            "message-price": "0.0333",
            "network": "12345",
        }
        if status == "0"
        else {"to": to, "status": status, "error-text": f"It cannot go to {ANN}"}
        for status, id_ in zip(statuses, ids or [""] * len(statuses), strict=True)
    ]
    return json.dumps({"message-count": str(len(parts)), "messages": parts}).encode()


def _json(said: Any, *, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(said).encode(), media_type="application/json")
