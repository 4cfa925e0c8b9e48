"""A provider's answer to a request of ours: what it holds, or the error that it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fernamt import HttpReply, Unreachable
from fernamt_sms.outcome import AGAIN_S, NO_SUCH_PLACE, NOBODY_THERE, Class, Meaning, error


def good(reply: HttpReply, read: Callable[[int, Any], tuple[Meaning, str]]) -> Mapping[str, Any]:
    """Return the JSON of an answer that went well.

    Args:
        reply: The answer.
        read: Returns what a bad status means with its JSON, ``None`` if that is none, and the provider's code for it.

    Raises:
        ChannelError: Any other answer; a good one without an object is ``Unreachable(certain=False)``.
    """
    if reply.status // 100 == 2:
        said = reply.json()
        if not isinstance(said, Mapping):
            raise Unreachable("the answer is none of the provider's", certain=False)
        return said
    meaning, code = read(reply.status, _json(reply))
    raise error(meaning, code or str(reply.status), after_s=reply.retry_after_s(AGAIN_S))


def of_status(status: int, who: str) -> Meaning:
    """Return what a bad status means whose code is in no table; *who* is the provider."""
    if status == 429:
        return Meaning(Class.THROTTLED, f"more requests than {who} takes")
    if status in {401, 403}:
        return Meaning(Class.ACCOUNT, f"{who} does not accept the login")
    if status == 402:
        return Meaning(Class.ACCOUNT, f"the balance at {who} is not enough")
    if status in {408, 409}:
        return Meaning(Class.UNCERTAIN, f"{who} was not done with it in time")
    if status in NO_SUCH_PLACE:
        return NOBODY_THERE
    if 400 <= status < 500:
        return Meaning(Class.REFUSED, f"{who} refused the message")
    if status >= 500:
        return Meaning(Class.UNCERTAIN, f"{who} has trouble")
    return Meaning(Class.UNCERTAIN, f"what answers there is not {who}")


def _json(reply: HttpReply) -> Any:
    try:
        return reply.json()
    except Unreachable:
        return None
