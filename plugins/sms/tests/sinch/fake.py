"""A Sinch that misbehaves as it is told: as much of its API as the connector uses, and messages in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fernamt import Response
from fernamt.testing import ProviderCall, ProviderFault, Trouble

from ..lines import ANN, US
from ..pictures import KeepsPictures

PLAN: Final = "9f1c6a4b2d3e4f5a8b7c6d5e4f3a2b1c"
TOKEN: Final = "token-of-the-tests"
SECRET: Final = "webhook-secret-of-the-tests"
ROOT: Final = f"/xms/v1/{PLAN}"


class FakeSinch(KeepsPictures):
    """One service plan."""

    def __init__(self) -> None:
        super().__init__(answer=self._answered, sends=lambda call: call.method == "POST")
        self.kept: dict[str, list[dict[str, Any]]] = {"inbounds": [], "delivery_reports": [], "batches": []}
        """What there is, in its order."""
        self.page = 100
        """The largest page."""
        self.refusing: tuple[int, str] | None = None
        """Status and code of every answer to a message."""
        self._numbers = itertools.count(1)

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Sinch's own words."""
        await super().meet(trouble)
        said = {
            Trouble.LOGIN: (401, "unauthorized"),
            Trouble.REFUSED: (400, "syntax_invalid_parameter_format"),
            Trouble.FAILED: (500, ""),
        }
        if trouble in said:
            status, code = said[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=error(code), media_type="application/json"))

    async def hold(self, *texts: str) -> None:
        """Let customers have written."""
        for text in texts:
            self.came(body=text)

    async def hold_poison(self) -> None:
        """Let there be a message that is none."""
        self.came(body={"no": "text"})

    def came(self, **more: Any) -> dict[str, Any]:
        """Let a message have come, now."""
        said = {"type": "mo_text", "id": self._id(), "from": ANN[1:], "to": US[1:], "received_at": self._now()}
        return self._add("inbounds", said | more)

    def told(self, batch: str, status: str, code: int, **more: Any) -> dict[str, Any]:
        """Let a report be there, of now."""
        said = {
            "type": "recipient_delivery_report_sms",
            "batch_id": batch,
            "recipient": ANN[1:],
            "status": status,
            "code": code,
            "at": self._now(),
            "client_reference": "k1",
        }
        return self._add("delivery_reports", said | more)

    def _add(self, what: str, said: dict[str, Any]) -> dict[str, Any]:
        self.kept[what].append(said)
        return said

    def _id(self) -> str:
        return f"01J{next(self._numbers):023d}"

    def _now(self) -> str:
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    def _answered(self, call: ProviderCall) -> Response:
        if (picture := self.picture(call)) is not None:
            return picture
        what = call.path.removeprefix(f"{ROOT}/")
        if what not in self.kept:
            return _json({"code": "not_found", "text": "no such thing"}, status=404)
        return self._listed(what, call.query) if call.method == "GET" else self._sent(call.json())

    def _sent(self, said: Any) -> Response:
        if self.refusing is not None:
            status, code = self.refusing
            return Response(status=status, body=error(code), media_type="application/json")
        batch = {"id": self._id(), "canceled": False, "created_at": self._now(), "modified_at": self._now(), **said}
        return _json(self._add("batches", batch), status=201)

    def _listed(self, what: str, query: Mapping[str, str]) -> Response:
        """Return a page, the newest first."""
        start, end = (datetime.fromisoformat(query[it]) if it in query else None for it in ("start_date", "end_date"))

        def fits(one: Mapping[str, Any]) -> bool:
            at = datetime.fromisoformat(one.get("received_at") or one.get("at") or one["created_at"])
            return (
                (start is None or at >= start)
                and (end is None or at < end)
                and ("to" not in query or one["to"] == query["to"])
                and query.get("client_reference", one.get("client_reference")) == one.get("client_reference")
            )

        found = [one for one in reversed(self.kept[what]) if fits(one)]
        number, size = int(query.get("page", 0)), min(int(query.get("page_size", 30)), self.page)
        page = found[number * size : (number + 1) * size]
        return _json({"count": len(found), "page": number, "page_size": len(page), what: page})


def error(code: str) -> bytes:
    """Return an error, in words that hold a number."""
    return json.dumps({"code": code, "text": f"It cannot go to {ANN}."}).encode()


def _json(said: Any, *, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(said).encode(), media_type="application/json")
