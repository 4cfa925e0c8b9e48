"""The files that come with a mail, decoded and under names for people. Pure."""

from __future__ import annotations

import re

from attrs import field, frozen

from fernamt_email.file_names import file_name, type_of
from fernamt_email.mime import MAILS, Part
from fernamt_email.tnef import Packed

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_SLASHES = re.compile(r"[/\\]")


@frozen(kw_only=True)
class File:
    """An attachment, decoded."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    content_id: str = ""


def file_of(part: Part, *, name: str = "") -> File:
    """Return a part as the file that it is; *name*: in place of the one that it names."""
    written = name or part.file_name
    kind = part.kind
    if kind in MAILS:
        written = re.sub(r"\.eml$", "", written or _subject_within(part) or "message", flags=re.IGNORECASE) + ".eml"
    return File(name=file_name(written, kind), media_type=kind, data=part.content, content_id=part.content_id)


def packed_file(one: Packed) -> File:
    """Return what was packed in a winmail.dat as a file."""
    media_type = one.media_type if _MEDIA_TYPE.fullmatch(one.media_type) else type_of(one.name)
    return File(
        name=file_name(one.name, media_type), media_type=media_type, data=one.data, content_id=one.content_id[:200]
    )


def _subject_within(part: Part) -> str:
    inner = next(iter(part.children), None)
    return _SLASHES.sub("-", inner.headers.text("subject")) if inner else ""
