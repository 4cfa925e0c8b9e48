"""A stranger's subscriber asks how satisfied somebody was, remembers that it did, and closes what nobody answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.daemon import Daemon, post, until
from tests.story.plugins import HEALTHY, install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

CSAT = """
from datetime import timedelta

from attrs import frozen
from fernamt import AddEntry, Hours, HoursQuestion, Job, Remember, Reply, Timer, hookimpl


@frozen
class CsatSettings:
    patience_s: float = 86_400.0


def ask(told):
    if told.timer:
        return [AddEntry(kind="note", text="No answer."), AddEntry(kind="solved"), Remember({})]
    match told.entry.kind, told.entry.text.strip():
        case "solved", _:
            return [
                Reply(text="How satisfied were you, from 1 to 5?"),
                Remember({"asked": told.entry.n}),
                Timer(name="close", after=timedelta(seconds=told.settings.patience_s)),
            ]
        case "received", ("1" | "2" | "3" | "4" | "5") as score if told.memory.get("asked"):
            return [
                AddEntry(kind="csat.answer", data={"score": int(score)}),
                AddEntry(kind="solved"),
                Timer(name="close", after=None),
                Job(name="report", data={"score": int(score)}),
                Remember({}),
            ]
        case _:
            return []


async def report(job, context):
    hours = await context.look_up(HoursQuestion(calendar="reports", at=context.clock.now()))
    return [AddEntry(kind="note", text=f"Reported {job.data['score']}, {hours.reason}.")]


async def hours(question, context):
    return Hours(is_open=True, reason=f"{question.calendar} are open", changes_at=None)


@hookimpl
def fernamt_register(registry):
    registry.settings(CsatSettings)
    registry.subscriber("ask", ask, entries={"solved", "received"})
    registry.job("report", report)
    registry.service(HoursQuestion, hours)
"""

# The first line of what each test's customer writes begins with who it is: the channel knows nobody else.
PEOPLE = HEALTHY.replace(
    'sender=Address("test", "ann"), text=text)', 'sender=Address("test", key.partition("-")[0]), text=text)'
)


class Desk:
    """A daemon with both plugins, and a customer's telephone."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.written = 0

    def writes(self, who: str, text: str) -> None:
        self.written += 1
        assert post(f"{self.daemon.url}/in/healthy/hook", f"{who}-{self.written} {text}".encode(), {}) == 200

    def log(self, number: int = 1) -> list[tuple[str, str]]:
        """Return kind and text of each entry."""
        return [(entry["kind"], entry["text"]) for entry in self.daemon.told("show", str(number))["entries"]]

    def shows(self, number: int, *last: tuple[str, str]) -> list[tuple[str, str]]:
        """Return the log once it ends with *last*."""
        return until(lambda: log if (log := self.log(number))[-len(last) :] == [*last] else [])

    def work(self) -> list[tuple[str, str]]:
        return [(task["kind"], task["name"]) for task in self.daemon.told("work")]


QUESTION = ("sent", "How satisfied were you, from 1 to 5?")


@pytest.fixture
def desk(tmp_path: Path, free_port: int) -> Iterator[Any]:
    plugins = tmp_path / "plugins"
    install(plugins, "healthy", PEOPLE)
    install(plugins, "csat", CSAT)
    configuration = '[channels.healthy]\nkind = "healthy"\n[plugins]\nenabled = ["csat"]\n[plugins.csat]\n'
    desk = Desk(Daemon(tmp_path, free_port, f"{configuration}patience_s = 3600\n", plugins))
    yield desk
    desk.daemon.stop()


def test_an_answer_is_taken_once_though_the_daemon_is_killed_before_it_is_committed(desk: Desk) -> None:
    daemon = desk.daemon
    daemon.start()
    daemon.ready()
    desk.writes("ann", "4 is how many lamps I ordered")
    assert daemon.say("solve", "1").returncode == 0
    desk.shows(1, QUESTION)
    daemon.kill()

    daemon.start("work.done", "1")  # the subscriber has answered, and nothing of it is committed
    daemon.ready()
    desk.writes("ann", "4")
    daemon.died()
    daemon.start()
    daemon.ready()
    note = ("note", "Reported 4, reports are open.")
    log = desk.shows(1, note)
    assert [kind for kind, _ in log] == ["received", "solved", "sent", "received", "csat.answer", "solved", "note"]
    assert desk.work() == []
    offers = {line["name"]: line for line in json.loads(daemon.say("plugins", "--json").stdout)}["csat"]
    assert [offers[it] for it in ("subscribers", "jobs", "services")] == [["ask"], ["report"], ["HoursQuestion"]]


def test_what_nobody_answers_is_closed_by_the_timer(desk: Desk) -> None:
    daemon = desk.daemon
    daemon.file.write_text(daemon.file.read_text().replace("3600", "0.2"))
    daemon.start()
    daemon.ready()
    desk.writes("bob", "Where is it?")
    assert daemon.say("solve", "1").returncode == 0
    log = desk.shows(1, ("note", "No answer."), ("solved", ""))
    assert [kind for kind, _ in log] == ["received", "solved", "sent", "note", "solved"]
    assert desk.work() == []
