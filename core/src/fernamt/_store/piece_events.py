"""A piece of a message as text: all of it is kept until the others are there."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from fernamt.inbound import Received
from fernamt.model import Blob, Remote

if TYPE_CHECKING:
    from cattrs import Converter


def written_event(event: Received) -> str:
    """Return the event as JSON, in ASCII: a half of a character that another piece holds the rest of stays what it is."""
    return json.dumps(_converter().unstructure(event))


def read_event(text: str) -> Received:
    """Return what :func:`written_event` was given."""
    return _converter().structure(json.loads(text), Received)


@cache
def _converter() -> Converter:
    from cattrs import Converter
    from cattrs.gen import make_dict_unstructure_fn

    converter = Converter(omit_if_default=True)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook(bytes | Blob | Remote, _content)
    for kind in (Blob, Remote):
        converter.register_unstructure_hook(kind, make_dict_unstructure_fn(kind, converter))
    return converter


def _content(value: Any, _: Any) -> Blob | Remote:
    return Remote(**value) if "ref" in value else Blob(**value)
