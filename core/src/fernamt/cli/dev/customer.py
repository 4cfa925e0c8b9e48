"""What a customer writes, as the provider would tell it: a recording of the plugin, with other words and a new id."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus

import orjson
from attrs import evolve

from fernamt.testing import Recording


def speaking(recordings: Iterable[Recording]) -> Recording | None:
    """Return the first recording that stands for one message of a customer, with words; ``None``: there is none."""
    for one in recordings:
        if not isinstance(one.expect, str) and len(one.expect) == 1:
            [event] = one.expect
            if event.get("type") == "Received" and event.get("text"):
                return one
    return None


def written(recording: Recording, text: str) -> Recording:
    """Return the recording with *text* instead of its own, and with an id that nobody had before."""
    assert not isinstance(recording.expect, str)
    [event] = recording.expect
    old = {str(event[name]) for name in ("key", "id") if event.get(name)}
    fresh = {one: f"{one}-{secrets.token_hex(4)}" for one in old}
    words = {str(event["text"]): text}
    try:
        body = orjson.dumps(_replaced(orjson.loads(recording.body), fresh, words))
    except orjson.JSONDecodeError:
        said = recording.body.decode("utf-8", "surrogateescape")
        for before, after in (*words.items(), *fresh.items()):
            said = said.replace(quote_plus(before), quote_plus(after)).replace(before, after)
        body = said.encode("utf-8", "surrogateescape")
    return evolve(recording, body=body)


def _replaced(value: Any, fresh: Mapping[str, str], words: Mapping[str, str]) -> Any:
    match value:
        case str():
            return words.get(value, fresh.get(value, value))
        case bool() | float() | None:
            return value
        case int():
            return secrets.randbelow(2**40) if str(value) in fresh else value
        case list():
            return [_replaced(one, fresh, words) for one in value]
        case _:
            return {name: _replaced(one, fresh, words) for name, one in value.items()}
