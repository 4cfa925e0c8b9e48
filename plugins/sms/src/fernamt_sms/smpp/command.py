"""What a PDU is: the numbers of the commands of SMPP 3.4."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

RESPONSE: Final = 0x80000000
"""This bit makes an answer of a request."""


class Command(IntEnum):
    """The requests; an answer has the same number with the bit :data:`RESPONSE`."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    QUERY_SM = 0x03
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    REPLACE_SM = 0x07
    CANCEL_SM = 0x08
    BIND_TRANSCEIVER = 0x09
    OUTBIND = 0x0B
    ENQUIRE_LINK = 0x15
    SUBMIT_MULTI = 0x21
    ALERT_NOTIFICATION = 0x102
    DATA_SM = 0x103


GENERIC_NACK: Final = RESPONSE
UNANSWERED: Final = frozenset({Command.OUTBIND, Command.ALERT_NOTIFICATION})
"""Requests that have no answer."""


def response_to(command: int) -> int:
    """Return the number of the answer to a command."""
    return command | RESPONSE


def name_of(command: int) -> str:
    """Return the specification's name, or the number in hexadecimal."""
    if command == GENERIC_NACK:
        return "generic_nack"
    try:
        name = Command(command & ~RESPONSE).name.lower()
    except ValueError:
        return f"0x{command:08X}"
    return f"{name}_resp" if command & RESPONSE else name
