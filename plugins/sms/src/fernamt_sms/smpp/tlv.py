"""Optional parameters: a tag, a length, a value."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final, TypeAlias

Tlvs: TypeAlias = Mapping[int, bytes]
"""By tag. Where a tag comes twice, the first one counts."""
NONE: Final[Tlvs] = MappingProxyType({})

RECEIPTED_MESSAGE_ID: Final = 0x001E
USER_MESSAGE_REFERENCE: Final = 0x0204
SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F
SC_INTERFACE_VERSION: Final = 0x0210
MESSAGE_PAYLOAD: Final = 0x0424
NETWORK_ERROR_CODE: Final = 0x0423
MESSAGE_STATE: Final = 0x0427
_HEAD: Final = Struct(">HH")


def read(data: bytes, start: int) -> Tlvs:
    """Return the parameters from *start* to the end; raises ``ValueError`` if one is longer than what is left."""
    end = len(data)
    if start >= end:
        return NONE
    found: dict[int, bytes] = {}
    while start < end:
        if end - start < 4:
            raise ValueError("the head of an optional parameter is cut off")
        tag, length = _HEAD.unpack_from(data, start)
        start += 4
        if length > end - start:
            raise ValueError(f"optional parameter 0x{tag:04X} has {length} bytes, and {end - start} are left")
        found.setdefault(tag, data[start : start + length])
        start += length
    return MappingProxyType(found)


def written(tlvs: Tlvs) -> bytes:
    """Return the parameters as they go over the wire."""
    return b"".join([_HEAD.pack(tag, len(value)) + value for tag, value in tlvs.items()])


def text(tlvs: Tlvs, tag: int) -> str:
    """Return a C-octet string, with its NUL or without; ``""``: it is not there."""
    return tlvs.get(tag, b"").partition(b"\0")[0].decode("latin-1").strip()


def number(tlvs: Tlvs, tag: int) -> int | None:
    """Return an integer of one, two or four bytes; ``None``: it is not there, or no such thing."""
    value = tlvs.get(tag, b"")
    return int.from_bytes(value, "big") if len(value) in {1, 2, 4} else None
