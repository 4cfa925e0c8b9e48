"""smpp34 as a peer, in an environment of its own: ``rust_peer.py server PORT``, ``client PORT``, or ``codec`` for a stream of frames."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import smpp34  # type: ignore[import-not-found]  # it is in an environment of its own

FIELDS = [
    "service_type",
    "source_addr_ton",
    "source_addr_npi",
    "source_addr",
    "dest_addr_ton",
    "dest_addr_npi",
    "destination_addr",
    "esm_class",
    "protocol_id",
    "priority_flag",
    "schedule_delivery_time",
    "validity_period",
    "registered_delivery",
    "replace_if_present_flag",
    "data_coding",
    "sm_default_msg_id",
]


def tell(what: str, **more: Any) -> None:
    print(json.dumps({"what": what, **more}), flush=True)  # noqa: T201 - it is how we are heard


def told_of(event: Any) -> dict[str, Any]:
    names = ["source_addr", "destination_addr", "esm_class", "data_coding", "registered_delivery"]
    found = {name: getattr(event, name) for name in names}
    return found | {"hex": event.short_message.hex(), "tlvs": {one.tag: one.value.hex() for one in event.tlvs}}


async def lines() -> Any:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        tell("heard")
        yield json.loads(line)


async def server(port: int) -> None:
    smsc = smpp34.Server("127.0.0.1", port, system_id="rust")
    await smsc.start()
    tell("listening", port=port)
    bound: list[smpp34.Esme] = []

    async def events() -> None:
        number = 0
        while True:
            event = await smsc.next()
            if isinstance(event, smpp34.Esme):
                bound.append(event)
                tell("bound", system_id=event.system_id, receives=event.can_receive)
            elif isinstance(event, smpp34.SubmitSmEvent):
                number += 1
                event.accept(f"r{number}")
                tell("submit_sm", number=number, **told_of(event))
            else:
                tell("unbound")

    watching = asyncio.create_task(events())
    async for asked in lines():
        if asked["do"] == "deliver":
            tlvs = [smpp34.Tlv(int(tag), bytes.fromhex(value)) for tag, value in asked.get("tlvs", {}).items()]
            answer = await bound[-1].deliver_sm(
                asked["to"], bytes.fromhex(asked["hex"]), tlvs=tlvs, **asked.get("fields", {})
            )
            tell("deliver_sm_resp", status=answer.command_status)
    watching.cancel()


async def client(port: int) -> None:
    session = await smpp34.Client("127.0.0.1", port, "shop", "geheim-8", bind_type="TRX", tls=False).connect()
    tell("listening", port=port)

    async def events() -> None:
        while True:
            event = await session.next()
            if isinstance(event, smpp34.Disconnected):
                tell("disconnected")
                return
            tell("deliver_sm", **told_of(event))

    watching = asyncio.create_task(events())
    async for asked in lines():
        if asked["do"] == "submit":
            answer = await session.submit_sm(asked["to"], bytes.fromhex(asked["hex"]), **asked.get("fields", {}))
            tell("submit_sm_resp", id=answer.message_id, status=answer.command_status)
        else:
            await session.unbind()
    watching.cancel()


def codec() -> None:
    for line in sys.stdin:
        pdu = smpp34.decode(bytes.fromhex(line))
        fields = {name: getattr(pdu, name) for name in FIELDS}
        fields["short_message"] = pdu.short_message.hex()
        fields["tlvs"] = [[one.tag, one.value.hex()] for one in pdu.tlvs]
        print(json.dumps({"fields": fields, "again": pdu.encode().hex()}))  # noqa: T201


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "codec":
        codec()
    else:
        asyncio.run({"server": server, "client": client}[what](int(arguments[0])))


if __name__ == "__main__":
    main()
