"""Notices from outside: a file whose giver and whose daemon are killed again and again, and a customer who answers one."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.story.daemon import Daemon, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROWS = 1_000
TOKEN = "t" * 40

CONFIGURATION = """
[log]
level = "warning"
[channels.shop-sms]
kind = "demosms"
[api.tokens]
shop = "env:SHOP_TOKEN"
[notices.dispatched.values]
order = { example = "4711" }
[notices.dispatched.texts.de]
text = "Ihre Bestellung {order} ist unterwegs."
"""
# It writes down what it sent before it says so, as a provider would.
LINE = '''
import os
from attrs import frozen
from fernamt import Address, Capabilities, Received, Sent, Webhook, hookimpl

@frozen
class Settings:
    """Nothing to set."""

class Line:
    def __init__(self, channel, context):
        self.file = os.open("sent.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def capabilities(self):
        return Capabilities(in_flight=16)
    def webhooks(self):
        return [Webhook(path="said", verify=lambda request: None, parse=self.parse)]
    def parse(self, request):
        said = request.query
        return [Received(key=said["id"], sender=Address("phone", said["from"]), text=said["text"])]
    async def send(self, message):
        os.write(self.file, f"{message.to.value} {message.text}\\n".encode())
        return Sent(ids=(message.key,))

@hookimpl
def fernamt_register(registry):
    registry.connector("demosms", settings=Settings, factory=Line, about="a line that writes down what it sends")
'''


@pytest.fixture
def shop(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "demosms.py").write_text(LINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    with running(Daemon(tmp_path, free_port, CONFIGURATION)) as daemon:
        yield daemon


def sent(daemon: Daemon) -> Counter[str]:
    log = daemon.folder / "sent.log"
    return Counter(log.read_text().splitlines() if log.exists() else ())


def count(daemon: Daemon, sql: str) -> int:
    with sqlite3.connect(f"file:{daemon.folder}/fernamt.db?mode=ro", uri=True) as connection:
        return int(connection.execute(sql).fetchone()[0])


def come_so_far(daemon: Daemon, giver: subprocess.Popen[bytes], rows: int) -> bool:
    return giver.poll() is not None or count(daemon, "SELECT count(*) FROM notice") >= rows


def test_whoever_is_killed_no_notice_is_lost_and_none_goes_twice(shop: Daemon) -> None:
    dice = random.Random(6)
    orders = shop.folder / "orders.csv"
    orders.write_text("to,order\n" + "".join(f"+49170{n:07},{n}\n" for n in range(ROWS)))
    words = [sys.executable, "-m", "fernamt", "notify", "-c", str(shop.file), "dispatched", "--from", str(orders)]
    killed = 0
    while count(shop, "SELECT coalesce(max(given), 0) FROM notice_run") < ROWS:
        given = count(shop, "SELECT count(*) FROM notice")
        giver = subprocess.Popen(
            [*words, "--no-wait"], env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if killed < 3:
            more = given + dice.randint(1, ROWS // 5)
            until(partial(come_so_far, shop, giver, more))
            giver.kill()
            killed += 1
            if killed == 2:
                shop.kill()
                shop.start()
                shop.ready()
        giver.wait()
    run = until(lambda: (view := shop.told("notices")[0])["moving"] == 0 and view)

    assert (run["total"], run["given"], run["state"]) == (ROWS, ROWS, "done")
    assert set(run["states"]) <= {"sent", "uncertain"}
    assert (
        count(shop, "SELECT count(DISTINCT delivery) FROM notice")
        == count(shop, "SELECT count(*) FROM delivery")
        == ROWS
    )
    assert killed >= 2, "a giver, and the daemon itself; a quick giver may be through before the third"
    gone = sent(shop)
    assert max(gone.values()) == 1
    lost = ROWS - len(gone)
    assert lost <= run["states"].get("uncertain", 0)


def test_a_customer_who_answers_a_notice_is_shown_with_it_and_its_order(shop: Daemon) -> None:
    body = {"template": "dispatched", "key": "4711-dispatched", "to": "+491701234567", "values": {"order": "4711"}}
    request = urllib.request.Request(
        f"{shop.url}/api/v1/notices",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 202
    until(lambda: shop.told("notices")[0]["state"] == "done")
    assert shop.told("inbox") == []
    said = urllib.parse.urlencode({"id": "1", "from": "+491701234567", "text": "Wann genau?"})
    urllib.request.urlopen(f"{shop.url}/in/shop-sms/said?{said}").close()

    [line] = shop.told("inbox")
    shown = shop.told("show", str(line["number"]))
    assert [(entry["kind"], entry["author"], entry["text"]) for entry in shown["entries"]] == [
        ("notice", "api:shop", "Ihre Bestellung 4711 ist unterwegs."),
        ("received", "phone:+491701234567", "Wann genau?"),
    ]
    assert shown["entries"][0]["data"]["order"] == "4711"
    assert shop.here("reply", str(line["number"]), "Morgen zwischen 9 und 12.").returncode == 0
    until(lambda: len(sent(shop)) == 2)
    assert shop.told("show", str(line["number"]))["state"] == "waiting"
