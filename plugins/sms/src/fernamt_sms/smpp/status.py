"""What a command_status means: its name, and what follows from it for a message that was refused with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from fernamt import ChannelError
from fernamt_sms.outcome import Class, Meaning, error


class Status(IntEnum):
    """The statuses of SMPP 3.4, 5.1.3."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVOPTPARSTREAM = 0xC0
    ROPTPARNOTALLWD = 0xC1
    RINVPARLEN = 0xC2
    RMISSINGOPTPARAM = 0xC3
    RINVOPTPARAMVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF


_MEANINGS: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        Status.RINVMSGLEN: Meaning(Class.REFUSED, "the SMSC does not take a message of this length"),
        Status.RINVBNDSTS: Meaning(Class.CERTAIN, "the SMSC says that this session may not send"),
        Status.RALYBND: Meaning(Class.CERTAIN, "the SMSC says that this account is bound already"),
        Status.RSYSERR: Meaning(Class.CERTAIN, "the SMSC has trouble of its own"),
        Status.RINVSRCADR: Meaning(Class.REFUSED, "the SMSC does not take our sender"),
        Status.RINVDSTADR: Meaning(Class.BAD_NUMBER, "the SMSC says that there is no such number"),
        Status.RBINDFAIL: Meaning(Class.ACCOUNT, "the SMSC refuses the bind"),
        Status.RINVPASWD: Meaning(Class.ACCOUNT, "the SMSC does not accept the password"),
        Status.RINVSYSID: Meaning(Class.ACCOUNT, "the SMSC does not know the system_id"),
        Status.RMSGQFUL: Meaning(Class.THROTTLED, "the SMSC's queue is full"),
        Status.RSUBMITFAIL: Meaning(Class.REFUSED, "the SMSC could not take the message"),
        Status.RINVSRCTON: Meaning(Class.REFUSED, "the SMSC does not take the sender_ton"),
        Status.RINVSRCNPI: Meaning(Class.REFUSED, "the SMSC does not take the sender_npi"),
        Status.RINVDSTTON: Meaning(Class.REFUSED, "the SMSC does not take the dest_ton"),
        Status.RINVDSTNPI: Meaning(Class.REFUSED, "the SMSC does not take the dest_npi"),
        Status.RINVSYSTYP: Meaning(Class.ACCOUNT, "the SMSC does not accept the system_type"),
        Status.RTHROTTLED: Meaning(Class.THROTTLED, "the SMSC says that this was too fast"),
        Status.RX_T_APPN: Meaning(Class.CERTAIN, "the SMSC cannot take the message now"),
        Status.RX_P_APPN: Meaning(Class.REFUSED, "the SMSC refuses the message for good"),
        Status.ROPTPARNOTALLWD: Meaning(Class.REFUSED, "the SMSC does not take an optional parameter"),
    }
)
_REFUSED: Final = Meaning(Class.REFUSED, "the SMSC refused the message")
"""By the specification a status that is not zero says that the request was not done: what nobody explains is refused."""
_LAST: Final = 0xFFFFFFFF


def status_number(name: str) -> int:
    """Return the number that ``0x0400`` or ``1024`` is; raises ``ValueError``."""
    try:
        number = int(name, 16 if name.lower().startswith("0x") else 10)
    except ValueError:
        number = 0
    if not 0 < number <= _LAST:
        raise ValueError(f"{name!r} is no status; write it as '0x0400' or '1024'")
    return number


def code_of(status: int) -> str:
    """Return how a status is named for people: ``ESME_RTHROTTLED`` or, of the SMSC's own, ``0x0000040A``."""
    try:
        return f"ESME_{Status(status).name}"
    except ValueError:
        return f"0x{status:08X}"


def error_of(status: int, own: Mapping[int, Class], *, pause_s: float, sent_ids: tuple[str, ...] = ()) -> ChannelError:
    """Return what a request came to that was answered with *status*, which is not zero.

    *own* is what the operator knows of the SMSC's statuses; *pause_s*: so long nothing is sent after "too fast".
    """
    meaning = _MEANINGS.get(status, _REFUSED)
    if (klass := own.get(status)) is not None:
        meaning = Meaning(klass, meaning.says)
    found = error(meaning, code_of(status), after_s=pause_s)
    found.sent_ids = sent_ids
    return found
