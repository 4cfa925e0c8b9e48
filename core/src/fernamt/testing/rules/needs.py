"""What a rule may need to apply: each says why it does not, or nothing."""

from __future__ import annotations

from fernamt.connector import Receives, Webhooks
from fernamt.inbound import Request
from fernamt.testing.rig import Rig
from fernamt.testing.rule import Can, Need
from fernamt.testing.trouble import Holds, HoldsHistory, HoldsMedia, Poisons, ReadElsewhere, Transcribes, Trouble

can = Can
"""The connector has an ability."""


def sends(rig: Rig) -> str:
    """It sends."""
    return "" if rig.suite.sends else "this kind sends nothing (sends = False)"


def server(rig: Rig) -> str:
    """There is a provider."""
    return "" if rig.server is not None else "this kind calls nobody (server() returns None)"


def transcribes(rig: Rig) -> str:
    """There is a fake server that keeps what it was asked, word for word."""
    one: object = rig.server
    return server(rig) or (
        "" if isinstance(one, Transcribes) else "the fake server keeps no transcript of what it was asked (Transcribes)"
    )


def meets(trouble: Trouble) -> Need:
    """It sends, and the fake server knows this trouble."""

    def need(rig: Rig) -> str:
        if why_not := sends(rig) or server(rig):
            return why_not
        return "" if trouble in rig.provider.troubles else f"the fake server knows no trouble {trouble.value!r}"

    return need


def knows(trouble: Trouble) -> Need:
    """There is a fake server that knows this trouble, whether the kind sends or not."""

    def need(rig: Rig) -> str:
        return server(rig) or (
            "" if trouble in rig.provider.troubles else f"the fake server knows no trouble {trouble.value!r}"
        )

    return need


def recorded(rig: Rig) -> str:
    """There are recordings of events."""
    return "" if rig.recordings else "there are no recordings"


def called(rig: Rig) -> str:
    """Its provider calls it, and there are recordings of that."""
    return can(Webhooks)(rig) or recorded(rig)


def signed(rig: Rig) -> str:
    """The provider's calls are recorded, and signed."""
    return called(rig) or ("" if is_signed(rig) else "signed() of the test adds nothing to a request")


def is_signed(rig: Rig) -> bool:
    """Return whether the suite signs requests."""

    def looks(request: Request) -> tuple[object, ...]:
        return dict(request.headers), dict(request.query), request.body, request.url

    return any(looks(rig.signed(one)) != looks(rig.unsigned(one)) for one in rig.recordings)


def holds(rig: Rig) -> str:
    """It receives by itself, from a fake server at which messages can wait."""
    if why_not := can(Receives)(rig) or server(rig):
        return why_not
    one: object = rig.server
    return "" if isinstance(one, Holds) else "no messages can wait at the fake server (Holds)"


def poisons(rig: Rig) -> str:
    """And something unreadable can wait there."""
    one: object = rig.server
    return holds(rig) or (
        "" if isinstance(one, Poisons) else "nothing unreadable can wait at the fake server (Poisons)"
    )


def read_elsewhere(rig: Rig) -> str:
    """And what waits can be read by somebody else."""
    one: object = rig.server
    return holds(rig) or ("" if isinstance(one, ReadElsewhere) else "messages cannot be marked as read (ReadElsewhere)")


def runs_into(*troubles: Trouble) -> Need:
    """It receives by itself, from a fake server that knows one of these troubles."""

    def need(rig: Rig) -> str:
        if why_not := can(Receives)(rig) or server(rig):
            return why_not
        known = {*troubles} & {*rig.provider.troubles}
        return "" if known else f"the fake server knows no trouble {' or '.join(troubles)!r}"

    return need


def keeps(rig: Rig) -> str:
    """There is a fake server whose history can be asked for."""
    one: object = rig.server
    return server(rig) or (
        "" if isinstance(one, Holds | HoldsHistory) else "the fake server has no history (Holds, HoldsHistory)"
    )


def holds_media(rig: Rig) -> str:
    """There is a fake server that has files for us."""
    one: object = rig.server
    return server(rig) or ("" if isinstance(one, HoldsMedia) else "the fake server has no files (HoldsMedia)")
