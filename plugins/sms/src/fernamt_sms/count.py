"""``fernamt sms count``: how many parts a text has, why, and what they cost."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from json import dumps
from pathlib import Path
from typing import Final, Literal

from attrs import frozen

from fernamt import Address, Price, Rejected, channel_prices
from fernamt_sms.alphabet import foreign
from fernamt_sms.plain import Plain, plain
from fernamt_sms.text import Encoding, ReferenceBits, Segments, capacity, header, segment, units_of

_SHOWN: Final = 8
_IN_WORDS: Final = {Encoding.GSM: "GSM alphabet, 7 bits", Encoding.UCS2: "UCS-2, 16 bits"}


def count(
    text: str,
    /,
    *,
    price: Decimal | None = None,
    channel: str = "",
    to: str = "",
    config: Path | None = None,
    plain_characters: bool = False,
    reference_bits: Literal[8, 16] = 8,
    json: bool = False,
) -> int:
    """Say how many parts a text message has, what makes it longer, and what it costs.

    A text of the GSM alphabet has 160 characters in one part, 153 in each of several; with one character outside of it, it has
    70 and 67. Providers charge for each part.

    Example: fernamt sms count "Ihr Paket ist da." --price 0.075

    Example: fernamt sms count "Ihr Paket ist da." --channel shop-sms --to +4917012345678

    Example: fernamt sms count - --plain-characters --json < text.txt

    Args:
        text: The text; a hyphen stands for what comes on stdin.
        price: What one part costs, in any currency.
        channel: The id of a channel whose prices count, as they stand in [channels.<id>.prices].
        to: The number that it goes to; without it every price of the channel is shown.
        config: The configuration; without it that of $FERNAMT_CONFIG, or fernamt.toml.
        plain_characters: Write typographic characters in plain where that saves a part, as a channel with this setting does.
        reference_bits: The size of the reference that joins the parts, 8 in most networks.
        json: Print a JSON object with the keys encoding, parts, units, left, forcing, replaced, plain_parts, price, cost, costs.
    """
    costs = _costs(channel, to, config)
    counted = Counted.of(sys.stdin.read() if text == "-" else text, plain_characters, reference_bits)
    parts = len(counted.segments.parts)
    if json:
        told = counted.document() | {
            "price": _text(price),
            "cost": None if price is None else _text(price * parts),
            "costs": [
                {
                    "beginning": one.beginning,
                    "price": _text(one.amount),
                    "cost": _text(one.amount * parts),
                    "currency": one.currency,
                }
                for one in costs
            ],
        }
        # What is not ASCII is escaped: so nothing of the text steers a terminal.
        print(dumps(told, indent=2))  # noqa: T201 - a command talks to the person who typed it
        return 0
    lines = [*counted.lines()]
    if price is not None:
        lines.append(("cost", f"{price * parts:f} ({parts} at {price:f})"))
    for one in costs:
        whom = "all others" if one.beginning == "+" else one.beginning
        lines.append(("cost", f"{one.amount * parts:f} {one.currency} to {whom} ({parts} at {one.amount:f})"))
    print("\n".join(f"{what:9} {said}" for what, said in lines))  # noqa: T201
    return 0


def _costs(channel: str, to: str, config: Path | None) -> list[Price]:
    """Return the prices that a text is shown with; raises ``ChannelError`` or ``ConfigErrors``, which say what to write."""
    if not channel:
        if to:
            raise Rejected("say by which channel, whose prices count: --channel")
        return []
    prices = channel_prices(config or Path(os.environ.get("FERNAMT_CONFIG") or "fernamt.toml"), channel)
    if not prices:
        raise Rejected(f"the channel has no prices: write [channels.{channel}.prices]")
    if not to:
        return [*prices]
    from fernamt_sms.number import SCHEME, recipient  # its library takes 0.1 s

    price = prices.of_part(Address(SCHEME, recipient(to, "")))
    if price is None:
        raise Rejected(f"no price of [channels.{channel}.prices] fits this number: '+' is for all others")
    return [price]


@frozen(kw_only=True)
class Counted:
    """A text as it was given, as it goes out, and as it could."""

    sent: Plain
    plain: Plain
    segments: Segments

    @classmethod
    def of(cls, text: str, plain_characters: bool, reference_bits: ReferenceBits) -> Counted:
        """Return what becomes of *text*."""
        shorter = plain(text)
        sent = shorter if plain_characters else Plain(text=text)
        return cls(sent=sent, plain=shorter, segments=segment(sent.text, reference_bits=reference_bits))

    def document(self) -> dict[str, object]:
        """Return it for programs."""
        encoding = self.segments.encoding
        return {
            "encoding": encoding.value,
            "parts": [{"text": part, "units": units_of(part, encoding)} for part in self.segments.parts],
            "units": self.segments.units,
            "left": self.segments.left,
            "forcing": [{"character": one, "name": _name(one)} for one in foreign(self.sent.text)],
            "replaced": [{"old": one.old, "new": one.new, "count": one.count} for one in self.sent.replaced],
            "plain_parts": self._plain_parts(),
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield it for people."""
        segments, forcing = self.segments, foreign(self.sent.text)
        yield "encoding", _IN_WORDS[segments.encoding]
        for one in forcing[:_SHOWN]:
            yield "because", _name(one)
        if len(forcing) > _SHOWN:
            yield "because", f"of {len(forcing) - _SHOWN} more characters"
        for change in self.sent.replaced:
            often = "once" if change.count == 1 else f"{change.count} times"
            yield "replaced", f"{' and '.join(map(_name, change.old))} by {change.new!r}, {often}"
        whole = capacity(segments.encoding)
        size = capacity(segments.encoding, header_octets=len(header(0, 1, 1, reference_bits=segments.reference_bits)))
        yield "parts", f"{len(segments.parts)} ({whole} units in one, {size} in each of several)"
        yield "units", f"{segments.units}, and {segments.left} more fit into the last part"
        if self._plain_parts() < len(segments.parts):
            parts = self._plain_parts()
            yield (
                "advice",
                f"{parts} {'part' if parts == 1 else 'parts'} with --plain-characters, plain_characters = true",
            )

    def _plain_parts(self) -> int:
        return len(segment(self.plain.text, reference_bits=self.segments.reference_bits).parts)


def _name(character: str) -> str:
    shown = f"{character} " if character.isprintable() and not unicodedata.combining(character) else ""
    return f"{shown}U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"
