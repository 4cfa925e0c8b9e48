"""What a connector may do beside sending and receiving, and what it claims."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

from attrs import evolve

from fernamt.connector import Answers, Backfills, ChoosesId, FetchesMedia, Measures, Reconciles
from fernamt.errors import Rejected, Unsupported
from fernamt.inbound import Receipt, Received, Response
from fernamt.model import Address, Attachment, Button, Template
from fernamt.outbound import Sent
from fernamt.session import Gather, HangUp, Hold, LineAction, Prompt, Record, Say, Session, Transfer, Turn
from fernamt.testing.rig import CHANNEL, Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.rules.inbound import meant_by
from fernamt.testing.trouble import HoldsHistory, HoldsMedia, Trouble

rule = RULES = Rules("ability")
_PAGES = 100
_PHOTO = b"\x89PNG" * 40_000
_SHARP = 'Müller & Söhne <GmbH> sagt "ja"'
_TEXTS = tuple(f"Geschichte Nummer {number:03}" for number in range(1, 31))


# ---- ids and lengths
@rule("id-steady", "bronze", needs.can(ChoosesId))
async def id_steady(rig: Rig) -> None:
    """The id of a message is the same on every attempt, and another one for another message."""
    one: Any = rig.connector
    message = rig.message()
    ids = [one.id_for(evolve(message, attempt=attempt)) for attempt in (1, 2)]
    if ids[0] != ids[1] or not ids[0]:
        raise Broken(
            f"id_for gave {ids[0]!r} and, on the second attempt, {ids[1]!r}: make it of entry_key or key alone"
        )
    if one.id_for(evolve(message, key="k2", entry_key="e2")) == ids[0]:
        raise Broken(f"id_for gave two messages the id {ids[0]!r}: make it of entry_key or key")


@rule("id-is-sent", "bronze", needs.can(ChoosesId), needs.sends, needs.server)
async def id_is_sent(rig: Rig) -> None:
    """The id that was fixed beforehand is the one that the message gets."""
    one: Any = rig.connector
    message = rig.message()
    found = await rig.sent(message)
    if one.id_for(message) not in found.ids:
        raise Broken(
            f"id_for said {one.id_for(message)!r}, and the message got {list(found.ids)}: send it along, and return it"
        )


@rule("units-grow", "bronze", needs.can(Measures))
async def units_grow(rig: Rig) -> None:
    """A longer text is never shorter in the provider's units."""
    one: Any = rig.connector
    counts = [one.units(rig.message("ä🙂b " * length)) for length in (1, 10, 100)]
    if counts[0] < 1 or counts != sorted(counts):
        raise Broken(f"texts of 4, 40 and 400 characters have {counts} units: count what the provider counts")


# ---- asking what became of it
@rule("lookup-finds", "silver", needs.can(Reconciles), needs.meets(Trouble.LOST_ANSWER))
async def lookup_finds(rig: Rig) -> None:
    """A message whose answer was lost is found at the provider."""
    one: Any = rig.connector
    message = rig.message()
    await rig.meet(Trouble.LOST_ANSWER)
    await rig.outcome(message)
    await rig.meet(None)
    found = await one.lookup(message)
    if not isinstance(found, Sent) or not found.ids:
        raise Broken(
            f"the provider had the message, and lookup {said(found)}: ask it by the key or the id that was sent along"
        )


@rule("lookup-honest", "bronze", needs.can(Reconciles), needs.server)
async def lookup_honest(rig: Rig) -> None:
    """What never was sent is not found, and is called not sent only by who sees everything."""
    one: Any = rig.connector
    found = await one.lookup(rig.message("nie gesendet", key="never", entry_key="never"))
    if isinstance(found, Sent) or found not in ("not_sent", "unknown"):
        raise Broken(
            f"nothing was sent, and lookup {said(found)}: return 'unknown', or 'not_sent' if the list is complete"
        )
    if found == "not_sent" and not rig.can.full_lookup:
        raise Broken(
            "lookup says not_sent without full_lookup in capabilities(): return 'unknown', or claim it if it is true"
        )


# ---- history and files
@rule("backfill-brings-all", "bronze", needs.can(Backfills), needs.keeps)
async def backfill_brings_all(rig: Rig) -> None:
    """The history is read page by page, whole, and comes to an end."""
    await _told_before(rig, *_TEXTS)
    texts = [event.text for event in await _history(rig) if isinstance(event, Received)]
    if missing := [text for text in _TEXTS if not any(text in one for one in texts)]:
        raise Broken(
            f"{len(missing)} of {len(_TEXTS)} messages are not in the pages: give the cursor of the next page as Page.next"
        )


async def _told_before(rig: Rig, *texts: str) -> None:
    server: Any = rig.server
    await (server.hold_history(*texts) if isinstance(server, HoldsHistory) else server.hold(*texts))


async def _history(rig: Rig) -> list[object]:
    one: Any = rig.connector
    found: list[object] = []
    cursor = ""
    for _ in range(_PAGES):
        page = await one.fetch(cursor)
        found += page.events
        if not page.next:
            return found
        if page.next == cursor:
            break
        cursor = page.next
    raise Broken(f"the history had no end after {_PAGES} pages: the last Page has next=''")


@rule("backfill-same-keys", "bronze", needs.can(Backfills), needs.keeps)
async def backfill_same_keys(rig: Rig) -> None:
    """What is read again from the history has the keys that it had before."""
    await _told_before(rig, *_TEXTS[:3])
    first = [getattr(event, "key", "") for event in await _history(rig)]
    rig.context.clock.advance(3600)
    rig.restarted()
    again = [getattr(event, "key", "") for event in await _history(rig)]
    if first != again:
        raise Broken(
            f"the history has the keys {first[:3]} and, an hour later, {again[:3]}: make them of the provider's own ids"
        )


@rule("media-whole", "bronze", needs.can(FetchesMedia), needs.holds_media)
async def media_whole(rig: Rig) -> None:
    """A file is brought as it is, in pieces."""
    one: Any = rig.connector
    server: Any = rig.server
    pieces = [piece async for piece in one.fetch_media(await server.hold_media(_PHOTO))]
    if b"".join(pieces) != _PHOTO:
        raise Broken(f"of a file of {len(_PHOTO)} bytes {len(b''.join(pieces))} came: yield all of it, unchanged")
    if len(pieces) < 2:
        raise Broken(f"a file of {len(_PHOTO)} bytes came in one piece: yield what context.http.download yields")


@rule("media-gone", "silver", needs.can(FetchesMedia), needs.holds_media)
async def media_gone(rig: Rig) -> None:
    """A file that is not there any more is not asked for again."""
    one: Any = rig.connector
    server: Any = rig.server
    assert isinstance(server, HoldsMedia)
    ref = await server.hold_media(b"")
    await server.lose_media()
    try:
        async for _ in one.fetch_media(ref):
            pass
    except Rejected:
        return
    except Exception as why:
        raise Broken(
            f"the file was gone, and fetch_media {said(why)}: raise Rejected, so that nobody asks for it again"
        ) from why
    raise Broken("the file was gone, and fetch_media ended as if it had brought it: raise Rejected")


# ---- turns
ACTIONS: tuple[LineAction, ...] = (
    Say((Prompt(text=_SHARP, language="de"),)),
    Gather(prompts=(Prompt(text=_SHARP, language="de"),), max_keys=1),
    Hold(prompts=(Prompt(text=_SHARP, language="de"),)),
    Record(max_s=30.0),
    Transfer(to="+4930123456"),
    HangUp(),
)
"""One of each kind."""


def turn_of(*actions: LineAction) -> Turn:
    """Return a turn of these actions."""
    session = Session(
        id="s1", call_id="c1", channel=CHANNEL, address=Address("phone", "+49301"), language="de", version=1
    )
    return Turn(session=session, n=1, actions=actions)


@rule("turn-same-bytes", "bronze", needs.can(Answers))
async def turn_same_bytes(rig: Rig) -> None:
    """A turn that is rendered again gives the same bytes."""
    one: Any = rig.connector
    turn = turn_of(ACTIONS[0], HangUp())
    first = one.answer(turn)
    rig.context.clock.advance(3600)
    if one.answer(turn) != first:
        raise Broken(
            "the same turn was rendered in two ways: make the answer of the turn alone, without time or chance"
        )


@rule("turn-or-unsupported", "bronze", needs.can(Answers))
async def turn_or_unsupported(rig: Rig) -> None:
    """Every action is rendered, or refused with Unsupported."""
    one: Any = rig.connector
    for action in ACTIONS:
        try:
            answer = one.answer(turn_of(action))
        except Unsupported:
            continue
        except Exception as why:
            raise Broken(
                f"{type(action).__name__} made answer raise {type(why).__name__}: render it, or raise Unsupported"
            ) from why
        if not isinstance(answer, Response) or not answer.body:
            raise Broken(f"{type(action).__name__} was rendered as nothing: render it, or raise Unsupported")


@rule("turn-escapes", "bronze", needs.can(Answers))
async def turn_escapes(rig: Rig) -> None:
    """What a prompt says cannot break out of the provider's language."""
    one: Any = rig.connector
    answer = one.answer(turn_of(ACTIONS[0], HangUp()))
    try:
        if "xml" in answer.media_type:
            words = "".join(ET.fromstring(answer.body).itertext())  # noqa: S314 - it is our own
        elif "json" in answer.media_type:
            words = json.dumps(json.loads(answer.body), ensure_ascii=False)
        else:
            raise NotApplicable(f"an answer of the type {answer.media_type} is not looked into")
    except (ET.ParseError, ValueError) as why:
        raise Broken(f"with the prompt {_SHARP!r} the answer is broken ({why}): escape what is said") from why
    if "Müller & Söhne <GmbH>" not in words:
        raise Broken(f"of the prompt {_SHARP!r} the provider reads {words[:80]!r}: escape what is said, once")


# ---- claims
@rule("buttons-arrive", "silver", needs.sends, needs.server)
async def buttons_arrive(rig: Rig) -> None:
    """Who claims buttons sends them."""
    if not (count := rig.can.buttons):
        raise NotApplicable("capabilities() claim no buttons")
    buttons = tuple(Button(f"Wahl {number}", f"w{number}") for number in range(min(count, 3)))
    await rig.sent(rig.message(buttons=buttons))
    _claimed(rig, [one.label for one in buttons], f"buttons={count}")


def _claimed(rig: Rig, words: list[str], claim: str) -> None:
    arrived = "\n".join(rig.provider.arrived)
    if missing := [one for one in words if one not in arrived]:
        raise Broken(
            f"capabilities() claim {claim}, and {missing[0]!r} did not reach the provider: send it, or take back the claim"
        )


@rule("template-arrives", "silver", needs.sends, needs.server)
async def template_arrives(rig: Rig) -> None:
    """Who claims templates sends them, with their values."""
    if not rig.can.templates:
        raise NotApplicable("capabilities() claim no templates")
    await rig.sent(rig.message("", template=Template(name="paket_kommt", language="de", values=("Schrauben",))))
    _claimed(rig, ["paket_kommt", "Schrauben"], "templates")


@rule("files-arrive", "silver", needs.sends, needs.server)
async def files_arrive(rig: Rig) -> None:
    """Who claims files sends them."""
    if not rig.can.files:
        raise NotApplicable("capabilities() claim no files")
    kind = rig.can.files[0].media_types[0].replace("*/*", "image/png").replace("/*", "/png")
    blob = rig.context.blobs.add(b"\x89PNG of the test")
    file = Attachment(name="Foto-vom-Schaden.png", media_type=kind, content=blob)
    for part in rig.fitted(rig.message("Anbei", attachments=(file,))):
        await rig.sent(part)
    _claimed(rig, ["Foto-vom-Schaden"], "files")


@rule("subject-arrives", "silver", needs.sends, needs.server)
async def subject_arrives(rig: Rig) -> None:
    """Who claims subjects sends them."""
    if not rig.can.subject:
        raise NotApplicable("capabilities() claim no subject")
    await rig.sent(rig.message(subject="Ihre Größe"))
    _claimed(rig, ["Ihre Größe"], "subject")


@rule("receipts-recorded", "silver", needs.recorded)
async def receipts_recorded(rig: Rig) -> None:
    """Each receipt that it claims was seen: there is a recording of it."""
    wanted = {state.value for state in rig.can.receipts}
    if not wanted:
        raise NotApplicable("capabilities() claim no receipts")
    seen = {str(event.get("state", "")) for one in rig.recordings for event in one.expect if isinstance(event, dict)}
    if missing := sorted(wanted - seen):
        raise Broken(
            f"capabilities() claim the receipt {missing[0]!r}, and no recording holds one: record it, or take back the claim"
        )


@rule("receipts-claimed", "silver", needs.recorded)
async def receipts_claimed(rig: Rig) -> None:
    """Each receipt that it gives is claimed, so that people can rely on its absence."""
    for one in rig.recordings:
        for event in await meant_by(rig, one):
            if isinstance(event, Receipt) and event.state not in rig.can.receipts:
                raise Broken(
                    f"the recording {one.name} gives a receipt {event.state.value!r} that capabilities() do not claim: add it"
                )
