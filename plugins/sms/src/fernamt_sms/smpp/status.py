"""What a command_status means: its name, and what follows from it for a message that was refused with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from fernamt import ChannelError, NeedsLogin, OptedOut, Rejected, Throttled, Unreachable


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


class Consequence(StrEnum):
    """What follows from a refusal."""

    REFUSED = "refused"
    """This message is wrong for good."""
    AGAIN = "again"
    """It did not happen, and may be tried again."""
    THROTTLED = "throttled"
    """Too fast: the whole sender pauses."""
    STOPPED = "stopped"
    """The recipient wants nothing."""
    LOGIN = "login"
    """The account is not accepted: a person has to act."""


_CONSEQUENCES: Final[Mapping[int, Consequence]] = MappingProxyType(
    {
        # The session, and not the message, is what is wrong: the next bind mends it.
        Status.RINVBNDSTS: Consequence.AGAIN,
        Status.RALYBND: Consequence.AGAIN,
        Status.RSYSERR: Consequence.AGAIN,
        Status.RX_T_APPN: Consequence.AGAIN,
        Status.RMSGQFUL: Consequence.THROTTLED,
        Status.RTHROTTLED: Consequence.THROTTLED,
        Status.RBINDFAIL: Consequence.LOGIN,
        Status.RINVPASWD: Consequence.LOGIN,
        Status.RINVSYSID: Consequence.LOGIN,
        Status.RINVSYSTYP: Consequence.LOGIN,
    }
)
"""By the specification a status that is not zero says that the request was not done: what is not named here is refused."""
_LAST: Final = 0xFFFFFFFF
_SAID: Final[Mapping[int, str]] = MappingProxyType(
    {
        Status.RINVMSGLEN: "the SMSC does not take a message of this length",
        Status.RINVBNDSTS: "the SMSC says that this session may not send",
        Status.RALYBND: "the SMSC says that this account is bound already",
        Status.RSYSERR: "the SMSC has trouble of its own",
        Status.RINVSRCADR: "the SMSC does not take our sender",
        Status.RINVDSTADR: "the SMSC says that there is no such number",
        Status.RBINDFAIL: "the SMSC refuses the bind",
        Status.RINVPASWD: "the SMSC does not accept the password",
        Status.RINVSYSID: "the SMSC does not know the system_id",
        Status.RINVSYSTYP: "the SMSC does not accept the system_type",
        Status.RMSGQFUL: "the SMSC's queue is full",
        Status.RTHROTTLED: "the SMSC says that this was too fast",
        Status.RINVSRCTON: "the SMSC does not take the sender_ton",
        Status.RINVSRCNPI: "the SMSC does not take the sender_npi",
        Status.RINVDSTTON: "the SMSC does not take the dest_ton",
        Status.RINVDSTNPI: "the SMSC does not take the dest_npi",
        Status.RX_T_APPN: "the SMSC cannot take the message now",
        Status.RX_P_APPN: "the SMSC refuses the message for good",
        Status.RX_R_APPN: "the SMSC refuses the message",
        Status.RSUBMITFAIL: "the SMSC could not take the message",
        Status.ROPTPARNOTALLWD: "the SMSC does not take an optional parameter",
    }
)


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


def error_of(
    status: int,
    own: Mapping[int, Consequence],
    *,
    pause_s: float,
    sent_ids: tuple[str, ...] = (),
) -> ChannelError:
    """Return what a request came to that was answered with *status*, which is not zero.

    *own* is what the operator knows of the SMSC's own statuses; *pause_s*: so long nothing is sent after "too fast".
    """
    follows = own.get(status) or _CONSEQUENCES.get(status, Consequence.REFUSED)
    reason, code = _SAID.get(status, "the SMSC refused the message"), code_of(status)
    match follows:
        case Consequence.AGAIN:
            return Unreachable(reason, certain=True, code=code, sent_ids=sent_ids)
        case Consequence.THROTTLED:
            return Throttled(reason, after_s=pause_s, code=code, sent_ids=sent_ids)
        case Consequence.STOPPED:
            return OptedOut(reason, code=code, sent_ids=sent_ids)
        case Consequence.LOGIN:
            return NeedsLogin(reason, code=code, sent_ids=sent_ids)
        case Consequence.REFUSED:
            return Rejected(reason, code=code, sent_ids=sent_ids)
