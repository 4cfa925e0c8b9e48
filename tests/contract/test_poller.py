"""The contract holds a poller: what was committed and not yet acknowledged at the provider comes again, and is known."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.conftest import Provider
from tests.story.daemon import Daemon, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
COUNT = 40


def test_a_kill_between_the_commit_and_the_acknowledgement_loses_and_doubles_nothing(
    provider: Provider, probe: Callable[[str, str], Daemon]
) -> None:
    daemon = probe("poller", f'base = "{provider.base}"')
    waiting = {str(number): {"id": str(number), "from": "ann", "text": f"text {number}"} for number in range(COUNT)}
    taken: list[list[str]] = []
    offered: list[str] = []

    def answer(method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        if path == "/waiting":
            offer = [waiting[key] for key in sorted(waiting, key=int)[:5]]
            offered.extend(one["id"] for one in offer)
            return 200, offer
        taken.append(json.loads(body))
        if len(taken) in {3, 5}:  # it is committed there, and here nobody hears of it
            daemon.kill()
            return None
        for key in taken[-1]:
            del waiting[key]
        return 200, {}

    provider.answer = answer
    for calls in (3, 5):
        daemon.start()
        until(lambda calls=calls: len(taken) >= calls)  # type: ignore[misc]
    daemon.start()
    until(lambda: not waiting)

    [line] = daemon.told("inbox")
    entries = daemon.told("show", str(line["number"]))["entries"]
    assert [entry["text"] for entry in entries] == [f"text {number}" for number in range(COUNT)]
    assert len(offered) > COUNT
    assert daemon.told("quarantine") == []
