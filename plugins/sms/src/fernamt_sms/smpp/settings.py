"""``[channels.<id>]`` of kind ``sms.smpp``: where the SMSC is, who we are there, and how it does what the specification leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from attrs import Attribute, asdict, field, frozen

from fernamt import Secret
from fernamt_sms.number import is_name
from fernamt_sms.outcome import Class
from fernamt_sms.settings import SmsSettings
from fernamt_sms.smpp.status import status_number

_SYSTEM_ID_MAX: Final = 15
_SYSTEM_TYPE_MAX: Final = 12
_OCTET_MAX: Final = 255
_PORT_MAX: Final = 65_535


def _not_empty(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value.strip():
        raise ValueError(f"{attribute.name} is empty; the provider's letter of welcome says what belongs there")


def _system_id(instance: Any, attribute: Attribute[str], value: str) -> None:
    _not_empty(instance, attribute, value)
    _short(instance, attribute, value, most=_SYSTEM_ID_MAX)


def _short(_: Any, attribute: Attribute[str], value: str, *, most: int = _SYSTEM_TYPE_MAX) -> None:
    if len(value) > most or not value.isascii() or not (value.isprintable() or not value):
        raise ValueError(f"{attribute.name} is {value!r}; SMPP takes at most {most} letters, digits and signs of ASCII")


def _port(_: Any, attribute: Attribute[int], value: int) -> None:
    if not 0 < value <= _PORT_MAX:
        raise ValueError(f"{attribute.name} is {value}; it must be from 1 to {_PORT_MAX}")


def _octet(_: Any, attribute: Attribute[Any], value: int | None) -> None:
    if value is not None and not 0 <= value <= _OCTET_MAX:
        raise ValueError(f"{attribute.name} is {value}; it must be from 0 to {_OCTET_MAX}, or be left out")


def _positive(_: Any, attribute: Attribute[Any], value: float) -> None:
    if value <= 0:
        raise ValueError(f"{attribute.name} is {value}; it must be more than 0")


def _window(_: Any, attribute: Attribute[int], value: int) -> None:
    if not 0 < value <= 1_000:
        raise ValueError(f"{attribute.name} is {value}; it must be from 1 to 1000")


def _sender(_: Any, attribute: Attribute[str], value: str) -> None:
    if not (is_name(value) or value.removeprefix("+").isdecimal()):
        raise ValueError(
            f"{attribute.name} is {value!r}; write a number such as '+4930123456', a short code such as '72345', or a name of"
            " at most 11 letters and digits"
        )


def _bits(_: Any, attribute: Attribute[int], value: int) -> None:
    if value not in {8, 16}:
        raise ValueError(f"{attribute.name} is {value}; it must be 8 or 16")


def _statuses(_: Any, attribute: Attribute[Any], value: tuple[str, ...]) -> None:
    for one in value:
        try:
            status_number(one)
        except ValueError as why:
            raise ValueError(f"{attribute.name}: {why}") from None


@frozen(kw_only=True)
class StatusSettings:
    """``[channels.<id>.errors]``: what statuses mean at this SMSC, its own and those of the specification, as ``0x0400`` or ``1024``."""

    refused: tuple[str, ...] = field(default=(), validator=_statuses)
    """The message will never pass."""
    opted_out: tuple[str, ...] = field(default=(), validator=_statuses)
    """The recipient does not want messages."""
    account: tuple[str, ...] = field(default=(), validator=_statuses)
    """The login, the balance: nothing will pass until somebody acts."""
    throttled: tuple[str, ...] = field(default=(), validator=_statuses)
    """Too fast; certainly not sent."""
    certain: tuple[str, ...] = field(default=(), validator=_statuses)
    """Certainly not sent, and worth another try."""
    uncertain: tuple[str, ...] = field(default=(), validator=_statuses)
    """It may have been sent."""

    def by_status(self) -> Mapping[int, Class]:
        """Return the table."""
        return {status_number(one): Class[name.upper()] for name, many in asdict(self).items() for one in many}


@frozen(kw_only=True)
class SmppSettings(SmsSettings):
    """A channel of kind ``sms.smpp``."""

    # ---- the account
    host: str = field(validator=_not_empty)
    """Name or address of the SMSC."""
    port: int = field(default=2775, validator=_port)
    """Its port."""
    security: Literal["tls", "none"] = "tls"
    """tls, or none: then password and messages go in clear, which is for a VPN or this machine."""
    ca_file: Path | None = None
    """A PEM file with certificates to trust beside those of the system."""
    system_id: str = field(validator=_system_id)
    """The name of our account."""
    password: Secret
    """A reference: env:NAME, file:/path or credential:name."""
    system_type: str = field(default="", validator=_short)
    """What the SMSC wants to be told of our system; mostly nothing."""
    bind: Literal["transceiver", "pair"] = "transceiver"
    """One session for both directions, or pair: a transmitter and a receiver."""
    # ---- what we send
    sender: str = field(validator=_sender)
    """What people see as the sender: a number, a short code, or a name."""
    sender_ton: int | None = field(default=None, validator=_octet)
    """Its type of number; without it: found out from its form."""
    sender_npi: int | None = field(default=None, validator=_octet)
    """Its numbering plan, likewise."""
    dest_ton: int | None = field(default=None, validator=_octet)
    """The type of the numbers that we write to, likewise."""
    dest_npi: int | None = field(default=None, validator=_octet)
    """Their numbering plan, likewise."""
    service_type: str = field(default="", validator=_short)
    """What the SMSC wants to be told of each message; mostly nothing."""
    long_messages: Literal["udh", "sar", "payload"] = "udh"
    """How parts are joined: by a header in the text (udh), by optional parameters (sar), or by the SMSC (payload)."""
    reference_bits: Literal[8, 16] = field(default=8, validator=_bits)
    """The size of the reference in that header."""
    default_alphabet: Literal["gsm", "gsm-packed", "latin-1"] = "gsm"
    """What data_coding 0 stands for at this SMSC, in both directions: gsm, gsm-packed, or latin-1."""
    receipts: bool = True
    """Whether to ask for delivery receipts."""
    receipt_ids: Literal["auto", "same", "decimal", "hexadecimal"] = "auto"
    """How receipts write the ids that answers gave: same, decimal, hexadecimal, or auto: as the first ones do."""
    references: bool = True
    """Whether each message carries a number of ours (user_message_reference), by which a receipt finds it."""
    errors: StatusSettings = field(factory=StatusSettings)
    """What statuses of the SMSC mean, a table of its own."""
    # ---- the line
    window: int = field(default=10, validator=_window)
    """So many messages wait for their answers at most."""
    answer_s: float = field(default=30.0, validator=_positive)
    """How long an answer may take; then the outcome is uncertain."""
    enquire_s: float = field(default=30.0, validator=_positive)
    """How often to ask whether the SMSC is there."""
    pause_s: float = field(default=1.0, validator=_positive)
    """How long nothing is sent when the SMSC says: too fast."""
    repeat_s: float = field(default=600.0, validator=_positive)
    """So long after a broken line an equal message counts as the same one, offered again."""
