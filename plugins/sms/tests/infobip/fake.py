"""An Infobip that misbehaves as it is told: as much of its API as the connector uses."""

from __future__ import annotations

import json
from typing import Any, Final

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall, ProviderFault, Trouble

from ..lines import ANN

KEY: Final = "key-of-the-tests"
SECRET: Final = "word-of-the-tests-behind-the-address"


class FakeInfobip(FaultyProvider):
    """One account, which knows the ids of the messages that it took."""

    def __init__(self) -> None:
        super().__init__(answer=self._answered, sends=lambda call: call.method == "POST")
        self.taken: dict[str, Any] = {}
        """Messages by their id."""
        self.saying: tuple[int, str] | None = None
        """Group and name of the status that is said of the next messages."""

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Infobip's own words."""
        await super().meet(trouble)
        said = {Trouble.LOGIN: (401, "E401"), Trouble.REFUSED: (400, "E400"), Trouble.FAILED: (500, "E500")}
        if trouble in said:
            status, code = said[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=error(code), media_type="application/json"))

    def _answered(self, call: ProviderCall) -> Response:
        match call.method, call.path:
            case "GET", "/account/1/balance":
                return _json({"balance": 47.79134, "currency": "EUR"})
            case "GET", "/sms/3/logs":
                found = [one for id_, one in self.taken.items() if call.query.get("messageId", id_) == id_]
                return _json({"results": found, "cursor": {"limit": 50, "nextCursor": None}})
            case "POST", "/sms/3/messages":
                return self._sent(call.json()["messages"][0])
            case _:
                return Response(status=404, body=error("E404"), media_type="application/json")

    def _sent(self, said: Any) -> Response:
        [to] = said["destinations"]
        id_ = to["messageId"]
        group, name = self.saying or (
            (5, "REJECTED_DUPLICATE_MESSAGE_ID") if id_ in self.taken else (1, "PENDING_ACCEPTED")
        )
        status = {"groupId": group, "groupName": "X", "id": 26, "name": name, "description": f"It goes to {ANN}"}
        if group == 1:
            self.taken[id_] = {"messageId": id_, "destination": to["to"], "sender": said["sender"], "status": status}
        details = {"messageCount": 1}
        answer = {"messageId": id_, "status": status, "destination": to["to"], "details": details}
        return _json({"bulkId": "2034072219640523072", "messages": [answer]})


def error(code: str) -> bytes:
    """Return an error, in words that hold a number."""
    said = {
        "errorCode": code,
        "description": f"It cannot go to {ANN}.",
        "action": "",
        "violations": [],
        "resources": [],
    }
    return json.dumps(said).encode()


def _json(said: Any) -> Response:
    return Response(body=json.dumps(said).encode(), media_type="application/json")
