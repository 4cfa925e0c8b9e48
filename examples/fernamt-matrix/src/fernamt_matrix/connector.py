"""One user in Matrix rooms, as an application service."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal

from attrs import evolve

from fernamt import (
    Address,
    Attachment,
    BadSignature,
    Blob,
    Capabilities,
    Channel,
    ChannelError,
    ConnectorContext,
    DeliveryState,
    Fetch,
    Files,
    Handshake,
    InboundEvent,
    NeedsLogin,
    OutboundMessage,
    Page,
    Rejected,
    Request,
    Response,
    Sent,
    Unreachable,
    Unsupported,
    Webhook,
)
from fernamt_matrix.events import Reader, id_of, room_of
from fernamt_matrix.homeserver import Homeserver
from fernamt_matrix.rooms import Rooms
from fernamt_matrix.settings import MatrixSettings

_EMPTY: Final = Response(body=b"{}", media_type="application/json")
_UNKNOWN: Final = Response(status=404, body=b'{"errcode":"M_NOT_FOUND"}', media_type="application/json")
_BEFORE_US: Final = 50
"""So much of what was said in a room before we came is taken."""
_LOOK_S: Final = (1.0, 5.0, 30.0)
_TYPING_MS: Final = 10_000
ENCRYPTED: Final = (
    "This room is encrypted, so we cannot read what is written here. Please invite us to a room without encryption.\n\n"
    "Dieser Raum ist verschlüsselt, wir können hier nicht mitlesen. Bitte laden Sie uns in einen Raum ohne "
    "Verschlüsselung ein."
)


class Matrix:
    """A channel: one user, and all the rooms that he was asked into."""

    def __init__(self, channel: Channel[MatrixSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context
        self._homeserver = Homeserver(channel.settings.homeserver, channel.settings.as_token, context.http)
        self._rooms = Rooms(channel.settings, self._homeserver)
        self._reader = Reader(channel.settings.user)

    def capabilities(self) -> Capabilities:
        """An event is at most 64 KB, and its text stands in it twice if it has a form."""
        return Capabilities(
            max_units=20_000,
            unit="byte",
            html=True,
            files=(Files(max_bytes=self._settings.max_bytes),),
            receipts=frozenset({DeliveryState.READ}),
            idempotent=True,
            full_lookup=True,
            in_flight=4,
        )

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called as the application service API says (version 1 of its paths)."""
        base = "_matrix/app/v1"

        def hook(path: str, parse: Callable[[Request], Handshake | Sequence[InboundEvent]]) -> Webhook:
            return Webhook(path=f"{base}/{path}", verify=self._verify, parse=parse, done=_EMPTY, sign=self._sign)

        return [
            hook("transactions", self._transaction),
            hook("ping", lambda _: Handshake(_EMPTY)),
            hook("users", self._user),
            hook("rooms", lambda _: Handshake(_UNKNOWN)),
            hook("thirdparty", lambda _: Handshake(_UNKNOWN)),
        ]

    def _sign(self, request: Request) -> Request:
        return evolve(request, headers={**request.headers, "Authorization": self._shown()})

    def _shown(self) -> str:
        return f"Bearer {self._settings.hs_token.reveal()}"

    def _verify(self, request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._shown().encode()):
            raise BadSignature("the hs_token is missing or wrong")

    def _transaction(self, request: Request) -> Sequence[InboundEvent]:
        return self._reader.transaction(request.body)

    def _user(self, request: Request) -> Handshake:
        return Handshake(_EMPTY if request.path == self._settings.user else _UNKNOWN)

    async def fetch(self, cursor: str) -> Page:
        """Do what a transaction only announced, or read one page of one room's history."""
        what, _, rest = cursor.partition(" ")
        room, _, start = rest.partition(" ")
        match what:
            case "join":
                return await self._joined(room)
            case "encrypted":
                await self._decline(room)
                return Page(events=())
            case "history":
                return await self._history(room, start)
            case _:
                return await self._next_room("", ())

    async def _joined(self, room: str) -> Page:
        if not await self._rooms.join(room):
            return Page(events=())
        if await self._rooms.is_encrypted(room):
            return Page(events=(Fetch(f"encrypted {room}"),))
        page = await self._rooms.page(room, "", back=True, limit=_BEFORE_US)
        return Page(events=self._reader.history(reversed(page.events)))

    async def _history(self, room: str, start: str) -> Page:
        page = await self._rooms.page(room, start)
        events = self._reader.history(page.events)
        if page.next:
            return Page(events=events, next=f"history {room} {page.next}")
        return await self._next_room(room, events)

    async def _next_room(self, room: str, events: tuple[InboundEvent, ...]) -> Page:
        following = next((one for one in await self._rooms.all() if one > room), "")
        return Page(events=events, next=f"history {following} " if following else "")

    async def _decline(self, room: str) -> None:
        """Say once in a room why nobody answers there."""
        key = f"encrypted-{hashlib.sha256(room.encode()).hexdigest()[:24]}"
        try:
            if not await self._rooms.said(room, key):
                await self._rooms.say(room, key, {"msgtype": "m.notice", "body": ENCRYPTED})
        except Rejected as why:
            self._context.log.info("encrypted_room_not_told", code=why.code)

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Bring a file; how large one may be, the core says."""
        return self._homeserver.download(ref, max_bytes=self._settings.max_bytes)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Say it in the room where the recipient is, or in one of our own with him."""
        try:
            room, content = await self._prepared(message)
            if message.attempt > 1 and (done := await self._look(room, message)) is not None:
                return done
        except Unreachable as why:
            # Nothing of it was said yet, whatever became of the questions.
            raise Unreachable(why.reason, certain=True, code=why.code) from None
        return Sent(ids=(id_of(room, await self._rooms.say(room, _key(message), content)),))

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Look for it in the room, back to what it answers."""
        room = await self._rooms.of(message)
        said = await self._rooms.said(room, _key(message), message.references)
        if said is None:
            return "unknown"
        return Sent(ids=(id_of(room, said),)) if said else "not_sent"

    async def _look(self, room: str, message: OutboundMessage) -> Sent | None:
        """Return what an earlier attempt came to: a homeserver forgets our keys when it is started anew."""
        said = await self._rooms.said(room, _key(message), message.references)
        return Sent(ids=(id_of(room, said),)) if said else None

    async def _prepared(self, message: OutboundMessage) -> tuple[str, dict[str, Any]]:
        room = await self._rooms.of(message)
        if await self._rooms.is_encrypted(room):
            raise Unsupported("the room is encrypted: ask the customer for one without encryption")
        content: dict[str, Any] = {"msgtype": "m.notice" if message.automatic else "m.text", "body": message.text}
        if message.html:
            content |= {"format": "org.matrix.custom.html", "formatted_body": message.html}
        for one in message.attachments:
            content |= await self._uploaded(one, message.text)
        answered_in, answered = room_of(message.reply_to)
        if answered and answered_in == room:
            content["m.relates_to"] = {"m.in_reply_to": {"event_id": answered}}
        return room, content

    async def _uploaded(self, one: Attachment, caption: str) -> dict[str, Any]:
        assert isinstance(one.content, Blob)
        address = await self._homeserver.upload(
            self._context.blobs.open(one.content), size=one.content.size, name=one.name, media_type=one.media_type
        )
        kind = one.media_type.partition("/")[0]
        return {
            "msgtype": f"m.{kind}" if kind in {"image", "audio", "video"} else "m.file",
            "body": caption or one.name,
            "filename": one.name,
            "url": address,
            "info": {"mimetype": one.media_type, "size": one.content.size},
        }

    async def mark_read(self, ids: Sequence[str]) -> None:
        """Show the people in the rooms how far we have read."""
        for room, event in map(room_of, ids):
            if event:
                await self._homeserver.call("POST", "rooms", room, "receipt", "m.read", event)

    async def show_typing(self, to: Address, *, reply_to: str) -> None:
        """Show in the room that we write."""
        room, event = room_of(reply_to)
        if event:
            shown = {"typing": True, "timeout": _TYPING_MS}
            await self._homeserver.call("PUT", "rooms", room, "typing", self._settings.user, json=shown)

    # ---- the line
    async def run(self) -> None:
        """Be who we say we are, and see whether the homeserver can call us."""
        await self._introduce()
        waits = iter(_LOOK_S)
        while True:
            trouble = await self._homeserver.ping(self._settings.service)
            if trouble:
                self._context.report_state("degraded", trouble)
            else:
                self._context.report_state("up")
            await self._context.clock.sleep(next(waits, _LOOK_S[-1]))

    async def _introduce(self) -> None:
        register = {"type": "m.login.application_service", "username": self._settings.localpart, "inhibit_login": True}
        try:
            await self._homeserver.call("POST", "register", json=register)
        except ChannelError as why:
            if why.code != "M_USER_IN_USE":
                raise
        if self._settings.display_name:
            name = {"displayname": self._settings.display_name}
            await self._homeserver.call("PUT", "profile", self._settings.user, "displayname", json=name)

    async def verify(self) -> str:
        """Ask the homeserver who we are."""
        said = await self._homeserver.get("account", "whoami")
        if (said or {}).get("user_id") != self._settings.user:
            raise NeedsLogin("the homeserver says that our as_token is another user's")
        return f"{self._settings.user} at {self._settings.homeserver}"


def _key(message: OutboundMessage) -> str:
    """Return what one event of a room is known by: with several readers in a room it is said once, not to each."""
    if not message.cc:
        return message.key
    files = [one.content.digest for one in message.attachments if isinstance(one.content, Blob)]
    words = "\0".join((message.entry_key, message.text, *files))
    return hashlib.sha256(words.encode()).hexdigest()[:32]
