"""What people allowed and stopped: how a connector must not stand in the way of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from fernamt._runtime.consent_words import WORDS, word_of
from fernamt.connector import KnowsZones
from fernamt.errors import ChannelError, Unsupported, WindowClosed
from fernamt.inbound import Received
from fernamt.model import Address, Purpose
from fernamt.testing.rig import Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.rules.inbound import meant_by

rule = RULES = Rules("consent")


@rule("stop-comes-through", "silver", needs.recorded)
async def stop_comes_through(rig: Rig) -> None:
    """On a channel with opt-out words STOP comes in as the message that it is."""
    if not rig.can.opt_out_words:
        raise NotApplicable("the channel has no opt-out words (Capabilities.opt_out_words)")
    for one in rig.recordings:
        for event in await meant_by(rig, one):
            if isinstance(event, Received) and (word := word_of(event.text)) and not WORDS[word].allows:
                return
    raise Broken(
        "capabilities() say that people write STOP here, and no recording means a Received with that text: record one, and"
        " hand its text over as it is; the core finds the word"
    )


@rule("every-purpose", "bronze", needs.sends, needs.server)
async def every_purpose(rig: Rig) -> None:
    """Notices and outreach go out as replies do: whether they may is the core's to say."""
    for purpose in (Purpose.NOTICE, Purpose.OUTREACH):
        before = len(rig.provider.arrived)
        for part in rig.fitted(rig.message(purpose=purpose, key=purpose, entry_key=purpose)):
            found = await rig.outcome(part)
            if isinstance(found, Unsupported | WindowClosed):
                break  # the provider wants a template for it
            if isinstance(found, BaseException):
                raise Broken(
                    f"of a message with the purpose {purpose.value!r} send {said(found)}: send it like a reply, and mark it as"
                    " the provider wants it marked"
                ) from found
        else:
            if len(rig.provider.arrived) == before:
                raise Broken(
                    f"send returned Sent for a message with the purpose {purpose.value!r}, and the provider got nothing: send it"
                    " like a reply"
                )


@rule("zones-are-known", "bronze", needs.can(KnowsZones))
async def zones_are_known(rig: Rig) -> None:
    """What it says of where people are, are names of time zones, for any address."""
    one: Any = rig.connector
    for to in (rig.message().to, Address("fernamt-kit", "nobody"), Address("phone", "+0")):
        try:
            names: Sequence[object] = one.zones(to)
        except ChannelError:
            raise
        except Exception as why:
            raise Broken(
                f"zones({str(to)!r}) raised {type(why).__name__}: return () for an address of which you know nothing"
            ) from why
        if isinstance(names, str):
            raise Broken(f"zones returned the text {names!r}: return a tuple of names")
        for name in names:
            if not _is_zone(name):
                raise Broken(f"zones returned {name!r}: return names as in Europe/Berlin, and () if you do not know")


def _is_zone(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(ZoneInfo(name))
    except (ValueError, OSError, LookupError):
        return False
