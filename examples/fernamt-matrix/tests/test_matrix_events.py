"""What the homeserver tells us, where no recording says it: what is broken, deleted, or of another form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fernamt import Attachment, Changed, Ignored, InboundEvent, Received, Remote, Unparsable, Unparsed
from fernamt_matrix.events import Reader, id_of, room_of

from .homeserver import ANN, ROOM, US

READER = Reader(US)


def event(content: dict[str, Any], kind: str = "m.room.message", **more: Any) -> dict[str, Any]:
    said = {"type": kind, "room_id": ROOM, "event_id": "$1", "sender": ANN, "origin_server_ts": 0, "content": content}
    return said | more


def read(content: dict[str, Any], kind: str = "m.room.message", **more: Any) -> InboundEvent:
    [found] = READER.events([event(content, kind, **more)])
    return found


def words(**content: Any) -> Received:
    found = read({"msgtype": "m.text"} | content)
    assert isinstance(found, Received)
    return found


FILES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a file without a caption": (
        {"msgtype": "m.file", "body": "rechnung.pdf"},
        "",
        "rechnung.pdf",
        "application/octet-stream",
    ),
    "a file with its name in both": (
        {"msgtype": "m.audio", "body": "a.ogg", "filename": "a.ogg", "info": {"mimetype": "audio/mpeg"}},
        "",
        "a.ogg",
        "audio/mpeg",
    ),
    "a video with a caption": ({"msgtype": "m.video", "body": "So!", "filename": "v.mp4"}, "So!", "v.mp4", "video/mp4"),
}


@pytest.mark.parametrize(("content", "text", "name", "media_type"), FILES.values(), ids=FILES)
def test_a_file_has_its_name_and_its_caption(content: dict[str, Any], text: str, name: str, media_type: str) -> None:
    found = words(**content, url="mxc://s/1")
    assert found.text == text
    assert found.attachments == (Attachment(name=name, media_type=media_type, content=Remote("mxc://s/1")),)


def test_a_sticker_is_a_picture() -> None:
    found = read({"body": "Katze", "url": "mxc://s/1", "info": {"mimetype": "image/webp"}}, "m.sticker")
    assert isinstance(found, Received)
    assert [one.media_type for one in found.attachments] == ["image/webp"]


def test_a_file_that_is_nowhere_is_its_words() -> None:
    found = words(msgtype="m.file", body="geheim.pdf", file={"url": "mxc://s/1", "key": {}})
    assert (found.text, found.attachments) == ("geheim.pdf", ())


def test_a_notice_is_a_machines() -> None:
    assert words(msgtype="m.notice", body="Ich bin im Urlaub").automatic
    assert not words(body="Ich bin da").automatic


QUOTES = {
    "as older clients repeat it": ("> <@support:s> Guten Tag\n> und mehr\n\nDanke", "Danke"),
    "by hand": ("> Guten Tag\n\nDas stimmt nicht", "> Guten Tag\n\nDas stimmt nicht"),
    "and nothing else": ("> <@support:s> Guten Tag", "> <@support:s> Guten Tag"),
}


@pytest.mark.parametrize(("body", "text"), QUOTES.values(), ids=QUOTES)
def test_what_an_answer_repeats_is_left_out(body: str, text: str) -> None:
    found = words(body=body, **{"m.relates_to": {"m.in_reply_to": {"event_id": "$0"}}})
    assert found.text == text
    assert found.thread.references == (f"{ROOM}/$0",)
    assert words(body=body).text == body


def test_an_edit_without_its_new_content_has_the_old_field() -> None:
    found = read({"body": "* neu", "msgtype": "m.text", "m.relates_to": {"rel_type": "m.replace", "event_id": "$0"}})
    assert isinstance(found, Changed)
    assert (found.id, found.kind, found.text) == (f"{ROOM}/$0", "edited", "* neu")


IGNORED: dict[str, dict[str, Any]] = {
    "our own": event({"body": "x", "msgtype": "m.text"}, sender=US),
    "it was deleted before it came": event({}),
    "neither a message nor about one": event({"topic": "Hilfe"}, "m.room.topic", state_key=""),
}


@pytest.mark.parametrize("reason", IGNORED)
def test_what_is_of_no_interest_is_counted(reason: str) -> None:
    assert list(READER.events([IGNORED[reason]])) == [Ignored(reason=reason)]


def test_a_reaction_that_was_deleted_says_nothing() -> None:
    assert isinstance(read({}, "m.reaction"), Ignored)


BROKEN: dict[str, Any] = {
    "no object": 7,
    "empty": {},
    "a text that is none": event({"msgtype": "m.text", "body": 7}),
    "a relation that is none": event({"msgtype": "m.text", "body": "x", "m.relates_to": 7}),
    "a time that never is": event({"msgtype": "m.text", "body": "x"}, origin_server_ts=10**30),
    "a time that is no number": event({"msgtype": "m.text", "body": "x"}, origin_server_ts="soon"),
    "a sender who is none": event({"msgtype": "m.text", "body": "x"}, sender=None),
    "a content that is none": event({}) | {"content": ["x"]},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_kept_under_a_key_that_lasts_and_spoils_nothing(broken: Any) -> None:
    good = event({"msgtype": "m.text", "body": "Hallo"}, event_id="$2")
    aged = broken | {"age": 7, "unsigned": {"age": 7}} if isinstance(broken, dict) else broken
    first, beside = READER.transaction(json.dumps({"events": [broken, good]}).encode())
    again, _ = READER.transaction(json.dumps({"events": [aged, good]}).encode())
    assert isinstance(first, Unparsed)
    assert isinstance(again, Unparsed)
    assert first.key == again.key
    assert isinstance(beside, Received)


@pytest.mark.parametrize("body", [b"[]", b'{"events": 7}'])
def test_a_transaction_that_is_none_is_kept_whole(body: bytes) -> None:
    with pytest.raises(Unparsable):
        READER.transaction(body)


def test_passing_things_may_be_anything() -> None:
    ephemeral = [7, {"type": "m.receipt", "room_id": ROOM, "content": {"$1": 7, "$2": {"m.read": {US: {}}}}}, {}]
    found = READER.transaction(json.dumps({"ephemeral": ephemeral}).encode())
    assert {type(one) for one in found} == {Ignored}


def test_an_id_says_its_room() -> None:
    assert room_of(id_of("!a:b/c", "$d")) == ("!a:b/c", "$d")
    assert room_of("mail@example.org") == ("mail@example.org", "")
