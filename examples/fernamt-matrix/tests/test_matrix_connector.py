"""What the connector does at a homeserver: where it speaks, what it says of trouble, whom it joins and what it leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fernamt import (
    Address,
    Attachment,
    Blob,
    Channel,
    ChannelError,
    ChannelId,
    Fetch,
    NeedsLogin,
    OutboundMessage,
    Page,
    Received,
    Rejected,
    Secret,
    Sent,
    Throttled,
    Unreachable,
    Unsupported,
)
from fernamt.testing import FakeContext, ProviderFault, loopback_http
from fernamt_matrix.connector import ENCRYPTED, Matrix
from fernamt_matrix.settings import MatrixSettings

from .homeserver import ANN, ROOM, US, FakeHomeserver, Room

BOB = "@bob:customer.test"


def message(text: str = "Guten Tag", *, key: str = "k1", to: str = ANN, **more: Any) -> OutboundMessage:
    said: dict[str, Any] = {"entry_key": "e1", "attempt": 1, "reply_to": f"{ROOM}/$q"} | more
    return OutboundMessage(key=key, to=Address("matrix", to), text=text, **said)


@pytest.fixture
async def there() -> AsyncIterator[FakeHomeserver]:
    async with FakeHomeserver() as server:
        yield server


@pytest.fixture
async def context() -> AsyncIterator[FakeContext]:
    async with loopback_http(timeout_s=0.5) as http:
        yield FakeContext(http=http)


@pytest.fixture
def matrix(there: FakeHomeserver, context: FakeContext) -> Matrix:
    settings = MatrixSettings(homeserver=there.url, user=US, as_token=Secret("as"), hs_token=Secret("hs"))
    return Matrix(Channel(id=ChannelId("rooms"), name="", kind="matrix", settings=settings, url=""), context)


def said(there: FakeHomeserver, room: str = ROOM) -> list[str]:
    return [one["content"]["body"] for one in there.rooms[room].events if one["sender"] == US]


# ---- where it speaks
async def test_it_answers_in_the_room_of_the_question_and_names_what_it_answers(
    matrix: Matrix, there: FakeHomeserver
) -> None:
    there.put(ROOM, {"type": "m.room.message", "sender": ANN, "content": {"body": "?", "msgtype": "m.text"}})
    sent = await matrix.send(message(reply_to=f"{ROOM}/$e1", html="<b>Guten Tag</b>"))
    assert sent == Sent(ids=(f"{ROOM}/$e2",))
    assert there.rooms[ROOM].events[-1]["content"] == {
        "msgtype": "m.text",
        "body": "Guten Tag",
        "format": "org.matrix.custom.html",
        "formatted_body": "<b>Guten Tag</b>",
        "m.relates_to": {"m.in_reply_to": {"event_id": "$e1"}},
        "org.fernamt.key": "k1",
    }
    await matrix.send(message("Wir haben geschlossen", key="k2", automatic=True))
    assert there.rooms[ROOM].events[-1]["content"]["msgtype"] == "m.notice"


async def test_nothing_is_said_where_the_recipient_is_not(matrix: Matrix, there: FakeHomeserver) -> None:
    """Conversations of two people that were merged have the rooms of both."""
    there.rooms["!bob"] = Room(joined={US: "", BOB: ""})
    await matrix.send(message(reply_to="!bob/$1", references=(f"{ROOM}/$1", "!bob/$1")))
    assert (said(there), said(there, "!bob")) == (["Guten Tag"], [])


async def test_who_has_no_room_with_us_is_asked_into_one_and_only_one(matrix: Matrix, there: FakeHomeserver) -> None:
    there.rooms[ROOM].joined.pop(US)  # we were put out of the old one
    both = [message(key="k1"), message(key="k2", reply_to="")]
    first, second = await asyncio.gather(*map(matrix.send, both))
    [made] = there.aliases.values()
    assert {one.ids[0].partition("/")[0] for one in (first, second)} == {made}
    assert there.rooms[made].invited == {ANN}
    # He came and went: he is asked again.
    there.rooms[made].invited.clear()
    await matrix.send(message("Noch etwas", key="k3"))
    assert there.rooms[made].invited == {ANN}
    # We left it ourselves: it is of no use any more.
    there.rooms[made].joined.clear()
    await matrix.send(message("Und noch etwas", key="k4"))
    assert [*there.aliases.values()] != [made]


async def test_what_goes_to_several_in_one_room_is_said_once(matrix: Matrix, there: FakeHomeserver) -> None:
    there.rooms[ROOM].joined[BOB] = "Bob"
    cc = (Address("matrix", ANN), Address("matrix", BOB))
    first = await matrix.send(message(key="k1", to=ANN, cc=cc[1:]))
    second = await matrix.send(message(key="k2", to=BOB, cc=cc[:1]))
    assert first == second
    assert said(there) == ["Guten Tag"]
    await matrix.send(message("Und weiter", key="k3", to=BOB, cc=cc[:1]))
    assert said(there) == ["Guten Tag", "Und weiter"]


async def test_a_room_that_is_encrypted_gets_no_answer_in_clear(matrix: Matrix, there: FakeHomeserver) -> None:
    there.rooms[ROOM].encrypted = True
    with pytest.raises(Unsupported, match="encrypted"):
        await matrix.send(message())
    assert said(there) == []


async def test_a_file_goes_up_as_a_stream_and_is_shown_with_its_words(
    matrix: Matrix, there: FakeHomeserver, context: FakeContext
) -> None:
    content = b"\x89PNG" * 40_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    blob = await context.blobs.put(pieces(), max_bytes=len(content))
    assert blob == Blob(hashlib.sha256(content).hexdigest(), len(content))
    picture = Attachment(name="Größe.png", media_type="image/png", content=blob)
    await matrix.send(message("So sieht es aus", attachments=(picture,)))
    shown = there.rooms[ROOM].events[-1]["content"]
    assert (shown["msgtype"], shown["body"], shown["filename"]) == ("m.image", "So sieht es aus", "Größe.png")
    assert shown["info"] == {"mimetype": "image/png", "size": len(content)}
    assert there.files[shown["url"]] == content
    paper = Attachment(name="a.pdf", media_type="application/pdf", content=blob)
    await matrix.send(message("", key="k2", attachments=(paper,)))
    shown = there.rooms[ROOM].events[-1]["content"]
    assert (shown["msgtype"], shown["body"]) == ("m.file", "a.pdf")


# ---- what it says of trouble
TROUBLE: dict[str, tuple[int, bytes, dict[str, str], type[ChannelError], float | bool | None]] = {
    "too fast": (429, b'{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500}', {}, Throttled, 2.5),
    "too fast, in a header": (429, b'{"retry_after_ms": 2500}', {"Retry-After": "7"}, Throttled, 7),
    "too fast, and no more": (429, b"slower!", {}, Throttled, 30),
    "too fast, and no number": (429, b'{"retry_after_ms": "soon"}', {}, Throttled, 30),
    "full": (403, b'{"errcode": "M_RESOURCE_LIMIT_EXCEEDED"}', {}, Throttled, 3600),
    "a token that is not known": (401, b'{"errcode": "M_UNKNOWN_TOKEN"}', {}, NeedsLogin, None),
    "a user who is not ours": (400, b'{"errcode": "M_EXCLUSIVE"}', {}, NeedsLogin, None),
    "a user who was locked": (403, b'{"errcode": "M_USER_LOCKED"}', {}, NeedsLogin, None),
    "forbidden": (403, b'{"errcode": "M_FORBIDDEN"}', {}, Rejected, None),
    "too large": (413, b'{"errcode": "M_TOO_LARGE"}', {}, Rejected, None),
    "something new": (400, b'{"errcode": "M_SOMETHING"}', {}, Rejected, None),
    "a path that is not known": (404, b'{"errcode": "M_UNRECOGNIZED"}', {}, Unsupported, None),
    "a code that is none": (400, b'{"errcode": 7}', {}, Rejected, None),
    "a failure": (500, b'{"errcode": "M_UNKNOWN"}', {}, Unreachable, False),
    "a proxy": (502, b"<html>", {}, Unreachable, False),
    "a redirect": (302, b"", {}, Unreachable, False),
}


@pytest.mark.parametrize(("status", "body", "headers", "says", "more"), TROUBLE.values(), ids=TROUBLE)
async def test_each_error_has_its_meaning(
    matrix: Matrix,
    there: FakeHomeserver,
    status: int,
    body: bytes,
    headers: dict[str, str],
    says: type[ChannelError],
    more: float | bool | None,
) -> None:
    there.use(ProviderFault(acts=False, status=status, body=body, headers=headers))
    with pytest.raises(ChannelError) as raised:
        await matrix.send(message())
    assert type(raised.value) is says
    assert getattr(raised.value, "after_s", getattr(raised.value, "certain", None)) == more


async def test_as_long_as_only_questions_were_asked_it_is_certain(matrix: Matrix, there: FakeHomeserver) -> None:
    there.everywhere = True
    there.next(ProviderFault.lost_answer())
    with pytest.raises(Unreachable) as raised:
        await matrix.send(message())
    assert raised.value.certain


async def test_a_homeserver_that_forgot_our_key_is_searched_before_a_repeat(
    matrix: Matrix, there: FakeHomeserver
) -> None:
    assert await matrix.lookup(message()) == "not_sent"
    sent = await matrix.send(message())
    there._answers.clear()
    assert await matrix.send(message(attempt=2)) == sent
    assert await matrix.lookup(message()) == sent
    assert said(there) == ["Guten Tag"]


async def test_looking_ends_at_what_was_there_before_and_gives_up_in_time(
    matrix: Matrix, there: FakeHomeserver
) -> None:
    noise = {"type": "m.room.message", "sender": ANN, "content": {"body": "?", "msgtype": "m.text"}}
    there.put(ROOM, *[noise] * 600)
    assert await matrix.lookup(message()) == "unknown"
    assert await matrix.lookup(message(references=(f"{ROOM}/$e450",))) == "not_sent"


# ---- what comes by asking
def text(body: str, sender: str = ANN) -> dict[str, Any]:
    return {"type": "m.room.message", "sender": sender, "content": {"body": body, "msgtype": "m.text"}}


def texts(page: Page) -> list[str]:
    return [one.text for one in page.events if isinstance(one, Received)]


async def test_an_invitation_is_accepted_and_what_was_said_before_is_taken(
    matrix: Matrix, there: FakeHomeserver
) -> None:
    there.rooms["!new"] = Room(joined={ANN: "Ann"}, invited={US})
    there.put("!new", *[text(f"{number}") for number in range(60)])
    page = await matrix.fetch("join !new")
    assert US in there.rooms["!new"].joined
    assert (texts(page), page.next) == ([f"{number}" for number in range(10, 60)], "")
    assert await matrix.fetch("join !nowhere") == Page(events=())


async def test_an_encrypted_room_is_told_once_why_nobody_answers(matrix: Matrix, there: FakeHomeserver) -> None:
    there.rooms["!new"] = Room(joined={ANN: "Ann"}, invited={US}, encrypted=True)
    assert await matrix.fetch("join !new") == Page(events=(Fetch("encrypted !new"),))
    for _ in range(2):
        assert await matrix.fetch("encrypted !new") == Page(events=())
        there._answers.clear()
    assert said(there, "!new") == [ENCRYPTED]
    there.rooms["!new"].joined.pop(US)
    assert await matrix.fetch("encrypted !new") == Page(events=())  # nobody is there to tell it to


async def test_history_is_read_room_by_room_from_its_beginning(matrix: Matrix, there: FakeHomeserver) -> None:
    invitation = {"type": "m.room.member", "sender": ANN, "state_key": US, "content": {"membership": "invite"}}
    there.put(ROOM, invitation, *[text(f"a{number}") for number in range(120)], text("von uns", US))
    there.rooms["!other"] = Room(joined={ANN: "Ann"})
    there.rooms["!zoo"] = Room(joined={US: "", BOB: "Bob"})
    there.put("!zoo", text("b", BOB))
    found, cursor = [], ""
    for _ in range(4):
        page = await matrix.fetch(cursor)
        found += texts(page)
        cursor = page.next
        if not cursor:
            break
    assert found == [*(f"a{number}" for number in range(120)), "b"]
    assert cursor == ""


async def test_a_file_is_fetched_as_a_stream_and_an_address_that_is_none_is_refused(
    matrix: Matrix, there: FakeHomeserver
) -> None:
    there.files["mxc://customer.test/a b"] = b"\x89PNG"
    assert b"".join([piece async for piece in matrix.fetch_media("mxc://customer.test/a b")]) == b"\x89PNG"
    assert there.calls[-1].headers["Authorization"] == "Bearer as"
    for ref in ("https://evil.example/a", "mxc://nothing", "mxc:///a", "mxc://a/"):
        with pytest.raises(Rejected):
            matrix.fetch_media(ref)


# ---- the line
async def test_who_we_are_is_asked_for(matrix: Matrix, there: FakeHomeserver) -> None:
    assert await matrix.verify() == f"{US} at {there.url}"
    there.everywhere = True
    there.next(ProviderFault(body=b'{"user_id": "@other:customer.test"}'))
    with pytest.raises(NeedsLogin):
        await matrix.verify()


PINGS = {
    "well": (200, b"{}", ("up", "")),
    "older than this": (404, b'{"errcode": "M_UNRECOGNIZED"}', ("up", "")),
    "another token": (502, b'{"errcode": "M_BAD_STATUS", "status": 403}', "hs_token"),
    "another address": (502, b'{"errcode": "M_CONNECTION_FAILED"}', "url"),
}


@pytest.mark.parametrize(("status", "body", "state"), PINGS.values(), ids=PINGS)
async def test_a_homeserver_that_cannot_call_us_is_told(
    matrix: Matrix, there: FakeHomeserver, context: FakeContext, status: int, body: bytes, state: Any
) -> None:
    there.use(lambda call: ProviderFault(status=status, body=body) if call.path.endswith("/ping") else ProviderFault())
    there.everywhere = True
    running = asyncio.create_task(matrix.run())
    await asyncio.wait_for(context.reported.wait(), 5)
    running.cancel()
    [(said, why), *_] = context.states
    assert (said, why) == state if isinstance(state, tuple) else said == "degraded" and state in why


async def test_reading_and_writing_is_shown_where_it_happens(matrix: Matrix, there: FakeHomeserver) -> None:
    await matrix.mark_read([f"{ROOM}/$1", "no id of ours"])
    await matrix.show_typing(Address("matrix", ANN), reply_to=f"{ROOM}/$1")
    await matrix.show_typing(Address("matrix", ANN), reply_to="")
    assert [call.path.removeprefix("/_matrix/client/v3/rooms/") for call in there.calls] == [
        f"{ROOM}/receipt/m.read/$1",
        f"{ROOM}/typing/{US}",
    ]
