"""SMS by SMPP: a daemon that is killed at every point that a message passes, and an SMSC that keeps the books."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.pdu import Message, Party
from plugins.sms.tests.smpp.smsc import PASSWORD, SYSTEM_ID, US, Smsc, changed, from_ann, receipt
from tests.story.daemon import Daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

POINTS = ("writer.before-commit", "writer.committed", "outbox.begun", "outbox.answered", "outbox.finished")
CUSTOMERS = 4

CONFIGURATION = """
[channels.sms]
kind = "sms.smpp"
host = "127.0.0.1"
port = {port}
security = "none"
system_id = "{system_id}"
password = "file:{folder}/password"
sender = "+{us}"
answer_s = 2.0
"""


def number_of(customer: int) -> str:
    return f"491511234567{customer}"


def writes(customer: int, text: str) -> Message:
    return changed(from_ann(text), source=Party(number_of(customer), 1, 1))


class House:
    """The daemon and its books."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._answers = itertools.count(1)
        self.answered: list[str] = []

    def numbers(self) -> list[str]:
        """Return the numbers of the conversations, one with each customer."""
        return [str(one["number"]) for one in self._daemon.told("inbox", "--all")]

    def entries(self) -> list[dict[str, Any]]:
        return [entry for number in self.numbers() for entry in self._daemon.told("show", number)["entries"]]

    def received(self) -> list[str]:
        return [one["text"] for one in self.entries() if one["kind"] == "received"]

    def states(self) -> list[str]:
        return [delivery["state"] for one in self.entries() for delivery in one["deliveries"]]

    def answer(self) -> None:
        """Answer in every conversation."""
        for number in self.numbers():
            text = f"Antwort {next(self._answers):03}."
            done = self._daemon.here("reply", number, text, "--no-wait")
            assert done.returncode == 0, done.stderr
            self.answered.append(text)


async def test_what_was_acknowledged_is_kept_once_and_nothing_goes_out_twice_wherever_it_is_killed(
    tmp_path: Path, free_port: int
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    async with Smsc() as smsc:
        said = CONFIGURATION.format(port=smsc.port, system_id=SYSTEM_ID, us=US, folder=tmp_path)
        daemon = Daemon(tmp_path, free_port, said)
        house, asked = House(daemon), list[str]()

        def ask(what: str) -> None:
            texts = [f"Frage {what} von {customer}" for customer in range(CUSTOMERS)]
            asked.extend(texts)
            smsc.bring(*(writes(customer, text) for customer, text in enumerate(texts)))

        try:
            ask("zu Beginn")
            await asyncio.to_thread(daemon.start)
            await smsc.until(lambda: len(smsc.taken) == CUSTOMERS, within_s=60)
            await asyncio.to_thread(daemon.kill)
            for passes, point in enumerate(POINTS, 1):
                await asyncio.to_thread(house.answer)
                ask(f"{passes} vor {point}")
                await asyncio.to_thread(daemon.start, point, str(1 + passes % 3))
                await asyncio.to_thread(daemon.died)
            await asyncio.to_thread(daemon.start)
            await smsc.until(lambda: len(smsc.taken) == len(asked), within_s=60)
            # What was under way when it was killed nobody knows of, until a receipt gives our own number back.
            async with asyncio.timeout(60):
                while {*await asyncio.to_thread(house.states)} & {"queued", "sending"}:
                    await asyncio.sleep(0.1)
            uncertain = (await asyncio.to_thread(house.states)).count("uncertain")
            for one in smsc.submitted:
                own = {tlv.USER_MESSAGE_REFERENCE: one.tlvs[tlv.USER_MESSAGE_REFERENCE]}
                smsc.bring(receipt("of nobody", source=one.dest, tlvs=own))
            await smsc.until(lambda: len(smsc.taken) == len(asked) + len(smsc.submitted), within_s=60)
            received = await asyncio.to_thread(house.received)
            states = Counter(await asyncio.to_thread(house.states))
            assert await asyncio.to_thread(daemon.stop) == 0
        finally:
            await asyncio.to_thread(daemon.kill)

    assert sorted(received) == sorted(asked)
    arrived = Counter(smsc.arrived)
    assert max(arrived.values()) == 1
    assert {*arrived} <= {*house.answered}
    assert uncertain > 0  # two of the points lie between the first byte and the commit
    # Whatever reached a customer is known to have, and of the rest a person is told.
    assert states["delivered"] == len(arrived)
    assert states["uncertain"] == len(house.answered) - len(arrived)
