"""`fernamt work`: what is still to be done, and a person's word on what cannot."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fernamt._store.engine import Store
from fernamt._store.tasks import Errand, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.cli import main

TELL = Errand(
    owner="work:csat",
    kind="tell",
    key="tell:csat.ask:4",
    conversation=4,
    n=7,
    data={"subscriber": "csat.ask"},
    due_us=1_000_000,
)
TIMER = Errand(
    owner="work:csat",
    kind="timer",
    key="t",
    conversation=4,
    n=7,
    data={"subscriber": "csat.ask", "timer": "close"},
    due_us=4_000_000_000_000_000,
)
FETCH = Errand(owner="channel:mail", kind="fetch", key="f", data={"cursor": "secret"}, due_us=2_000_000)


def run(store: Store, body: Callable[[Transaction], Any]) -> Any:
    with closing(store.session()) as session, session.transaction() as tx:
        return body(tx)


@pytest.fixture
def called(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    (tmp_path / "fernamt.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNAMT_STORE", store_url)

    def called(*words: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(words) == code
        return capsys.readouterr()

    return called


@pytest.fixture
def numbers(store: Store) -> dict[str, int]:
    """The tasks' numbers by kind; the first is parked."""
    run(store, lambda tx: plan_tasks(tx, [TELL, TIMER, FETCH]))
    run(store, lambda tx: tx.do.one("UPDATE task SET due_at = NULL, tries = 12, reason = 'no' WHERE kind = 'tell'"))
    rows: Sequence[tuple[str, int]] = run(store, lambda tx: tx.do.rows("SELECT kind, id FROM task"))
    return dict(rows)


def test_nothing_to_do_says_so(called: Callable[..., tuple[str, str]]) -> None:
    assert called("work") == ("", "There is nothing to do.\n")
    assert called("work", "--parked") == ("", "Nothing is parked.\n")
    assert json.loads(called("work", "--json")[0]) == []


def test_what_is_parked_comes_first_and_the_rest_as_it_will_be_due(
    called: Callable[..., tuple[str, str]], numbers: dict[str, int]
) -> None:
    found = json.loads(called("work", "--json")[0])
    assert [task["kind"] for task in found] == ["tell", "fetch", "timer"]
    assert [task["name"] for task in found] == ["csat.ask", "", "csat.ask close"]
    parked = found[0]
    assert list(parked) == [
        *("number", "owner", "kind", "name", "conversation", "n", "due_at", "tries", "reason", "since"),
    ]
    assert (parked["number"], parked["due_at"], parked["tries"], parked["reason"]) == (numbers["tell"], None, 12, "no")
    assert [task["kind"] for task in json.loads(called("work", "--parked", "--json")[0])] == ["tell"]
    assert len(json.loads(called("work", "--limit", "1", "--json")[0])) == 1


def test_a_person_reads_what_it_is_about_and_why_it_waits(
    called: Callable[..., tuple[str, str]], numbers: dict[str, int]
) -> None:
    _, tell, fetch, timer = called("work")[0].splitlines()
    assert tell.split() == [str(numbers["tell"]), "tell", "csat.ask", "#4,", "7", "parked", "12", "no"]
    assert "channel:mail" in fetch
    assert "due on" in fetch
    assert "secret" not in fetch
    assert " in " in timer


def test_a_parked_task_is_tried_again_or_dropped(
    store: Store, called: Callable[..., tuple[str, str]], numbers: dict[str, int]
) -> None:
    number = str(numbers["tell"])
    assert called("work", "--again", number)[0] == f"Task {number}: due now\n"
    [(due_at, tries)] = run(store, lambda tx: tx.do.rows("SELECT due_at, tries FROM task WHERE kind = 'tell'"))
    assert due_at > 0
    assert tries == 0
    assert called("work", "--drop", number)[0] == f"Task {number}: dropped\n"
    for word in ("--again", "--drop"):
        assert f"There is no task {number}" in called("work", word, number, code=1)[1]
    assert "one of the two" in called("work", "--again", "1", "--drop", "1", code=2)[1]
