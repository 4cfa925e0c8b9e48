"""A connector that keeps every rule, made of small pieces, so that a mutant can be wrong in one of them alone."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal
from xml.sax.saxutils import escape

from aiohttp import web
from attrs import evolve, field, frozen

from fernamt import (
    Address,
    Attachment,
    BadSignature,
    Blob,
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    Files,
    Gather,
    Handshake,
    HangUp,
    Hold,
    HttpReply,
    Ignored,
    InboundEvent,
    Json,
    LineAction,
    NeedsLogin,
    OutboundMessage,
    Page,
    Receipt,
    Received,
    Rejected,
    Request,
    Response,
    Say,
    Secret,
    Sent,
    Throttled,
    Turn,
    Unparsable,
    Unparsed,
    Unreachable,
    Unsupported,
    Webhook,
)
from fernamt.registry import ConnectorOffer
from fernamt.testing import ConnectorConformance, FaultyProvider, ProviderCall

TOKEN = Secret("t0ken-of-the-exemplar")
SIGNED_WITH = Secret("signature-of-the-exemplar")


def not_empty(_: Any, attribute: Any, value: str) -> None:
    if not value:
        raise ValueError(f"{attribute.name} is empty")


@frozen(kw_only=True)
class RightSettings:
    """The keys of a channel's section."""

    api: str = field(validator=not_empty, metadata={"help": "Where the provider listens."})
    token: Secret = field(metadata={"help": "What the provider gave us: env:NAME or file:/path."})
    signed_with: Secret = field(metadata={"help": "What the provider signs with: env:NAME or file:/path."})


class Right:
    """One line to an imagined messenger."""

    can = Capabilities(
        max_units=200,
        idempotent=True,
        in_flight=4,
        full_lookup=True,
        opt_out_words=True,
        subject=True,
        buttons=3,
        templates=True,
        files=(Files(max_bytes=1_000_000),),
        receipts=frozenset({DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED}),
    )

    def __init__(self, channel: Channel[RightSettings], context: ConnectorContext) -> None:
        self.settings = channel.settings
        self.context = context

    # ---- what it can do
    def capabilities(self) -> Capabilities:
        return self.can

    async def verify(self) -> str:
        return str(self.checked(await self.call("GET", "/me"))["id"])

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        said = self.checked(await self.call("POST", "/messages", json=await self.written(message), key=message.key))
        return self.sent(said)

    async def written(self, message: OutboundMessage) -> dict[str, Any]:
        return {
            "id": self.given_id(message),
            "to": message.to.value,
            "text": message.text,
            "subject": message.subject,
            "buttons": [button.label for button in message.buttons],
            "template": [message.template.name, *message.template.values] if message.template else [],
            "files": [{"name": one.name, "size": await self.size(one)} for one in message.attachments],
        }

    async def size(self, file: Attachment) -> int:
        assert isinstance(file.content, Blob)
        return sum([len(piece) async for piece in self.context.blobs.open(file.content)])

    def id_for(self, message: OutboundMessage) -> str:
        return f"right-{message.key}"

    def given_id(self, message: OutboundMessage) -> str:
        return self.id_for(message)

    def units(self, message: OutboundMessage) -> int:
        return len(message.text)

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        said = self.checked(await self.call("GET", f"/sent?id={self.given_id(message)}"))
        return Sent(ids=(said["id"],)) if said["found"] else "not_sent"

    def sent(self, said: Mapping[str, Any]) -> Sent:
        return Sent(ids=(said["id"],))

    async def call(self, method: str, path: str, *, json: Any = None, key: str = "") -> HttpReply:
        headers = {"Authorization": f"Bearer {self.settings.token.reveal()}"}
        if key:
            headers["Idempotency-Key"] = key
        return await self.context.http.request(method, f"{self.settings.api}{path}", headers=headers, json=json)

    def checked(self, reply: HttpReply) -> dict[str, Any]:
        match reply.status:
            case 200:
                return self.understood(reply)
            case 401:
                raise NeedsLogin("the messenger does not accept our token", code="401")
            case 429:
                raise Throttled("too fast for the messenger", after_s=self.after_s(reply))
            case status if 400 <= status < 500:
                raise Rejected("the messenger refused the message", code=str(status))
            case status:
                raise Unreachable("the messenger has trouble", certain=False, code=str(status))

    def understood(self, reply: HttpReply) -> dict[str, Any]:
        said = reply.json()
        if not isinstance(said, dict) or "id" not in said:
            raise Unreachable("the messenger's answer names no message", certain=False)
        return said

    def after_s(self, reply: HttpReply) -> float:
        return reply.retry_after_s(30)

    # ---- in, by itself
    every_s = 1.0

    async def run(self) -> None:
        while True:
            came = await self.polled()
            self.context.report_state("up")
            if not came:
                await self.pause()

    async def pause(self) -> None:
        await self.context.clock.sleep(self.every_s)

    async def polled(self) -> bool:
        waiting = (await self.waiting())["messages"]
        if waiting:
            await self.taken(waiting)
        return bool(waiting)

    async def waiting(self) -> dict[str, Any]:
        return self.checked(await self.call("GET", "/waiting"))

    async def taken(self, waiting: list[Any]) -> None:
        await self.context.intake.accept([self.event(one) for one in waiting], wait=True)
        await self.acknowledged(waiting)

    async def acknowledged(self, waiting: list[Any]) -> None:
        self.checked(await self.call("POST", "/taken", json=[one["id"] for one in waiting]))

    async def fetch(self, cursor: str) -> Page:
        said = self.checked(await self.call("GET", f"/history?since={cursor or 0}"))
        return Page(events=tuple(self.event(one) for one in said["messages"]), next=said["next"])

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        return self.context.http.download(f"{self.settings.api}/files/{ref}", max_bytes=10_000_000)

    # ---- turns
    def answer(self, turn: Turn) -> Response:
        verbs = "".join(self.verb(action) for action in turn.actions)
        return Response(body=f"<turn>{verbs}</turn>".encode(), media_type="text/xml")

    def verb(self, action: LineAction) -> str:
        match action:
            case Say() | Gather() | Hold():
                words = "".join(f"<say>{self.escaped(one.text)}</say>" for one in action.prompts)
                return f"<{type(action).__name__}>{words}</{type(action).__name__}>"
            case HangUp():
                return "<bye/>"
            case _:
                raise Unsupported(f"the messenger cannot {type(action).__name__}")

    def escaped(self, text: str) -> str:
        return escape(text)

    # ---- a line that is told, and calls that we make
    async def perform(self, turn: Turn) -> None:
        for action in turn.actions:
            await self.line("/line", {"call": turn.session.call_id, "do": self.done(action)})

    def done(self, action: LineAction) -> str:
        match action:
            case Say():
                return " ".join(one.text for one in action.prompts)
            case HangUp():
                return "bye"
            case _:
                raise Unsupported(f"the messenger cannot {type(action).__name__}")

    async def dial(self, to: Address, *, session: str) -> Sent:
        said = await self.line("/calls", {"to": to.value, "session": self.named(session)})
        return Sent(ids=(said["id"],))

    def named(self, session: str) -> str:
        return session

    async def line(self, path: str, said: Json) -> dict[str, Any]:
        reply = await self.context.http.request("POST", f"{self.settings.api}{path}", json=said)
        found = reply.json()
        if reply.status != 200 or not isinstance(found, dict):
            raise Unreachable("the messenger's lines have trouble", certain=False, code=str(reply.status))
        return found

    # ---- small signs
    async def show_typing(self, to: Address, *, reply_to: str) -> None:
        self.checked(await self.call("POST", "/typing", json={"to": to.value, "below": reply_to}))

    async def mark_read(self, ids: Sequence[str]) -> None:
        self.checked(await self.call("POST", "/read", json=[*ids]))

    # ---- handlers of its own
    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get("widget", self.widget), web.post("words/{visitor}", self.words)]

    async def widget(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"for {self.visitor(request)}")

    async def words(self, request: web.Request) -> web.StreamResponse:
        sender = Address("right", self.visitor(request))
        words = await request.text()
        await self.context.intake.accept([Received(key=words, sender=sender, text=words)])
        return web.Response()

    def visitor(self, request: web.Request) -> str:
        return self.context.unsign(request.query.get("token", ""))

    # ---- in, when we are called
    def webhooks(self) -> Sequence[Webhook]:
        return [Webhook(path="events", verify=self.check, parse=self.parse)]

    def check(self, request: Request) -> None:
        at, given = request.headers.get("X-Time", ""), request.headers.get("X-Signature", "")
        if not hmac.compare_digest(signature(self.settings.signed_with, at, request.body).encode(), given.encode()):
            raise BadSignature("X-Signature does not fit time and body")
        if not at.isdecimal() or abs(int(at) - request.at.timestamp()) > self.tolerance_s:
            raise BadSignature("the request is too old, or from the future")

    tolerance_s = 300.0

    def parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        try:
            said = json.loads(request.body)
            if "challenge" in said:
                return Handshake(Response(body=said["challenge"].encode()))
            return [self.event(one) for one in said["events"]]
        except (KeyError, TypeError, ValueError) as why:
            raise Unparsable(f"the request has no {why}") from why

    def event(self, one: Any) -> InboundEvent:
        try:
            return self.meaning(one)
        except (KeyError, TypeError, ValueError) as why:
            raw = json.dumps(one, sort_keys=True).encode()
            return Unparsed(key=f"bad:{raw.hex()[:64]}", reason=f"an element without {why}", raw=raw)

    def meaning(self, one: Any) -> InboundEvent:
        match one["type"]:
            case "message":
                sender = Address("right", one["from"].strip().lower())
                return Received(key=self.key(one), id=one["id"], sender=sender, text=one["text"])
            case "delivered" | "read" | "failed" as state:
                error = Rejected("the messenger could not deliver it") if state == "failed" else None
                return Receipt(
                    key=self.receipt_key(one),
                    id=one["id"],
                    message_key=self.our_key(one),
                    state=DeliveryState(state),
                    error=error,
                )
            case "typing":
                return Ignored(reason="somebody types")
            case other:
                raise ValueError(f"a meaning: {other}")

    def key(self, one: Any) -> str:
        return str(one["id"])

    def our_key(self, one: Any) -> str:
        return str(one.get("key", ""))

    def receipt_key(self, one: Any) -> str:
        return f"{one['type']}:{one['id']}"


def signature(secret: Secret, at: str, body: bytes) -> str:
    return hmac.digest(secret.reveal().encode(), at.encode() + b"." + body, "sha256").hex()


class RightServer(FaultyProvider):
    """The imagined messenger: it takes messages, and keeps those for us until we say that we have them."""

    page = 5

    def __init__(self) -> None:
        super().__init__(honours_keys=True, answer=self.told, sends=lambda call: call.path in {"/messages", "/calls"})
        self.held: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.sent: set[str] = set()
        self.files: dict[str, bytes] = {}

    async def hold_media(self, content: bytes) -> str:
        self.files[ref := f"file-{len(self.files)}"] = content
        return ref

    async def lose_media(self) -> None:
        self.files.clear()

    def told(self, call: ProviderCall) -> Response:
        said: dict[str, Any] = {"id": "the exemplar's line"}
        match call.path:
            case "/messages":
                said = {"id": call.json().get("id") or f"p-{call.number}"}
                self.sent.add(said["id"])
            case "/sent":
                said |= {"id": call.query["id"], "found": call.query["id"] in self.sent}
            case "/history":
                end = int(call.query["since"]) + self.page
                more = str(end) if end < len(self.past) else ""
                said |= {"messages": self.past[end - self.page : end], "next": more}
            case path if path.startswith("/files/"):
                content = self.files.get(path.removeprefix("/files/"))
                return Response(status=404) if content is None else Response(body=content, media_type="image/png")
            case "/waiting":
                said["messages"] = self.held[: int(call.query.get("limit", self.page))]
            case "/taken":
                self.held = [one for one in self.held if one["id"] not in call.json()]
            case _:
                pass
        return Response(body=json.dumps(said).encode(), media_type="application/json")

    async def hold(self, *texts: str) -> None:
        for text in texts:
            number = f"w-{len(self.past) + 1}"
            self.held.append({"type": "message", "id": number, "from": "ann", "text": text, "unread": True})
            self.past.append(self.held[-1])

    async def hold_poison(self) -> None:
        self.held.append({"id": "poison", "unread": True})

    async def read_elsewhere(self) -> None:
        for one in self.held:
            one["unread"] = False


class RightSuite(ConnectorConformance):
    """The suite of the right connector; a mutant has another *connector*, and at times other settings."""

    kind = "right"
    signs_time_s = 300.0
    connector: type = Right
    section: type = RightSettings

    def offer(self) -> ConnectorOffer:
        return ConnectorOffer(
            kind="right", plugin="right", settings=self.section, factory=self.connector, about="An imagined messenger"
        )

    def server(self) -> FaultyProvider:
        return RightServer()

    def settings(self, server: FaultyProvider) -> Mapping[str, object]:
        return {"api": server.url, "token": TOKEN, "signed_with": SIGNED_WITH}

    def signed(self, request: Request) -> Request:
        at = str(int(request.at.timestamp()))
        more = {"X-Time": at, "X-Signature": signature(SIGNED_WITH, at, request.body)}
        return evolve(request, headers={**request.headers, **more})
