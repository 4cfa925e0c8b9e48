"""The contract holds a webhook of batches: a handshake, a signature, a bad element, repeats in any order."""

import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.story.daemon import Daemon, post, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SECRET = "a-secret-of-the-probe"
MESSAGES: list[Any] = [{"id": f"m{number}", "from": "ann", "text": f"text {number}"} for number in range(50)]
MESSAGES[20] = {"id": "m20", "text": "nobody sent this"}


@pytest.fixture
def daemon(probe: Callable[[str, str], Daemon], monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setenv("PROBE_SECRET", SECRET)
    return probe("batch", 'secret = "env:PROBE_SECRET"')


def tell(daemon: Daemon, messages: list[Any], *, secret: str = SECRET) -> int:
    body = json.dumps({"messages": messages}).encode()
    return post(f"{daemon.url}/in/batch/hook", body, {"X-Sign": hmac.digest(secret.encode(), body, "sha256").hex()})


def shake(daemon: Daemon, token: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{daemon.url}/in/batch/hook?token={token}&challenge=4711") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""


def test_a_batch_with_a_bad_element_comes_once_whole_in_order_however_it_is_repeated(daemon: Daemon) -> None:
    with running(daemon):
        assert shake(daemon, SECRET) == (200, "4711")
        assert shake(daemon, "guessed") == (403, "")
        assert tell(daemon, MESSAGES, secret="guessed") == 403
        assert daemon.told("inbox") == []

        assert tell(daemon, MESSAGES) == 200
        for repeat in (MESSAGES, MESSAGES[::-1], MESSAGES[25:], MESSAGES[:25], MESSAGES[20:21] * 3):
            assert tell(daemon, repeat) == 200

        [line] = daemon.told("inbox")
        entries = daemon.told("show", str(line["number"]))["entries"]
        assert [entry["text"] for entry in entries] == [one["text"] for one in MESSAGES if "from" in one]
        [bad] = daemon.told("quarantine")
        assert "from" in bad["reason"]
        assert bad["size"] == len(json.dumps(MESSAGES[20])), "only its own bytes, not the batch"
