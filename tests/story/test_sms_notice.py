"""A shop tells a customer by SMS that her order is on its way; she asks back, is answered, says STOP, and hears no more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fernamt_sms.smpp.pdu import Message
from plugins.sms.tests.smpp.smsc import PASSWORD, SYSTEM_ID, US, Smsc, from_ann, receipt
from tests.story.daemon import Daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONFIGURATION = """
[channels.sms]
kind = "sms.smpp"
host = "127.0.0.1"
port = {port}
security = "none"
system_id = "{system_id}"
password = "file:{folder}/password"
sender = "+{us}"

[notices.dispatched]
[notices.dispatched.values]
order = {{ example = "4711" }}
[notices.dispatched.texts.de]
text = "Ihre Bestellung {{order}} ist unterwegs."
[notices.dispatched.texts.en]
text = "Your order {{order}} is on its way."
"""


class Shop:
    """The daemon, seen by whoever works there; each command is a call of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def does(self, *words: str, code: int = 0) -> str:
        done = await asyncio.to_thread(self._daemon.here, *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    async def knows(self, *words: str) -> Any:
        return await asyncio.to_thread(self._daemon.told, *words)

    async def entries(self) -> list[dict[str, Any]]:
        [one] = await self.knows("inbox", "--all")
        shown = await self.knows("show", str(one["number"]))
        found: list[dict[str, Any]] = shown["entries"]
        return found


def texts(submitted: list[Message]) -> list[str]:
    return [one.text.decode("latin-1") for one in submitted]


async def test_a_notice_is_answered_and_after_a_stop_the_next_one_is_refused_with_the_reason(
    tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    async with Smsc() as smsc:
        said = CONFIGURATION.format(port=smsc.port, system_id=SYSTEM_ID, us=US, folder=tmp_path)
        daemon = Daemon(tmp_path, free_port, said)
        shop, ann = Shop(daemon), f"+{from_ann().source.value}"
        try:
            await asyncio.to_thread(daemon.start)
            await asyncio.to_thread(daemon.ready)

            await shop.does("notify", "dispatched", "--to", ann, "--set", "order=4711", "--language", "de", "--wait")
            assert texts(smsc.submitted) == ["Ihre Bestellung 4711 ist unterwegs."]
            assert await shop.knows("inbox") == []  # nobody has to answer a notice

            smsc.bring(receipt(smsc.name(1)), from_ann("Wann kommt sie denn?"))
            await smsc.until(lambda: len(smsc.taken) == 2)
            [open_] = await shop.knows("inbox")
            notice, question = await shop.entries()
            assert (notice["kind"], notice["deliveries"][0]["state"]) == ("notice", "delivered")
            assert question["text"] == "Wann kommt sie denn?"
            assert "4711" in await shop.does("show", str(open_["number"]))

            await shop.does("reply", str(open_["number"]), "Morgen zwischen 9 und 12.", "--wait")
            assert texts(smsc.submitted)[1:] == ["Morgen zwischen 9 und 12."]

            smsc.bring(from_ann("Stopp"))
            await smsc.until(lambda: len(smsc.taken) == 3)
            await smsc.until(lambda: len(smsc.submitted) == 3)  # she is told that she was heard, once

            await shop.does("notify", "dispatched", "--to", ann, "--set", "order=4712", "--wait", code=1)
            refused = (await shop.entries())[-1]["deliveries"][0]
            assert refused["state"] == "refused"
            why = await shop.does("why", str(refused["number"]))
            assert "STOPP" in why
            assert len(smsc.submitted) == 3
            assert await asyncio.to_thread(daemon.stop) == 0
        finally:
            await asyncio.to_thread(daemon.kill)
