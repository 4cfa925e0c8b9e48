"""`fernamt consent`: what a person allowed and stopped, and recording what they said elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fernamt.cli.options import COMMON, As, Common, Json
from fernamt.cli.outcome import DONE, USAGE, Failure
from fernamt.cli.whom import whom

if TYPE_CHECKING:
    from fernamt._store.views.consents import ConsentView

_EVIDENCE_MAX = 2_000
_Everything = Annotated[bool, Parameter(name="--everything", negative="")]


def consent(address: str, /, *, json: Json = False, common: Common = COMMON) -> int:
    """Show what a person allowed and stopped: who said so, when, on which channel, in which words.

    The latest word on a channel counts; those before it are kept as a proof.

    Example: fernamt consent phone:+491701234567

    Args:
        address: A telephone number with its country, or scheme:value.
        json: Print a JSON array, the latest first: channel, scope (empty: everything), allowed, author, evidence, at and counts.
        common: What every command takes.
    """
    from fernamt._store.names import Names
    from fernamt._store.views.consents import consents_of
    from fernamt.cli.access import opened
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import one_line

    of = whom(address)
    with opened(common) as store, store.read() as connection:
        found = consents_of(connection, Names(store.keys()), of)
        now = store.clock.now()
    if json:
        show_json(found)
    elif not found:
        say(f"Nothing is recorded of {one_line(str(of))}: replies and notices may go there, outreach may not.")
    for one in () if json else found:
        show(one_line(f"{consent_line(one, now)}{'' if one.counts else ' (said anew since)'}"))
    return DONE


def consent_line(said: ConsentView, now: datetime) -> str:
    """Return what was said, as a sentence."""
    from fernamt.cli.words import minute

    verb = "allowed" if said.allowed else "stopped"
    about = f"{said.scope} messages" if said.scope else "all messages"
    return f"{minute(said.at, now)} on {said.channel}: {verb} {about}, recorded by {said.author}: {said.evidence}"


def give(
    address: str,
    /,
    *,
    channel: str,
    evidence: str,
    everything: _Everything = False,
    as_: As = "",
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Record that a person agreed to marketing messages on a channel. It is kept for ever, with what you say of it.

    Example: fernamt consent give phone:+491701234567 --channel sms --evidence "shop form of 3 May, box 'offers by SMS'"

    Args:
        address: A telephone number with its country, or scheme:value. It may be one that never wrote.
        channel: The id of the channel; fernamt channels lists them.
        evidence: The words that they agreed to, and where that can be seen.
        everything: They want messages again that they had stopped altogether, as by START; marketing is said by itself.
        as_: Who records it; without it the name that you are logged in with.
        json: Print a JSON array as fernamt consent does.
        common: What every command takes.
    """
    return _stated(address, channel, evidence, as_, allowed=True, everything=everything, json=json, common=common)


def withdraw(
    address: str,
    /,
    *,
    channel: str,
    evidence: str = "told us",
    everything: _Everything = False,
    as_: As = "",
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Record that a person wants no more marketing messages on a channel. What waits for them is refused.

    Example: fernamt consent withdraw phone:+491701234567 --channel sms --evidence "on the phone today"

    Args:
        address: A telephone number with its country, or scheme:value.
        channel: The id of the channel; fernamt channels lists them.
        evidence: How they said it.
        everything: They want no messages at all there, not even answers.
        as_: Who records it; without it the name that you are logged in with.
        json: Print a JSON array as fernamt consent does.
        common: What every command takes.
    """
    return _stated(address, channel, evidence, as_, allowed=False, everything=everything, json=json, common=common)


def _stated(
    word: str,
    channel: str,
    evidence: str,
    as_: str,
    *,
    allowed: bool,
    everything: bool,
    json: bool,
    common: Common,
) -> int:
    from fernamt._runtime.storable import storable_text
    from fernamt._store.consents import MARKETING, Statement, state
    from fernamt.cli.access import author, opened, write

    evidence = storable_text(evidence.strip())
    if not 0 < len(evidence) <= _EVIDENCE_MAX:
        raise Failure(
            f"Say with --evidence what they agreed to and where that can be seen, in at most {_EVIDENCE_MAX} characters.",
            USAGE,
        )
    scope = "" if everything else MARKETING
    with opened(common) as store:
        said = Statement(
            address=whom(word),
            channel=channel,
            allowed=allowed,
            scope=scope,
            evidence=evidence,
            by=author(as_),
        )
        write(store, state, said)
    return consent(word, json=json, common=common)
