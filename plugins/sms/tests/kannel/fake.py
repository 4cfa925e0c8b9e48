"""A smsbox that misbehaves as it is told, in the words of a real one."""

from __future__ import annotations

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall


def sends(call: ProviderCall) -> bool:
    """Return whether a call brings something to somebody."""
    return "X-Kannel-To" in call.headers


def answered(call: ProviderCall) -> Response:
    """Answer as Kannel 1.4.5 was seen to do."""
    if not sends(call):
        return Response(status=400, body=b"Missing receiver(s) number(s), rejected")
    return Response(status=202, body=b"0: Accepted for delivery")


class FakeKannel(FaultyProvider):
    """One smsbox."""

    def __init__(self) -> None:
        super().__init__(answer=answered, sends=sends)
