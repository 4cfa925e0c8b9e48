"""A Twilio that misbehaves as it is told: as much of its API as the connector uses, and messages in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall, ProviderFault, Trouble

from ..lines import ANN, US

ACCOUNT: Final = "AC" + "0123456789abcdef" * 2
TOKEN: Final = "token-of-the-tests"
ROOT: Final = f"/2010-04-01/Accounts/{ACCOUNT}"


def sends(call: ProviderCall) -> bool:
    """Return whether a call sends a message."""
    return call.method == "POST"


class FakeTwilio(FaultyProvider):
    """One account with one number."""

    def __init__(self) -> None:
        super().__init__(answer=self._answered, sends=sends)
        self.messages: list[dict[str, Any]] = []
        """Of the account, in their order."""
        self.media: dict[str, bytes] = {}
        self.status = "active"
        self.sms_url = ""
        self.page = 1_000
        """The largest page."""
        self.refusing: tuple[int, int] | None = None
        """Status and code of every answer to a message."""
        self._numbers = itertools.count(1)
        self.gone = False
        """Whether messages are deleted before anybody asks for their pictures."""

    async def meet(self, trouble: Trouble | None) -> None:
        """Say the troubles in Twilio's own words."""
        await super().meet(trouble)
        said = {
            Trouble.LOGIN: (401, 20003),
            Trouble.REFUSED: (400, 21211),
            Trouble.FAILED: (500, 20500),
        }
        if trouble in said:
            status, code = said[trouble]
            acts = trouble is Trouble.FAILED
            self.use(ProviderFault(acts=acts, status=status, body=_error(status, code), media_type="application/json"))

    async def hold(self, *texts: str) -> None:
        """Let customers have written."""
        for text in texts:
            self.add(direction="inbound", body=text, **{"from": ANN}, to=US, status="received")

    async def hold_poison(self) -> None:
        """Let there be a message that is none."""
        self.add(direction="inbound", body={"no": "text"}, to=US, status="received")

    async def hold_media(self, content: bytes) -> str:
        """Keep a picture."""
        path = f"{ROOT}/Messages/{self._sid('MM')}/Media/{self._sid('ME')}"
        self.media[path] = content
        return f"{self.url}{path}"

    async def lose_media(self) -> None:
        """Forget them."""
        self.media.clear()

    def add(self, **more: Any) -> dict[str, Any]:
        """Add a message to the account, now."""
        at = format_datetime(self.clock.now())
        sid = self._sid("SM")
        message = {
            "sid": sid,
            "account_sid": ACCOUNT,
            "date_created": at,
            "date_sent": at,
            "num_media": "0",
            "messaging_service_sid": None,
            "error_code": None,
            "price": None,
            "uri": f"{ROOT}/Messages/{sid}.json",
            "made": self.clock.now(),
        } | more
        self.messages.append(message)
        return message

    def _sid(self, kind: str) -> str:
        return f"{kind}{next(self._numbers):032x}"

    def _answered(self, call: ProviderCall) -> Response:
        if call.path in self.media:
            return Response(body=self.media[call.path], media_type="image/png")
        if not call.path.startswith(ROOT):
            return _json({}, status=404)
        rest = call.path.removeprefix(ROOT)
        if call.method == "POST" and rest == "/Messages.json":
            return self._sent(dict(parse_qsl(call.body.decode(), strict_parsing=True)))
        match rest.strip("/").split("/"):
            case [".json"]:
                return _json({"friendly_name": "Example GmbH", "status": self.status, "sid": ACCOUNT})
            case ["IncomingPhoneNumbers.json"]:
                found = [{"phone_number": US, "sms_url": self.sms_url}] if call.query.get("PhoneNumber") == US else []
                return _json({"incoming_phone_numbers": found})
            case ["Messages.json"]:
                return self._listed(call.query)
            case ["Messages", _, "Media.json"] if self.gone:
                return _json({"code": 20404, "status": 404}, status=404)
            case ["Messages", sid, "Media.json"]:
                kept = [path for path in self.media if f"/Messages/{sid}/" in path]
                return _json({"media_list": [{"uri": f"{path}.json", "content_type": "image/png"} for path in kept]})
            case _:
                return _json({"code": 20404, "status": 404}, status=404)

    def _sent(self, form: Mapping[str, str]) -> Response:
        if self.refusing is not None:
            return Response(status=self.refusing[0], body=_error(*self.refusing), media_type="application/json")
        message = self.add(
            direction="outbound-api",
            body=form.get("Body", ""),
            **{"from": form.get("From")},
            to=form["To"],
            status="queued",
            messaging_service_sid=form.get("MessagingServiceSid"),
        )
        return _json(_shown(message), status=201)

    def _listed(self, query: Mapping[str, str]) -> Response:
        """Return a page of the list, the newest first."""
        start, end = (
            datetime.fromisoformat(query[name]) if name in query else None for name in ("DateSent>", "DateSent<")
        )
        found = [
            one
            for one in reversed(self.messages)
            if query.get("To", one["to"]) == one["to"]
            and (start is None or one["made"] >= start.replace(microsecond=0))
            and (end is None or one["made"] <= end)
        ]
        first, size = int(query.get("Page", 0)), min(int(query.get("PageSize", 50)), self.page)
        following = urlencode({**query, "Page": str(first + 1)}) if len(found) > (first + 1) * size else ""
        page = found[first * size : (first + 1) * size]
        return _json(
            {
                "messages": list(map(_shown, page)),
                "next_page_uri": f"{ROOT}/Messages.json?{following}" if following else None,
            }
        )


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "made"}


def _json(said: Any, *, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(said).encode(), media_type="application/json")


def _error(status: int, code: int) -> bytes:
    said = {"code": code, "message": "Said with a number: +4915112345678", "status": status}
    return json.dumps(said).encode()
