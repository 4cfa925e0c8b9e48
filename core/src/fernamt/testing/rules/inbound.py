"""What comes in by a webhook, or stands in a recording."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson
from attrs import evolve

from fernamt._store.pieces import PIECES_MAX
from fernamt.connector import Receives, Webhooks
from fernamt.errors import BadSignature
from fernamt.inbound import Handshake, InboundEvent, Received, Request
from fernamt.testing.recording import Recording, plain
from fernamt.testing.rig import Rig, rigged
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs

rule = RULES = Rules("in")
_STRANGE: Final = {"type": "fernamt-kit-unknown", "kind": "fernamt-kit-unknown"}


def _keys(events: Sequence[InboundEvent]) -> list[str]:
    return [str(event.key) for event in events if hasattr(event, "key")]


async def meant_by(rig: Rig, recording: Recording) -> Sequence[InboundEvent]:
    """Return the events of a recording, to a connector that has seen nothing before."""
    async with rigged(rig.suite, rig.seen) as fresh:
        events = await rig.suite.meaning(fresh, recording)
    return () if isinstance(events, str) else events


@rule("has-recordings", "bronze")
async def has_recordings(rig: Rig) -> None:
    """What the provider sends is recorded, and what it means beside it."""
    if not (rig.has(Webhooks) or rig.has(Receives)):
        raise NotApplicable("nothing comes in by webhooks or by run()")
    if not rig.recordings:
        raise Broken(
            "there are no recordings: save real requests of the provider, with what they mean, as"
            f" {rig.suite.folder.name}/recordings/*.json"
        )


@rule("recorded-values", "bronze", needs.recorded)
async def recorded_values(rig: Rig) -> None:
    """A recording means what stands beside it."""
    for one in rig.recordings:
        if found := one.differences(await meant_by(rig, one)):
            raise Broken(
                f"of the recording {one.name}, {found[0]}: mend the connector, or the expectation if that is wrong"
            )


@rule("whole-batch", "bronze", needs.recorded)
async def whole_batch(rig: Rig) -> None:
    """Every element of a batch becomes an event."""
    for one in rig.recordings:
        events = await meant_by(rig, one)
        if len(events) != len(one.expect):
            raise Broken(
                f"the recording {one.name} holds {len(one.expect)} events and {len(events)} came out:"
                " walk through every list of the request, and return an event for each element"
            )


@rule("repeat-same-key", "bronze", needs.called)
async def repeat_same_key(rig: Rig) -> None:
    """What the provider sends twice has the same keys twice."""
    for one in rig.recordings:
        first = _keys(rig.events(one))
        rig.context.clock.advance(3600)
        for again in (_keys(rig.events(one)), _keys(_with_new_connector(rig, one))):
            if again != first:
                raise Broken(
                    f"the recording {one.name} has the keys {first} and, sent again an hour later, {again}:"
                    " make the key of the provider's own id, never of the time, a counter or what was seen before"
                )


def _with_new_connector(rig: Rig, one: Recording) -> tuple[InboundEvent, ...]:
    rig.restarted()
    return rig.events(one)


@rule("distinct-keys", "bronze", needs.recorded)
async def distinct_keys(rig: Rig) -> None:
    """Two different events never share a key."""
    known: dict[str, object] = {}
    for one in rig.recordings:
        for event in await meant_by(rig, one):
            key, seen = getattr(event, "key", ""), plain(event)
            if key and known.setdefault(key, seen) != seen:
                raise Broken(
                    f"{type(event).__name__} of the recording {one.name} has the key {key!r} of another event:"
                    " put what happened into the key, for instance 'delivered:' and the id"
                )


@rule("pieces-count", "bronze", needs.recorded)
async def pieces_count(rig: Rig) -> None:
    """Pieces of a message name their group, and are numbered from 1 to their total."""
    found = [
        (one.name, event.part)
        for one in rig.recordings
        for event in await meant_by(rig, one)
        if isinstance(event, Received) and event.part is not None
    ]
    if not found:
        raise NotApplicable("no recording holds a piece of a message (Received.part)")
    for name, part in found:
        if (
            not part.group
            or part.number < 1
            or (part.total is not None and not part.number <= part.total <= PIECES_MAX)
        ):
            raise Broken(
                f"in the recording {name} a piece is number {part.number} of {part.total} in the group {part.group!r}: give the"
                f" provider's reference as the group, and count from 1 to the total, at most {PIECES_MAX}"
            )


@rule("parse-remembers-nothing", "bronze", needs.called)
async def parse_remembers_nothing(rig: Rig) -> None:
    """What a request means does not depend on what came before."""

    def meant(one: Recording) -> list[object]:
        return [{name: value for name, value in plain(event).items() if name != "key"} for event in rig.events(one)]

    alone = {}
    for one in rig.recordings:
        rig.restarted()
        alone[one.name] = meant(one)
    rig.restarted()
    for one in (*rig.recordings, *reversed(rig.recordings)):
        if meant(one) != alone[one.name]:
            raise Broken(
                f"the recording {one.name} means something else after others: parse must be pure, so keep nothing in self"
            )


@rule("tampered-refused", "bronze", needs.signed)
async def tampered_refused(rig: Rig) -> None:
    """A request that was changed on its way is refused."""
    for one in rig.recordings:
        request = rig.signed(one)
        for place, changed in _tampered(request):
            _must_refuse(rig, one, changed, f"with one byte of its {place} changed")


def _tampered(request: Request) -> Iterator[tuple[str, Request]]:
    if request.body:
        body = bytearray(request.body)
        body[len(body) // 2] ^= 1
        yield "body", evolve(request, body=bytes(body))
    elif request.query:
        name = next(iter(request.query))
        query = {**request.query, name: f"{request.query[name]}1"}
        yield "query", evolve(request, query=query, url=f"{request.url.partition('?')[0]}?{name}={query[name]}")


def _must_refuse(rig: Rig, one: Recording, request: Request, how: str) -> None:
    try:
        rig.hook(one).verify(request)
    except BadSignature:
        return
    except Exception as why:
        raise Broken(
            f"verify raised {type(why).__name__} for the recording {one.name} {how}: raise BadSignature, whatever is missing"
        ) from why
    raise Broken(
        f"verify took the recording {one.name} {how}: compute the signature over the raw bytes, compare it with"
        " hmac.compare_digest, and raise BadSignature"
    )


@rule("unsigned-refused", "bronze", needs.called)
async def unsigned_refused(rig: Rig) -> None:
    """A request without a signature is refused."""
    for one in rig.recordings:
        _must_refuse(rig, one, rig.unsigned(one), "without a signature")


@rule("stale-refused", "bronze", needs.signed)
async def stale_refused(rig: Rig) -> None:
    """A signed request that is too old is refused."""
    limit_s = _signed_time_s(rig)
    for one in rig.recordings:
        request = rig.signed(one)
        _must_refuse(
            rig, one, evolve(request, at=request.at + timedelta(seconds=2 * limit_s)), f"{2 * limit_s:g} s late"
        )


@rule("clock-skew", "silver", needs.signed)
async def clock_skew(rig: Rig) -> None:
    """A provider whose clock is a little off is still understood."""
    _signed_time_s(rig)
    for one, off_s in itertools.product(rig.recordings, (-30, 30)):
        request = rig.signed(one)
        try:
            rig.hook(one).verify(evolve(request, at=request.at + timedelta(seconds=off_s)))
        except Exception as why:
            raise Broken(
                f"verify refused the recording {one.name} because clocks are {abs(off_s)} s apart: allow some minutes, both ways"
            ) from why


def _signed_time_s(rig: Rig) -> float:
    if rig.suite.signs_time_s is None:
        raise NotApplicable("the provider signs no time (signs_time_s = None)")
    return rig.suite.signs_time_s


def _lists(value: Any) -> Iterator[list[Any]]:
    """Yield every list of objects in a JSON value."""
    if isinstance(value, list):
        if value and all(isinstance(one, dict) for one in value):
            yield value
        for one in value:
            yield from _lists(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _lists(one)


def _batches(rig: Rig, at_least: int) -> Iterator[tuple[Recording, Any, list[Any]]]:
    """Yield recordings of JSON in which each element of one list is an event: with the whole value, and that list."""
    for one in rig.recordings:
        try:
            whole = orjson.loads(one.body)
        except orjson.JSONDecodeError:
            continue
        found = [elements for elements in _lists(whole) if len(elements) == len(one.expect) >= at_least]
        if found:
            yield one, whole, found[-1]


@rule("one-bad-element", "bronze", needs.called)
async def one_bad_element(rig: Rig) -> None:
    """One bad element of a batch spoils nothing beside it."""
    tried = False
    for one, whole, elements in _batches(rig, 2):
        tried = True
        keys = _keys(rig.events(one))
        elements[0] = {}
        try:
            found = rig.parsed(evolve(one, body=orjson.dumps(whole)))
            left = [] if isinstance(found, Handshake) else _keys(found)
        except Exception as why:
            raise Broken(
                f"with an empty first element the whole recording {one.name} is refused ({type(why).__name__}):"
                " catch what goes wrong with one element, and return Unparsed for it"
            ) from why
        if lost := [key for key in keys[1:] if key not in left]:
            raise Broken(
                f"with an empty first element of the recording {one.name} the events {lost} are gone:"
                " return Unparsed for the bad one, and go on"
            )
    if not tried:
        raise NotApplicable("no recording holds a list of two or more events")


@rule("unknown-kept", "bronze", needs.called)
async def unknown_kept(rig: Rig) -> None:
    """What the connector does not know is kept, not swallowed."""
    tried = False
    for one, whole, elements in _batches(rig, 1):
        tried = True
        elements[:] = [{**_STRANGE}]
        found: object = one
        with contextlib.suppress(Exception):  # the core keeps the bytes, whatever parse raises
            found = rig.parsed(evolve(one, body=orjson.dumps(whole)))
        if not found or isinstance(found, Handshake):
            raise Broken(
                f"an unknown element in the request {one.name} vanished: return Unparsed for it,"
                " or Ignored with the reason if you know that it is of no interest"
            )
    if not tried:
        raise NotApplicable("no recording holds a list of events in JSON")
