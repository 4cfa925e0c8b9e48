"""`fernamt notify` and `fernamt notices`, as a person or a program calls them. On both engines."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Wish, take
from fernamt._store.engine import Store
from fernamt.cli import main, notify
from fernamt.cli.noticelooking import follow
from fernamt.model import microseconds, moment
from fernamt.settings import read_settings

from .stage import rows

CONFIGURATION = """
[channels.shop-sms]
kind = "demo"
[notices.dispatched]
channel = "shop-sms"
[notices.dispatched.values]
order = { example = "4711", max = 20 }
name = { example = "Anna", default = "" }
[notices.dispatched.texts.de]
text = "Guten Tag {name}, Bestellung {order} ist unterwegs."
[notices.dispatched.texts.en]
text = "Hello {name}, order {order} is on its way."
"""
DEMO = '''
from attrs import frozen
from fernamt import Capabilities, Rejected, Sent, hookimpl

@frozen
class NoKeys:
    """Nothing to set."""

class Line:
    def __init__(self, channel, context): ...
    def capabilities(self): return Capabilities(unit="measured", max_units=3)
    def units(self, message):
        if message.to.value.endswith("000"): raise Rejected("nobody has a number that ends with 000")
        return 1 + len(message.text) // 60
    async def send(self, message): return Sent()

@hookimpl
def fernamt_register(registry):
    registry.connector("demo", settings=NoKeys, factory=Line, about="a line that counts in parts of 60")
'''
ORDERS = "to;order;name;language\n+49 170 1234567;4711;Anna;de\nBob@example.ORG;4712;;en\n+49170999;4713;Eve;\n"
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class Shop:
    """A store with a channel, templates, a file of orders, and the command line in front of it."""

    def __init__(self, store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self.folder = folder
        self.capsys = capsys
        self.err = ""
        self.write(enter, Entrance(id="shop-sms", kind="demo", label="SMS"))

    def write(self, operation: Any, payload: object) -> Any:
        with closing(self.store.session()) as session:
            [result] = session.run(lambda tx: operation(tx, [payload]))
        return result

    def sql(self, sql: str, *values: object) -> None:
        self.write(lambda tx, _: [tx.do.one(sql, values)], None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return rows(self.store, sql, *values)

    def file(self, text: str = ORDERS, name: str = "orders.csv") -> str:
        (self.folder / name).write_text(text)
        return name

    def called(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        ended = main(words)
        out, self.err = self.capsys.readouterr()
        assert ended == code, (out, self.err)
        return out

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.called(*words, "--json", code=code))

    def serve(self) -> None:
        """Let it look as if a daemon worked on the store."""
        self.write(take, Wish(key="sweep", owner="daemon", lease_us=10**12))


@pytest.fixture
def shop(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shop:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "demo.py").write_text(DEMO)
    (tmp_path / "fernamt.toml").write_text(CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNAMT_STORE", store_url)
    return Shop(store, tmp_path, capsys)


# ---- one
def test_one_customer_gets_one_notice_however_often_the_command_is_given(shop: Shop) -> None:
    words = ("notify", "dispatched", "--to", "+49 170 1234567", "--set", "order=4711", "--set", "name=Anna")
    assert shop.called(*words, "--as", "maria") == "Run 1: 1 notice of dispatched by shop-sms: 1 queued\n"
    assert "No daemon works on this store" in shop.err
    assert shop.called(*words) == "Run 1: 1 notice of dispatched by shop-sms: 1 queued\n"
    assert "It was asked for before: nothing new is queued." in shop.err
    assert shop.called(*words, "--key", "once more").startswith("Run 2: ")
    assert shop.rows("SELECT c.author, c.text FROM content c ORDER BY entry")[0] == (
        "agent:maria",
        "Guten Tag Anna, Bestellung 4711 ist unterwegs.",
    )
    assert shop.rows("SELECT count(*) FROM delivery") == [(2,)]
    assert shop.rows("SELECT name FROM customer") == [("Anna",)]


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("dispatchd", "--to", "+49170123456"), "There is no template 'dispatchd'. Did you mean 'dispatched'?"),
    (("dispatched",), "Say to whom: --to for one, or --from and a file for many."),
    (("dispatched", "--to", "x", "--from", "y.csv"), "Say to whom"),
    (("dispatched", "--to", "+49170123456", "--set", "order"), "write --set name=value"),
    (("dispatched", "--to", "0170", "--set", "order=1"), "to: is no address. Write it like +4917012345678"),
    (("dispatched", "--to", "+49170123456"), "order: is missing. Give it, for instance '4711'\nNothing was queued."),
    (("dispatched", "--to", "+49170123456", "--set", "order=1", "--channel", "fax"), "There is no channel 'fax'"),
    (("dispatched", "--from", "orders.txt"), "orders.txt is neither .csv nor .jsonl"),
    (("dispatched", "--from", "empty.csv"), "There is no row in it: nothing was queued."),
]


@ON_SQLITE
def test_what_cannot_be_asked_for_says_the_next_step_and_queues_nothing(shop: Shop) -> None:
    shop.file("", "orders.txt")
    shop.file("to,order\n", "empty.csv")
    for words, said in WRONG:
        shop.called("notify", *words, code=2)
        assert said in shop.err
    shop.called("notify", "dispatched", "--from", "none.csv", code=2)
    assert "none.csv is no file that can be read twice: name one." in shop.err
    assert shop.rows("SELECT count(*) FROM notice_run") == [(0,)]


@ON_SQLITE
def test_a_channel_that_never_ran_says_how_it_does(shop: Shop) -> None:
    shop.sql("DELETE FROM channel")
    shop.called("notify", "dispatched", "--to", "+49170123456", "--set", "order=1", code=1)
    assert "The channel 'shop-sms' has never run. Start the daemon once: fernamt run" in shop.err


# ---- many
def test_each_of_a_file_gets_theirs_in_their_language(shop: Shop) -> None:
    assert shop.called("notify", "dispatched", "--from", shop.file()) == (
        "Run 1: 3 notices of dispatched by shop-sms: 3 queued\n"
    )
    texts = "SELECT a.handle, c.text FROM delivery d JOIN address a ON a.id = d.address JOIN content c ON c.entry = d.entry ORDER BY d.id"
    assert shop.rows(texts) == [
        ("phone:+491701234567", "Guten Tag Anna, Bestellung 4711 ist unterwegs."),
        ("email:Bob@example.org", "Hello, order 4712 is on its way."),
        ("phone:+49170999", "Guten Tag Eve, Bestellung 4713 ist unterwegs."),
    ]
    assert shop.json("notify", "dispatched", "--from", "orders.csv")["number"] == 1
    shop.file(ORDERS.replace("4713", "4714"))
    assert shop.json("notify", "dispatched", "--from", "orders.csv")["number"] == 2


def test_every_wrong_row_is_named_before_anything_is_queued(shop: Shop) -> None:
    orders = "to,order,extra\n+49170123456,1,\nx,2,\n+49170123456,,\n+49170123456,4,e\n"
    shop.called("notify", "dispatched", "--from", shop.file(orders), code=2)
    assert shop.err.splitlines() == [
        "row 2: to: is no address. Write it like +4917012345678 or ann@example.org",
        "row 3: order: is missing. Give it, for instance '4711'",
        "row 4: extra: dispatched has no such value. Known here: name, order.",
        "Columns that the template does not know are passed over with --ignore-unknown.",
        "3 of 4 rows are wrong. Nothing was queued.",
    ]


def test_a_problem_that_many_rows_have_is_told_once(shop: Shop) -> None:
    shop.file("to,order,extra\n" + "+49170123456,1,x\n" * 1500 + "x,1,\n")
    shop.called("notify", "dispatched", "--from", "orders.csv", code=2)
    assert shop.err.splitlines() == [
        "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 1,490 more: extra: dispatched has no such value. Known here: name, order.",
        "row 1501: to: is no address. Write it like +4917012345678 or ann@example.org",
        "Columns that the template does not know are passed over with --ignore-unknown.",
        "1501 of 1501 rows are wrong. Nothing was queued.",
    ]


def test_of_many_problems_the_first_ones_are_shown(shop: Shop) -> None:
    shop.file("to,order," + ",".join(f"c{n}" for n in range(50)) + "\n+49170123456,1" + ",x" * 50 + "\n")
    shop.called("notify", "dispatched", "--from", "orders.csv", code=2)
    assert len(shop.err.splitlines()) == notify.PROBLEMS_SHOWN + 2
    assert "1 of 1 rows is wrong. The first ones are shown." in shop.err
    assert shop.rows("SELECT count(*) FROM notice_run") == [(0,)]


@ON_SQLITE
def test_values_and_columns_for_all_are_given_once(shop: Shop) -> None:
    file = shop.file("to,order,extra\n+49170123456,1,x\n")
    shop.called("notify", "dispatched", "--from", file, "--ignore-unknown", "--set", "name=Kunde", "--language", "en")
    assert shop.rows("SELECT text FROM content") == [("Hello Kunde, order 1 is on its way.",)]
    lines = (
        '{"to": "+49170123456", "values": {"order": 7}}\n{"to": "+49170123457", "values": {"order": 8, "name": "B"}}\n'
    )
    shop.called("notify", "dispatched", "--from", shop.file(lines, "o.jsonl"), "--set", "name=A")
    assert [row[0] for row in shop.rows("SELECT text FROM content ORDER BY entry")][1:] == [
        "Guten Tag A, Bestellung 7 ist unterwegs.",
        "Guten Tag B, Bestellung 8 ist unterwegs.",
    ]


def test_a_file_that_was_interrupted_goes_on_where_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shop.file("to,order\n" + "".join(f"+49170{n:06},{n}\n" for n in range(600)))
    chunks = notify._chunks

    def broken_off(*words: Any) -> Iterator[Any]:
        yield from list(chunks(*words))[:1]
        raise KeyboardInterrupt

    monkeypatch.setattr(notify, "_chunks", broken_off)
    shop.called("notify", "dispatched", "--from", file, code=130)
    assert "Run 1: 250 of 600 rows are queued. The same command goes on from there." in shop.err
    assert shop.json("notices")[0]["state"] == "interrupted"
    assert "250 queued, 350 not queued yet" in shop.called("notices", "show", "1")
    assert "Give the same once more" in shop.err
    monkeypatch.setattr(notify, "_chunks", chunks)
    assert "600 queued" in shop.called("notify", "dispatched", "--from", file)
    assert "It was interrupted before, and went on from row 251." in shop.err
    orders = [json.loads(row[0])["order"] for row in shop.rows("SELECT data FROM content ORDER BY entry")]
    assert orders == [str(n) for n in range(600)]


@ON_SQLITE
def test_a_key_that_was_given_for_other_rows_is_refused(shop: Shop) -> None:
    shop.called("notify", "dispatched", "--from", shop.file(), "--key", "monday")
    shop.called("notify", "dispatched", "--from", shop.file(ORDERS + "+49170123456;1;;\n"), "--key", "monday", code=1)
    assert "The key 'monday' was given before, for run 1 with 3 rows. Nothing was queued." in shop.err


@ON_SQLITE
def test_a_file_that_changes_while_it_is_read_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = notify._checked

    def changing(*words: Any, **more: Any) -> Any:
        found = whole(*words, **more)
        shop.file("to,order\nx,1\n")
        return found

    monkeypatch.setattr(notify, "_checked", changing)
    shop.called("notify", "dispatched", "--from", shop.file(), code=1)
    assert "Row 1 was right and is not any more: to: is no address" in shop.err
    assert shop.rows("SELECT count(*) FROM delivery") == [(0,)]


# ---- before
@ON_SQLITE
def test_a_preview_shows_the_first_as_they_would_go_and_how_long_all_are(shop: Shop) -> None:
    long = f"+49170123456;4714;{'x' * 100};\n"
    shown = shop.called("notify", "dispatched", "--from", shop.file(ORDERS + long), "--preview", "2")
    assert shown.splitlines() == [
        "row 1  phone:+491701234567  de, 1 part",
        "     Guten Tag Anna, Bestellung 4711 ist unterwegs.",
        "",
        "row 2  email:Bob@example.org  en, 1 part",
        "     Hello, order 4712 is on its way.",
        "",
        "4 notices of dispatched by shop-sms, 6 parts",
    ]
    assert "Nothing was queued." in shop.err
    found = shop.json("notify", "dispatched", "--from", "orders.csv", "--dry-run")
    assert found == {
        "template": "dispatched",
        "channel": "shop-sms",
        "total": 4,
        "units": 6,
        "refused": 0,
        "currency": "",
        "cost": None,
        "costs": [],
        "messages": [],
    }
    assert shop.rows("SELECT count(*) FROM notice_run") == [(0,)]


PRICES = """[channels.shop-sms.prices]
currency = "EUR"
"+49" = "0.0750"
"+43" = "0.09"
"+" = "0.15"
"""


@ON_SQLITE
def test_a_preview_says_what_all_cost_and_where(shop: Shop) -> None:
    (shop.folder / "fernamt.toml").write_text(f"{CONFIGURATION}{PRICES}")
    orders = f"{ORDERS}+49170123456;4714;{'x' * 100};\n+1 202 5550123;4715;;\n"
    shown = shop.called("notify", "dispatched", "--from", shop.file(orders), "--preview", "1").splitlines()
    assert shown[0] == "row 1  phone:+491701234567  de, 1 part, 0.0750 EUR"
    assert shown[-4:] == [
        "5 notices of dispatched by shop-sms, 7 parts: 0.5250 EUR",
        "  +49: 3 notices, 5 parts at 0.0750, 0.3750 EUR",
        "  all others: 1 notice, 1 part at 0.15, 0.15 EUR",
        "  no price: 1 notice, 1 part",
    ]
    found = shop.json("notify", "dispatched", "--from", "orders.csv", "--preview", "2")
    assert (found["currency"], found["cost"]) == ("EUR", "0.5250")
    assert found["costs"] == [
        {"beginning": "+49", "notices": 3, "parts": 5, "price": "0.0750", "cost": "0.3750"},
        {"beginning": "+", "notices": 1, "parts": 1, "price": "0.15", "cost": "0.15"},
        {"beginning": "", "notices": 1, "parts": 1, "price": None, "cost": None},
    ]
    assert [one["cost"] for one in found["messages"]] == ["0.0750", None]


@ON_SQLITE
def test_what_would_not_go_costs_nothing(shop: Shop) -> None:
    text = CONFIGURATION.replace('unterwegs."', f'unterwegs.{" viel" * 1000}"')
    (shop.folder / "fernamt.toml").write_text(f"{text}{PRICES}")
    found = shop.json("notify", "dispatched", "--to", "+491701234567", "--set", "order=1", "--dry-run", code=1)
    assert (found["refused"], found["cost"], found["costs"]) == (1, "0", [])


@ON_SQLITE
def test_what_the_channel_would_not_take_is_named_by_a_preview(shop: Shop) -> None:
    (shop.folder / "fernamt.toml").write_text(CONFIGURATION.replace('unterwegs."', f'unterwegs.{" viel" * 1000}"'))
    shop.called("notify", "dispatched", "--from", shop.file(), "--dry-run", code=1)
    assert "2 of them would not go:" in shop.err
    assert "row 1: this would be" in shop.err


@ON_SQLITE
def test_what_the_connector_says_can_never_go_is_named_by_a_preview_and_costs_nothing(shop: Shop) -> None:
    (shop.folder / "fernamt.toml").write_text(f"{CONFIGURATION}{PRICES}")
    shop.file(f"{ORDERS}+49170000;4714;Ina;\n")
    asked = ["notify", "dispatched", "--from", "orders.csv", "--dry-run"]
    found = shop.json(*asked, code=1)
    assert (found["total"], found["refused"]) == (4, 1)
    shop.called(*asked, code=1)
    assert "row 4: nobody has a number that ends with 000" in shop.err


@ON_SQLITE
def test_a_preview_names_who_gets_nothing_because_they_said_so_and_that_costs_nothing(shop: Shop) -> None:
    (shop.folder / "fernamt.toml").write_text(f"{CONFIGURATION}{PRICES}")
    asked = ["--channel", "shop-sms", "--everything", "--evidence"]
    shop.called("consent", "withdraw", "+491701234567", *asked, "on the telephone")
    found = shop.json("notify", "dispatched", "--from", shop.file(), "--preview", "1", code=1)
    assert (found["refused"], found["units"], found["cost"]) == (1, 2, "0.0750")
    assert found["messages"][0]["refused"] == "the recipient opted out (on the telephone)"
    shop.called("notify", "dispatched", "--from", "orders.csv", "--dry-run", code=1)
    assert "1 of them would not go:\nrow 1: the recipient opted out (on the telephone)\n" in shop.err
    assert "+49" not in shop.err


@ON_SQLITE
def test_outreach_without_a_recorded_consent_is_named_by_a_preview(shop: Shop) -> None:
    text = CONFIGURATION.replace("[notices.dispatched]\n", '[notices.dispatched]\npurpose = "outreach"\n')
    (shop.folder / "fernamt.toml").write_text(text)
    shop.called("notify", "dispatched", "--to", "+491701234567", "--set", "order=1", "--dry-run", code=1)
    assert "row 1: outreach needs the recipient's consent to marketing, and none is recorded" in shop.err


@ON_SQLITE
def test_a_preview_before_there_is_a_store_says_that_nobody_could_opt_out_yet(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FERNAMT_STORE", f"sqlite:///{shop.folder}/none.db")
    shop.called("notify", "dispatched", "--from", shop.file(), "--dry-run")
    assert "Who opted out cannot be told: [store] there is no store at" in shop.err
    assert not (shop.folder / "none.db").exists()


# ---- after
def test_the_results_name_what_became_of_each_row_and_no_cell_is_a_formula(shop: Shop) -> None:
    shop.called("notify", "dispatched", "--from", shop.file(), "--key", "=1+1")
    shop.sql("UPDATE delivery SET state = 'sent', ids = '[\"p1\"]' WHERE id = 1")
    shop.sql("UPDATE delivery SET state = 'failed', reason = '=cmd()', code = '-7' WHERE id = 2")
    shop.called("notify", "dispatched", "--from", "orders.csv", "--key", "=1+1", "--results", "out.csv", code=1)
    assert "1 queued, 1 sent, 1 failed" in shop.called("notices", "show", "1")
    [head, *cells] = list(csv.reader(io.StringIO((shop.folder / "out.csv").read_text())))
    assert head[:6] == ["row", "key", "to", "order", "state", "reason"]
    assert [row[:6] for row in cells] == [
        ["1", "", "phone:+491701234567", "4711", "sent", ""],
        ["2", "", "email:Bob@example.org", "4712", "failed", "'=cmd()"],
        ["3", "", "phone:+49170999", "4713", "queued", ""],
    ]
    assert (cells[1][6], cells[0][11]) == ("'-7", "p1")
    assert shop.called("notices", "results", "1", "--out", "-") == (shop.folder / "out.csv").read_bytes().decode()
    assert [row["n"] for row in shop.json("notices", "results", "1", "--wrong")] == [2]
    assert shop.called("notices", "results", "1", "--limit", "1").splitlines()[1].split()[:3] == [
        "1",
        "phone:+491701234567",
        "4711",
    ]
    assert "There are more" in shop.err


def test_rows_with_keys_of_their_own_are_told_as_repeats_and_conflicts(shop: Shop) -> None:
    shop.called("notify", "dispatched", "--from", shop.file("to,order,key\n+49170123456,1,a\n"))
    shop.file("to,order,key\n+49170123456,1,a\n+49170123456,2,a\n+49170123456,3,b\n")
    shop.called("notify", "dispatched", "--from", "orders.csv", code=1)
    found = shop.json("notices", "show", "2")
    assert (found["repeats"], found["conflicts"], found["states"]) == (1, 1, {"queued": 1})
    first, second, third = shop.json("notices", "results", "2")
    assert (first["state"], first["repeats"], third["key"]) == ("queued", "1/1", "b")
    assert (second["state"], second["reason"]) == ("conflict", "its key was given before with other words, in run 1/1")


@ON_SQLITE
def test_a_run_is_looked_at_until_nothing_of_it_moves(shop: Shop) -> None:
    shop.called("notify", "dispatched", "--from", shop.file())
    shop.serve()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        shop.sql("UPDATE delivery SET state = 'sent' WHERE id = ?", len(pauses))

    view = follow(shop.store, 1, waits=True, pause=pause)
    assert (view.state, len(pauses)) == ("done", 3)
    assert min(pauses) >= 0.5


@ON_SQLITE
def test_nobody_waits_at_a_terminal_for_the_end_of_the_quiet_hours(shop: Shop) -> None:
    shop.called("notify", "dispatched", "--from", shop.file())
    shop.serve()
    shop.sql("UPDATE delivery SET state = 'sent' WHERE id = 1")
    at = microseconds(shop.store.clock.now()) + 7_200_000_000
    shop.sql("UPDATE delivery SET next_at = ?, reason = 'quiet hours' WHERE id > 1", at)
    shop.called("notify", "dispatched", "--from", "orders.csv", "--wait")
    assert "2 of them wait for their time, the first until " in shop.err
    found = shop.json("notices", "show", "1")
    assert (found["waiting"], found["moving"], found["next_at"]) == (2, 2, moment(at).isoformat())
    assert "quiet hours, until " in shop.called("notices", "results", "1")


@ON_SQLITE
def test_a_run_is_called_off(shop: Shop) -> None:
    file = shop.file("to,order\n" + "".join(f"+49170{n:06},{n}\n" for n in range(1_100)))
    shop.called("notify", "dispatched", "--from", file)
    shop.sql("UPDATE delivery SET state = 'sent' WHERE id <= 10")
    assert (
        shop.called("notices", "cancel", "1") == "Run 1: 1090 notices cancelled; 10 had left or were refused before\n"
    )
    assert shop.json("notices", "cancel", "1") == {"run": 1, "cancelled": 0, "gone": 1100}
    shop.called("notify", "dispatched", "--from", file, code=1)
    assert "Run 1 was cancelled." in shop.err
    for words in (("show", "7"), ("results", "7"), ("cancel", "7")):
        shop.called("notices", *words, code=1)
        assert "There is no run 7. fernamt notices lists them." in shop.err


@ON_SQLITE
def test_the_runs_are_listed_the_newest_first(shop: Shop) -> None:
    shop.called("notices")
    assert "There was no notice yet." in shop.err
    for key in ("monday", "tuesday"):
        shop.called("notify", "dispatched", "--from", shop.file(), "--key", key)
    lines = shop.called("notices").splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["2", "dispatched", "shop-sms", "tuesday", "sending"],
        ["1", "dispatched", "shop-sms", "monday", "sending"],
    ]
    assert len(shop.called("notices", "--limit", "1").splitlines()) == 2


# ---- to begin with
@ON_SQLITE
def test_the_templates_to_begin_with_work_as_they_are(shop: Shop) -> None:
    assert shop.called("new", "notices") == "notices.toml: order-confirmed, order-dispatched, order-delivered\n"
    assert '[notices]\nfiles = ["notices.toml"]' in shop.err
    (shop.folder / "fernamt.toml").write_text(
        '[channels.shop-sms]\nkind = "demo"\n[notices]\nfiles = ["notices.toml"]\n'
    )
    templates = read_settings(shop.folder / "fernamt.toml", environ={}).notices
    for template in templates.values():
        for language in ("de", "en"):
            filled = template.filled(template.examples, language)
            assert filled.language == language
            assert "4711" in filled.text
            assert "4711" in filled.subject
    bare = templates["order-delivered"].filled({"order": "1", "shop": "X"}, "de").text
    assert bare == "Ihre Bestellung 1 wurde zugestellt. Stimmt etwas nicht? Antworten Sie einfach. X"
    shop.called("new", "notices", code=2)
    assert "is there already" in shop.err


# ---- at the desk
@ON_SQLITE
def test_notices_do_not_flood_the_inbox_and_show_names_their_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.called("notify", "dispatched", "--from", shop.file())
    shop.called("inbox")
    assert "Nothing is open: 3 conversations with nothing but notices." in shop.err
    assert len(shop.json("inbox", "--all")) == len(shop.json("inbox", "--state", "told")) == 3
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    assert "dispatched, Bestellung 4711 (Lauf 1)" in shop.called("show", "1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert "dispatched, order 4711 (run 1)" in shop.called("show", "1")
