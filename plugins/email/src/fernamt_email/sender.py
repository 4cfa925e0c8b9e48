"""Whom a mail is from, and so who gets the answer: its header fields weighed against each other. Pure."""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from fernamt_email.automatic import Origin, origin_of
from fernamt_email.headers import Headers

_VIA: Final = re.compile(r"(?i)\bvia\b|\büber\b")


@frozen
class Sender:
    """Who wrote a mail; without an address it names nobody."""

    name: str = field(default="", repr=False)
    address: str = ""
    origin: Origin = Origin.PERSON
    named_elsewhere: bool = False
    """From names somebody else: what servers checked of that one says nothing of this one."""


def sender_of(headers: Headers) -> Sender:
    """Return who wrote the mail with these header fields.

    A person may ask for answers elsewhere (Reply-To), as web forms do for whoever filled them in: then that is who wrote.
    Of a machine or a list that field counts for nothing, for it would send our answer to all of a list. But a list that
    puts its own address into From keeps the writer's beside it.
    """
    written = headers.addresses("from", "sender", "reply-to", "return-path")
    name, address = written[0] if written else ("", "")
    origin = origin_of(headers, address)
    elsewhere = headers.addresses("reply-to")
    if origin is Origin.PERSON and len(elsewhere) == 1 and _differs(elsewhere[0][1], address):
        other_name, other = elsewhere[0]
        return Sender(other_name or name, other, origin, named_elsewhere=True)
    if origin is Origin.LIST and _VIA.search(name):
        behind = [one for one in headers.addresses("x-original-from", "reply-to") if _differs(one[1], address)]
        lists = {one for _, one in headers.addresses("list-post")} | {one for _, one in headers.addresses("to", "cc")}
        for behind_name, behind_address in behind:
            if behind_address not in lists:
                shown = behind_name or _VIA.split(name)[0].strip(" '\"")
                return Sender(shown, behind_address, origin, named_elsewhere=True)
    return Sender(name, address, origin, named_elsewhere=bool(address) and not headers.addresses("from"))


def _differs(one: str, other: str) -> bool:
    return one.lower() != other.lower()
