"""Against implementations that others wrote: node-smpp and smpp34 as SMSCs, smpp34 as an ESME of the SMSC of our tests."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fernamt import (
    DeliveryState,
    NeedsLogin,
    Receipt,
    Rejected,
    Secret,
    Throttled,
    Unreachable,
)
from fernamt.testing import FakeContext, free_port
from fernamt_sms.smpp.codec import decode, encode
from fernamt_sms.smpp.connector import Smpp
from fernamt_sms.smpp.outgoing import number_of
from fernamt_sms.smpp.pdu import Message, Party, Pdu
from fernamt_sms.text import segment

from .given import channel, message
from .peers import Peer, installed, node_smsc, program, rust_peer
from .smsc import ANN, US, Smsc, from_ann

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LONG = "Ihr Paket mit den Schrauben ist da. " * 8
MIXED = "Größe „38“ für 5 € – bitte 🐤 " * 6


def parts_of(text: str) -> int:
    return len(segment(text).parts)


@asynccontextmanager
async def bound(peer: Peer, **more: Any) -> AsyncIterator[tuple[Smpp, FakeContext, asyncio.Task[None]]]:
    """Run a channel, bound to a peer."""
    context = FakeContext()
    connector = channel(peer.port, context, **{"answer_s": 2.0} | more)
    running = asyncio.create_task(connector.run())
    try:
        await context.ready()
        yield connector, context, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for this machine that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            program("openssl", "openssl"),
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            key,
            "-out",
            cert,
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


def written(name: str, **more: Any) -> dict[str, Any]:
    """Return what node-smpp is told to deliver."""
    fields = {"source_addr": ANN, "source_addr_ton": 1, "source_addr_npi": 1, "destination_addr": US, "data_coding": 8}
    return {"fields": fields | more, "for": name}


# ---- node-smpp
@pytest.mark.parametrize("bind", ["transceiver", "pair"])
async def test_node_smpp_binds_us_reads_what_we_send_and_is_read_by_us(bind: str) -> None:
    async with node_smsc() as node, bound(node, bind=bind) as (connector, context, _):
        for number, text in enumerate(("Hallo", "Größe 38: 5 €", "Здравствуйте 🐤", LONG, MIXED)):
            await connector.send(message(text, key=f"k{number}"))
        submitted = await node.until("submit_sm", 3 + parts_of(LONG) + parts_of(MIXED))
        await node.do("deliver", **written("umlauts", short_message="Größe 38"))
        await node.do("deliver", **written("gsm", short_message="5 € [netto]", data_coding=0))
        await node.do("deliver", **written("long", message_payload=MIXED))
        await node.do("enquire")
        answers = await node.until("deliver_sm_resp", 3)
        await node.until("enquire_link_resp")

        joined: dict[str, str] = {}
        for number, one in enumerate(submitted):
            joined.setdefault(one["udh"][0][:6] if one["udh"] else f"{number}", "")
            joined[one["udh"][0][:6] if one["udh"] else f"{number}"] += one["text"]
        assert sorted(joined.values()) == sorted(["Hallo", "Größe 38: 5 €", "Здравствуйте 🐤", LONG, MIXED])
        assert {(one["source"], one["source_ton"], one["dest"], one["dest_ton"]) for one in submitted} == {
            (US, 1, ANN, 1)
        }
        assert [one["status"] for one in answers] == [0, 0, 0]
        assert [event.text for event in context.intake.events] == ["Größe 38", "5 € [netto]", MIXED]  # type: ignore[union-attr]
    kinds = {one["what"] for one in node.told if one["what"].startswith("bind")}
    assert kinds == ({"bind_transceiver"} if bind == "transceiver" else {"bind_transmitter", "bind_receiver"})
    assert "unbind" in {one["what"] for one in node.told}


@pytest.mark.parametrize("how", ["sar", "payload"])
async def test_node_smpp_reads_parts_that_are_joined_by_other_means(how: str) -> None:
    async with node_smsc() as node, bound(node, long_messages=how) as (connector, _, _):
        await connector.send(message(LONG))
        submitted = await node.until("submit_sm", 1 if how == "payload" else 2)

    if how == "payload":
        assert [one["payload"] for one in submitted] == [LONG]
    else:
        assert "".join(one["text"] for one in submitted) == LONG
        assert [one["sar"] for one in submitted] == [[number_of(message(LONG)), 2, at] for at in (1, 2)]


async def test_node_smpp_refuses_a_wrong_password_and_a_person_is_asked() -> None:
    async with node_smsc() as node:
        with pytest.raises(NeedsLogin, match="password"):
            await channel(node.port, FakeContext(), password=Secret("wrong")).run()
        assert await channel(node.port, FakeContext()).verify() == f"shop at 127.0.0.1:{node.port} (node)"


async def test_node_smpp_by_tls_is_believed_only_with_the_right_certificate(certificate: tuple[Path, Path]) -> None:
    async with node_smsc(certificate=certificate) as node:
        with pytest.raises(Unreachable, match="no TLS") as why:
            await channel(node.port, FakeContext(), security="tls").verify()
        assert why.value.certain

        async with bound(node, security="tls", ca_file=certificate[1]) as (connector, _, _):
            assert (await connector.send(message())).ids[0] == "1"


@pytest.mark.parametrize("decimal", [False, True])
async def test_receipts_of_node_smpp_find_their_messages(*, decimal: bool) -> None:
    async with node_smsc() as node, bound(node) as (connector, context, _):
        ids = [(await connector.send(message(key=f"k{number}"))).ids[0] for number in range(30)]
        number = 27
        name = f"{number:010d}" if decimal else f"{number:08X}"
        by_text = (
            f"id:{name} sub:001 dlvrd:001 submit date:2611301200 done date:2611301200 stat:DELIVRD err:000 text:Hallo"
        )
        await node.do("deliver", **written("text", esm_class=4, data_coding=0, short_message=by_text))
        await node.do(
            "deliver",
            **written("tlv", esm_class=4, data_coding=0, short_message="", receipted_message_id=name, message_state=5),
        )
        answers = await node.until("deliver_sm_resp", 2)

        told = context.intake.events
        assert [one["status"] for one in answers] == [0, 0]
        assert [(one.id, one.state) for one in told if isinstance(one, Receipt)] == [
            (ids[26], DeliveryState.DELIVERED),
            (ids[26], DeliveryState.FAILED),
        ]


async def test_node_smpp_says_too_fast_and_the_same_message_goes_again() -> None:
    async with node_smsc() as node, bound(node) as (connector, _, _):
        await node.do("statuses", values=[0, 0x58, 0, 0x14, 0x0B])
        with pytest.raises(Throttled) as why:
            await connector.send(message(LONG))
        await connector.send(message(LONG, attempt=2, sent_ids=why.value.sent_ids))
        with pytest.raises(Throttled):
            await connector.send(message(key="k2"))
        with pytest.raises(Rejected):
            await connector.send(message(key="k3"))
        submitted = await node.until("submit_sm", 5)

        assert "".join(one["text"] for one in submitted[:3] if not one["status"]) == LONG


async def test_when_node_smpp_drops_us_in_mid_window_what_was_written_is_uncertain() -> None:
    async with node_smsc() as node, bound(node) as (connector, _, running):
        await node.do("silent", value=True)
        sends = [asyncio.create_task(connector.send(message(key=f"k{number}"))) for number in range(10)]
        await node.until("submit_sm", 10)
        await node.do("cut")
        found = await asyncio.gather(*sends, return_exceptions=True)
        with pytest.raises(Unreachable):
            await running

    assert {(type(one), getattr(one, "certain", None)) for one in found} == {(Unreachable, False)}


async def test_node_smpp_is_started_again_and_so_are_we() -> None:
    port = free_port()
    for ends in ("it is killed", "it says goodbye"):
        async with node_smsc(port) as node, bound(node) as (connector, context, running):
            assert (await connector.send(message())).ids
            if ends == "it says goodbye":
                await node.do("unbind")
                assert (await node.until("unbind_resp"))[0]["status"] == 0
            else:
                node.process.kill()
            with pytest.raises(Unreachable):
                await running
            assert context.states == [("up", "")]


# ---- smpp34
async def test_smpp34_as_smsc_binds_us_and_reads_what_we_send_and_is_read_by_us() -> None:
    async with (
        rust_peer("server", str(free_port())) as rust,
        bound(rust, default_alphabet="gsm") as (connector, context, _),
    ):
        sent = [await connector.send(message(text, key=f"k{at}")) for at, text in enumerate(("Grüße €", MIXED))]
        submitted = await rust.until("submit_sm", 1 + parts_of(MIXED))
        number = int(submitted[0]["tlvs"]["516"], 16)
        await rust.do(
            "deliver", to=US, hex="Größe 🐤".encode("utf-16-be").hex(), fields={"source_addr": ANN, "data_coding": 8}
        )
        await rust.do(
            "deliver",
            to=US,
            hex=b"stat:DELIVRD".hex(),
            fields={"source_addr": ANN, "esm_class": 4},
            tlvs={"30": b"r1\0".hex(), "1063": "02", "516": f"{number:04x}"},
        )
        answers = await rust.until("deliver_sm_resp", 2)

    assert submitted[0]["hex"] == "47727e1e6520" + "1b65"
    assert [one["esm_class"] for one in submitted[1:]] == [0x40] * parts_of(MIXED)
    assert "".join(bytes.fromhex(one["hex"])[6:].decode("utf-16-be") for one in submitted[1:]) == MIXED
    assert [one["status"] for one in answers] == [0, 0]
    written_by_ann, receipt = context.intake.events
    assert written_by_ann.text == "Größe 🐤"  # type: ignore[union-attr]
    assert (receipt.id, receipt.state) == (sent[0].ids[0], DeliveryState.DELIVERED)  # type: ignore[union-attr]


async def test_smpp34_as_esme_finds_the_smsc_of_our_tests_to_be_one() -> None:
    async with Smsc() as smsc, rust_peer("client", str(smsc.port)) as rust:
        smsc.statuses.extend([0, 0x58])
        for _ in range(2):
            await rust.do("submit", to=ANN, hex=b"Hallo".hex(), fields={"source_addr": US})
        answers = await rust.until("submit_sm_resp", 2)
        smsc.bring(from_ann("Größe"))
        [brought] = await rust.until("deliver_sm")
        await smsc.until(lambda: smsc.taken)

    assert [one["status"] for one in answers] == [0, 0x58]
    assert answers[0]["id"] == "0000000001"
    assert bytes.fromhex(brought["hex"]).decode("utf-16-be") == "Größe"


def test_our_codec_and_that_of_smpp34_read_and_write_the_same_bytes() -> None:
    python, dice = installed() / "python" / "bin" / "python", random.Random(34)
    frames = [
        encode(Pdu(command, dice.randrange(1, 2**31), any_message(dice))) for command in (4, 5) for _ in range(300)
    ]
    done = subprocess.run(
        [python, Path(__file__).parent / "rust_peer.py", "codec"],
        input="\n".join(one.hex() for one in frames),
        capture_output=True,
        text=True,
        check=True,
    )

    for frame, line in zip(frames, done.stdout.splitlines(), strict=True):
        theirs, ours = json.loads(line), decode(frame).body
        assert isinstance(ours, Message)
        assert bytes.fromhex(theirs["again"]) == frame
        fields = theirs["fields"]
        assert (fields["source_addr"], fields["source_addr_ton"]) == (ours.source.value, ours.source.ton)
        assert (fields["destination_addr"], fields["dest_addr_npi"]) == (ours.dest.value, ours.dest.npi)
        assert (fields["esm_class"], fields["data_coding"]) == (ours.esm_class, ours.data_coding)
        assert (fields["short_message"], fields["registered_delivery"]) == (ours.text.hex(), ours.registered)
        assert [(tag, value) for tag, value in fields["tlvs"]] == [(tag, one.hex()) for tag, one in ours.tlvs.items()]


def any_message(dice: random.Random) -> Message:
    def text(most: int) -> str:
        return "".join(dice.choice("0123456789abcXYZ") for _ in range(dice.randrange(most)))

    tags = dice.sample([0x1E, 0x0204, 0x020C, 0x0424, 0x1400], dice.randrange(4))
    return Message(
        service_type=text(5),
        source=Party(text(20), dice.randrange(7), dice.randrange(7)),
        dest=Party(text(20), dice.randrange(7), dice.randrange(7)),
        esm_class=dice.choice([0, 4, 0x40]),
        registered=dice.randrange(3),
        data_coding=dice.choice([0, 3, 8]),
        text=dice.randbytes(dice.randrange(0, 255)),
        tlvs={tag: dice.randbytes(dice.randrange(20)) for tag in tags},
    )
