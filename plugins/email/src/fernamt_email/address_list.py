"""Lists of addresses (RFC 5322, 3.4), as they should be written and as they are. Pure, and linear in what it is given."""

from __future__ import annotations

import re
from typing import Final

from fernamt_email.encoded_words import readable

MAX_LOCAL: Final = 255

_TOKEN = re.compile(
    r"""
    (?P<quoted>"(?:[^"\\]|\\.)*"?) | (?P<comment>\([^()]*(?:\([^()]*\)[^()]*)*\)?) | (?P<angle><[^<>]*>?)
    | (?P<word>[^\s"(<>),;:]+) | (?P<mark>[,;:]) | (?P<space>\s+) | .
    """,
    re.VERBOSE | re.DOTALL,
)
_ADDRESS = re.compile(
    r"(?<![^\s<>()\[\],;:\\\"@])[^\s<>()\[\],;:\\\"@]{1,255}@(?:[^\s<>()\[\],;:\\\"@]{1,255}|\[[0-9A-Fa-f:.IPv]{3,50}\])"
)
_QUOTED_LOCAL = re.compile(r'"((?:[^"\\]|\\.){1,200})"@([^\s<>()\[\],;:\\"@]{1,255})')
_ATOM = re.compile(r"[^\s<>()\[\],;:\\\"@]+")
_BETWEEN = re.compile(r"\s*([.@])\s*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def addresses_in(value: str) -> list[tuple[str, str]]:
    """Return (display name, address) of every usable address in a raw field on one line; names are decoded."""
    found = _listed(value)
    if not found and "=?" in value:  # some encode the whole field
        found = _listed(readable(value))
    return found or [("", address) for address in _ADDRESS.findall(value)]


def _listed(value: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    entry = _Entry()
    for token in _TOKEN.finditer(value):
        kind, text = token.lastgroup, token[0]
        if kind == "mark":
            if text == ":" and not entry.holds_address():
                entry = _Entry()  # the name of a group
            elif text != ":":
                one = entry.closed()
                if one is not None:
                    found.append(one)
                    entry = _Entry()
                elif text == ",":  # a comma in a name that nobody quoted
                    entry.words.append(", ")
                else:
                    entry = _Entry()
            continue
        if kind == "angle" and entry.angle:  # two in a row without a comma
            one = entry.closed()
            found += [one] if one else []
            entry = _Entry()
        entry.take(kind or "", text)
    last = entry.closed()
    return [*found, last] if last is not None else found


class _Entry:
    """What was read of one address so far."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.quotes: list[str] = []
        self.comment = ""
        self.angle = ""

    def take(self, kind: str, text: str) -> None:
        if kind == "angle":
            self.angle = text.strip("<> ") or self.angle
        elif kind == "comment":
            self.comment = text.strip("()")
        elif kind == "quoted":
            self.quotes.append(text)
            self.words.append(text)
        else:
            self.words.append(text)

    def holds_address(self) -> bool:
        return bool(self.angle) or any("@" in word for word in self.words)

    def closed(self) -> tuple[str, str] | None:
        """Return name and address, if there is one."""
        written = "".join(self.words).strip()
        if self.angle and (address := _usable(self.angle)):
            return _name(written or self.comment, address), address
        if "@" not in written:
            return None
        if (quoted := _QUOTED_LOCAL.search(written)) is not None:
            return _name(self.comment, ""), _quoted_local(quoted)
        plain = written
        hit = _ADDRESS.search(plain)
        if hit is None:
            plain = _BETWEEN.sub(r"\1", written)
            hit = _ADDRESS.search(plain)
        if hit is None:
            return None
        name = (plain[: hit.start()] + plain[hit.end() :]).strip(" ,[]'") or self.comment
        return _name(name, hit[0]), hit[0]


def _usable(written: str) -> str:
    """Return the address in angle brackets without what does not belong there; ``""`` if there is none."""
    if _ADDRESS.fullmatch(written):
        return written
    address = re.sub(r"\A(?:mailto|smtp):", "", written.strip(" '\""), flags=re.IGNORECASE)
    if address.startswith("@"):  # a route (RFC 5322, 4.4)
        address = address.rpartition(":")[2]
    if (quoted := _QUOTED_LOCAL.fullmatch(written.strip())) is not None:
        return _quoted_local(quoted)
    address = "".join(address.split())
    if _ADDRESS.fullmatch(address):
        return address
    readable_address = readable(address) if "=?" in address else ""
    if _ADDRESS.fullmatch(readable_address):
        return readable_address
    hit = _ADDRESS.search(address)
    return hit[0] if hit else ""


def _quoted_local(found: re.Match[str]) -> str:
    local = _ESCAPED.sub(r"\1", found[1])
    return f"{local if _ATOM.fullmatch(local) else chr(34) + found[1] + chr(34)}@{found[2]}"


def _name(written: str, address: str) -> str:
    """Return a display name without its quotes; none, if it only says the address again."""
    bare = re.sub(r'"((?:[^"\\]|\\.)*)"?', lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), written)
    name = readable(bare)
    if len(name) > 1 and name[0] == name[-1] == "'":
        name = name[1:-1]
    name = name.strip(' ,"')
    return "" if name.lower() == address.lower() else name
