"""What a plugin asked for, made fit to be stored: each effect within its bounds, before any transaction."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

import attrs
import orjson

from fernamt._runtime.storable import cleaned
from fernamt.effects import AddEntry, Effect, Job, Remember, Reply, Timer
from fernamt.errors import Unsupported
from fernamt.model import Blob, Json

MEMORY_MAX_BYTES: Final = 8_192
DATA_MAX_BYTES: Final = 65_536
EFFECTS_MAX: Final = 100
_KIND: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_NAME_MAX: Final = 100
_AT_ONCE: Final = timedelta()
_TIMER_MAX: Final = timedelta(days=3_653)


def storable_effects(effects: Any, jobs: Collection[str]) -> tuple[Effect, ...]:
    """Return what a plugin asked for, with every text in it storable; *jobs* are those that it offers.

    Raises:
        Unsupported: Something of it cannot be done, whatever the state of things: the text says what.
    """
    if not isinstance(effects, list | tuple) or len(effects) > EFFECTS_MAX:
        raise Unsupported(f"the plugin must return a list of at most {EFFECTS_MAX} effects")
    return tuple(_effect(cleaned(one), jobs) for one in effects)


def _effect(effect: Any, jobs: Collection[str]) -> Effect:
    match effect:
        case Reply():
            if not all(isinstance(file.content, Blob) for file in effect.attachments):
                raise Unsupported("what a reply carries must be in the blob store: context.blobs.put")
            return effect
        case AddEntry():
            return _added(effect)
        case Timer():
            if not 0 < len(effect.name) <= _NAME_MAX or abs(effect.after or _AT_ONCE) > _TIMER_MAX:
                raise Unsupported(f"a timer has a name of at most {_NAME_MAX} characters and rings within ten years")
            return effect
        case Job():
            if effect.name not in jobs:
                raise Unsupported(f"the plugin offers no job {effect.name!r}")
            return attrs.evolve(effect, data=_plain(effect.data, "the data of a job", DATA_MAX_BYTES))
        case Remember(memory):
            return Remember(_plain(memory, "what a subscriber remembers", MEMORY_MAX_BYTES))
        case _:
            raise Unsupported(f"a plugin cannot ask for a {type(effect).__name__}")


def _added(entry: AddEntry) -> AddEntry:
    if entry.kind in {"sent", "received"}:
        raise Unsupported(f"an entry of kind {entry.kind!r} is not added: to write to the customer there is Reply")
    if not _KIND.fullmatch(entry.kind):
        raise Unsupported(f"{entry.kind!r} is no kind of an entry: at most {_NAME_MAX} of a-z, 0-9, '.', '_' and '-'")
    return attrs.evolve(entry, data=_plain(entry.data, "the data of an entry", DATA_MAX_BYTES))


def _plain(value: Any, what: str, max_bytes: int) -> Mapping[str, Json]:
    try:
        words = orjson.dumps(dict(value))
    except (TypeError, ValueError) as why:
        raise Unsupported(f"{what} must be JSON: {why}") from why
    if len(words) > max_bytes:
        raise Unsupported(f"{what} has {len(words)} bytes of JSON, at most {max_bytes} are kept")
    plain: Mapping[str, Json] = orjson.loads(words)
    return plain
