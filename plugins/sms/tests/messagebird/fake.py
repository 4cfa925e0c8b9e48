"""A Bird that misbehaves as it is told: as much of its API as the connector uses, and messages in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall, ProviderFault, Trouble

from ..lines import ANN, US

KEY: Final = "bk_eu1_key-of-the-tests"
SECRET: Final = "whsec_d2ViaG9vay1zZWNyZXQtb2YtdGhlLXRlc3Rz"
OTHER: Final = "whsec_b3RoZXItc2VjcmV0LW9mLXRoZS10ZXN0cw=="
NOT_FOUND: Final = (404, "E01008", "NotFound")


class FakeBird(FaultyProvider):
    """One workspace."""

    def __init__(self) -> None:
        super().__init__(answer=self._answered, sends=lambda call: call.method == "POST")
        self.kept: list[dict[str, Any]] = []
        """Messages in both directions, in their order."""
        self.endpoints: list[dict[str, Any]] = []
        self.page = 50
        """The largest page."""
        self.refusing: tuple[int, str, str] | None = None
        """Status, code and name of every answer to a message."""
        self._remembered: dict[str, ProviderFault] = {}
        self._numbers = itertools.count(1)

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Bird's own words."""
        await super().meet(trouble)
        said = {
            Trouble.LOGIN: (401, "E01002", "Unauthorized"),
            Trouble.REFUSED: (422, "E15001", "SMSInvalidRecipient"),
            Trouble.FAILED: (500, "E01000", "InternalError"),
        }
        if trouble in said:
            status, code, name = said[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=error(code, name), media_type="application/json"))

    async def hold(self, *texts: str) -> None:
        """Let customers have written."""
        for text in texts:
            self.came(text=text)

    async def hold_poison(self) -> None:
        """Let there be a message that is none."""
        self.came(**{"from": None})

    def remember(self, key: str, status: int, code: str, name: str) -> None:
        """Say to whoever comes with *key* what was said before: a refusal."""
        self._remembered[key] = ProviderFault(
            acts=False, status=status, body=error(code, name), headers={"Idempotency-Replay": "true"}
        )
        self.use(lambda call: self._remembered.get(call.headers.get("Idempotency-Key", ""), ProviderFault()))

    def came(self, **more: Any) -> dict[str, Any]:
        """Let a message have come, now."""
        said = {"direction": "inbound", "status": "received", "from": ANN, "to": US, "text": "Hallo", "category": None}
        return self._add(said | more)

    def sent(self, status: str, **more: Any) -> dict[str, Any]:
        """Let there be a message of ours with this status, of now."""
        said = {
            "direction": "outbound",
            "status": status,
            "from": US,
            "to": ANN,
            "text": "Ihr Paket ist da",
            "category": "service",
            "metadata": {"fernamt": "k1"},
        }
        return self._add(said | more)

    def _add(self, said: dict[str, Any]) -> dict[str, Any]:
        whole = {
            "id": f"sms_01krdgeqcxet5s7t44{next(self._numbers):08d}",
            "requested_language": None,
            "resolved_language": None,
            "template_id": None,
            "template_version_id": None,
            "template_content_hash": None,
            "segments": {"count": 1, "encoding": "GSM_7BIT", "characters": 16},
            "created_at": self.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "sent_at": None,
            "delivered_at": None,
            **said,
        }
        self.kept.append(whole)
        return whole

    def _answered(self, call: ProviderCall) -> Response:
        match call.method, call.path:
            case "POST", "/v1/sms/messages":
                if self.refusing is not None:
                    return _error(*self.refusing)
                return _json(self._add({"direction": "outbound", "status": "accepted", **call.json()}), status=202)
            case "GET", "/v1/sms/messages":
                return self._listed(call.query)
            case "GET", "/v1/webhooks":
                return _json({"data": self.endpoints, "next_cursor": None, "prev_cursor": None, "refresh_cursor": None})
            case _:
                return _error(*NOT_FOUND)

    def _listed(self, query: Mapping[str, str]) -> Response:
        """Return a page, the newest first."""
        after, before = (query.get(f"created_{it}", "") for it in ("after", "before"))

        def fits(one: Mapping[str, Any]) -> bool:
            at = datetime.fromisoformat(one["created_at"])
            return (
                (not after or at >= datetime.fromisoformat(after))
                and (not before or at < datetime.fromisoformat(before))
                and all(one[name] == query[name] for name in ("direction", "to", "from") if name in query)
            )

        found = [one for one in reversed(self.kept) if fits(one)]
        begin, size = int(query.get("starting_after", 0)), min(int(query.get("limit", 25)), self.page)
        following = str(begin + size) if begin + size < len(found) else None
        page = {"data": found[begin : begin + size], "next_cursor": following}
        return _json({**page, "prev_cursor": None, "refresh_cursor": None})


def error(code: str, name: str) -> bytes:
    """Return an error, in words that hold a number."""
    said = {
        "type": "validation_error",
        "code": code,
        "name": name,
        "message": f"It cannot go to {ANN}.",
        "doc_url": f"https://docs.bird.com/errors/{code}",
        "request_id": "req_01krdgeqcxet5s7t44vh8rt9mg",
    }
    return json.dumps({"error": said}).encode()


def _error(status: int, code: str, name: str) -> Response:
    return Response(status=status, body=error(code, name), media_type="application/json")


def _json(said: Any, *, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(said).encode(), media_type="application/json")
