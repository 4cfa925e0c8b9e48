"""What we ask Twilio, and what our fake answers, beside Twilio's own description of its interface (OpenAPI)."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest

from fernamt import Attachment
from fernamt.testing import ProviderCall
from fernamt_sms.twilio.connector import Twilio
from fernamt_sms.twilio.events import status

from ..lines import ANN, US, Given, message
from .fake import FakeTwilio
from .given import twilio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[4]
SERVICE: Final = "MG" + "0" * 32


@pytest.fixture(scope="module")
def spec() -> Mapping[str, Any]:
    """Twilio's description of the API of 2010."""
    script = ROOT / "scripts" / "servers"
    if not script.exists():
        pytest.skip("server: this is no checkout: Twilio's description is not here")
    done = subprocess.run([script, "twilio"], capture_output=True, text=True)
    file = ROOT / ".servers" / "twilio" / "twilio_api_v2010.json"
    if done.returncode or not file.exists():
        pytest.skip(f"server: npm did not give Twilio's description: {done.stderr[-300:]}")
    found: Mapping[str, Any] = json.loads(file.read_text())
    return found


@pytest.fixture(scope="module")
def asked() -> list[tuple[ProviderCall, Any]]:
    """Every kind of call that we make, with the answer of the fake."""
    return asyncio.run(everything())


async def everything() -> list[tuple[ProviderCall, Any]]:
    seen: list[tuple[ProviderCall, Any]] = []

    async def kept(it: Given[FakeTwilio, Twilio]) -> None:
        answers = [it.there._answered(call) for call in it.there.calls if "/Media/" not in call.path]
        calls = [call for call in it.there.calls if "/Media/" not in call.path]
        seen.extend((call, json.loads(said.body)) for call, said in zip(calls, answers, strict=True))

    async with twilio(mms=True) as it:
        picture = it.context.blobs.add(b"\x89PNG")
        file = Attachment(name="a.png", media_type="image/png", content=picture)
        await it.line.send(message(attachments=(file,)))
        await it.line.lookup(message())
        await it.line.verify()
        url = await it.there.hold_media(b"picture")
        it.there.add(
            sid=url.split("/")[-3],
            direction="inbound",
            **{"from": ANN},
            to=US,
            body="",
            status="received",
            num_media="1",
        )
        await it.line.fetch("")
        running = asyncio.create_task(it.line.run())
        while not it.context.clock.slept:
            await asyncio.sleep(0)
        running.cancel()
        await kept(it)
    async with twilio(sender=SERVICE) as it:
        await it.line.send(message())
        await kept(it)
    return seen


def described(spec: Mapping[str, Any], call: ProviderCall) -> Mapping[str, Any]:
    """Return what the description says of a call."""
    for path, methods in spec["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/.]+", path.replace(".", r"\.")), call.path):
            found: Mapping[str, Any] = methods[call.method.lower()]
            return found
    raise AssertionError(f"there is no {call.method} {call.path}")


def resolved(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema in place of what refers to it."""
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_every_call_is_one_that_twilio_describes(
    spec: Mapping[str, Any], asked: list[tuple[ProviderCall, Any]]
) -> None:
    kinds = set()
    for call, _ in asked:
        says = described(spec, call)
        kinds.add(says["operationId"])
        names = {one["name"] for one in says.get("parameters", ()) if one["in"] == "query"}
        assert set(call.query) <= names
        form = dict(parse_qsl(call.body.decode(), strict_parsing=True)) if call.body else {}
        if form:
            content = resolved(spec, says["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"])
            assert set(content["required"]) <= set(form) <= set(content["properties"])
            for name, value in form.items():
                pattern = content["properties"][name].get("pattern", "")
                assert re.search(pattern, value), name
    assert kinds == {"CreateMessage", "ListMessage", "FetchAccount", "ListIncomingPhoneNumber", "ListMedia"}


def test_every_answer_of_the_fake_has_the_fields_that_twilio_describes(
    spec: Mapping[str, Any], asked: list[tuple[ProviderCall, Any]]
) -> None:
    for call, said in asked:
        answers = described(spec, call)["responses"]
        [good] = [answers[code] for code in ("200", "201") if code in answers]
        shape = resolved(spec, good["content"]["application/json"]["schema"])
        fits(spec, shape, said)


def fits(spec: Mapping[str, Any], shape: Mapping[str, Any], said: Any) -> None:
    """Assert that an answer has no field and no type that its description has not."""
    shape = resolved(spec, shape)
    if said is None:
        assert shape.get("nullable") or shape.get("format") == "uri"
        return
    match shape.get("type"):
        case "object" if "properties" in shape:
            assert set(said) <= set(shape["properties"])
            for name, value in said.items():
                fits(spec, shape["properties"][name], value)
        case "array":
            for one in said:
                fits(spec, shape["items"], one)
        case "string":
            assert isinstance(said, str)
            assert said in shape.get("enum", [said])
            assert re.search(shape.get("pattern", ""), said)
        case "integer":
            assert isinstance(said, int)
        case _:
            pass


def test_every_status_that_there_is_is_known(spec: Mapping[str, Any]) -> None:
    states = spec["components"]["schemas"]["message_enum_status"]["enum"]
    assert len(states) == 13
    for state in states:
        assert status({"MessageSid": "SM" + "0" * 32, "MessageStatus": state}, message_key="")
