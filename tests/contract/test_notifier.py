"""The contract holds a source that only gives notice: pages and files come later, once, though the daemon dies between."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.conftest import Provider
from tests.story.daemon import Daemon, post, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
COUNT, PAGE = 24, 4
PHOTO = b"\x89PNG" * 50_000


def message(number: int) -> dict[str, Any]:
    files = ["photo.png"] if number == 7 else ["gone.png"] if number == 9 else []
    return {"id": f"m{number}", "from": "ann", "text": f"text {number}", "files": files}


def test_pages_and_files_come_once_and_in_order_though_the_daemon_is_killed_between_them(
    provider: Provider, probe: Callable[[str, str], Daemon], tmp_path: Path
) -> None:
    daemon = probe("notifier", f'base = "{provider.base}"')
    asked: list[str] = []

    def answer(method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        parts = urlsplit(path)
        if parts.path == "/files/photo.png":
            return 200, PHOTO
        if parts.path != "/history":
            return 404, {}
        asked.append(parse_qs(parts.query, keep_blank_values=True)["since"][0])
        if len(asked) == 4:
            daemon.kill()
            return None
        first = int(asked[-1] or 0)
        end = min(first + PAGE, COUNT)
        return 200, {
            "messages": [message(number) for number in range(first, end)],
            "next": str(end) if end < COUNT else "",
        }

    provider.answer = answer
    hook = f"{daemon.url}/in/notifier/hook"
    daemon.start()
    daemon.ready()
    assert [post(hook, b"", {}) for _ in range(2)] == [200, 200]
    until(lambda: len(asked) >= 4)
    daemon.start()
    daemon.ready()
    until(lambda: not [task for task in daemon.told("work") if task["due_at"]])
    assert asked.count("") in {1, 2}, "what was read is not read again, but for the second notice"

    [line] = daemon.told("inbox")
    number = str(line["number"])
    entries = daemon.told("show", number)["entries"]
    assert [entry["text"] for entry in entries] == [f"text {number}" for number in range(COUNT)]
    assert daemon.say("show", number, "--save-attachment", "8", "photo.png", str(tmp_path / "got.png")).returncode == 0
    assert (tmp_path / "got.png").read_bytes() == PHOTO
    [gone] = entries[9]["remote"]
    assert gone["state"] == "parked"
    assert "404" in gone["reason"]
    assert "could not be fetched" in daemon.say("show", number).stdout

    told = json.loads(daemon.say("backfill", "notifier", "--wait", "--json").stdout)
    assert (told["state"], told["events"], told["new"]) == ("done", COUNT, 0)
    again = json.loads(daemon.say("backfill", "notifier", "--from", "20", "--wait", "--json").stdout)
    assert (again["events"], again["new"]) == (4, 0)
    refused = daemon.say("backfill", "nowhere")
    assert refused.returncode == 1
    assert "fernamt channels" in refused.stderr
