"""Recordings: written, read back, masked, signed again, and what is said of a wrong one."""

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from multidict import CIMultiDict

from fernamt import (
    Address,
    Attachment,
    BadSignature,
    DeliveryState,
    InboundEvent,
    Receipt,
    Received,
    Rejected,
    Remote,
    Request,
    Thread,
    Webhook,
)
from fernamt.testing import BadRecording, Recording, described, masked, recordings, signed, tampered

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SECRET = b"a secret of the provider"
ANN = Address("phone", "+49301")


def request(
    body: bytes = b"{}", *, headers: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None
) -> Request:
    return Request(
        method="POST", url="", path="", query=query or {}, headers=CIMultiDict(headers or {}), body=body, at=AT
    )


def digest(body: bytes) -> str:
    return hmac.digest(SECRET, body, "sha256").hex()


def verify(request: Request) -> None:
    if not hmac.compare_digest(digest(request.body), request.headers.get("X-Signature", "")):
        raise BadSignature("no")


def sign(request: Request) -> Request:
    return evolve(request, headers={**request.headers, "X-Signature": digest(request.body)})


WEBHOOK = Webhook(path="hook", verify=verify, parse=lambda _request: [], sign=sign)


@pytest.mark.parametrize(
    ("body", "key", "said"),
    [
        (b'{"a":[1,"\xc3\xbc"]}', "body", {"a": [1, "ü"]}),
        (b'{"a": 1}', "body", '{"a": 1}'),  # a blank: the bytes are kept as they were
        (b"from=%2B4930&text=Hallo", "body", "from=%2B4930&text=Hallo"),
        (b"\xff\xfe", "base64", "//4="),
        (b"", "body", None),
    ],
)
def test_a_body_comes_back_byte_for_byte(tmp_path: Path, body: bytes, key: str, said: Any) -> None:
    file = tmp_path / "recordings" / "1.json"
    before = Recording(kind="courier", webhook="hook", request=request(body, headers={"X-A": "1"}, query={"q": "2"}))
    before.write(file)

    after = Recording.read(file)

    assert after.request.body == body
    assert json.loads(file.read_text())["request"].get(key) == said
    assert (after.kind, after.webhook, after.request.at, dict(after.request.query)) == (
        "courier",
        "hook",
        AT,
        {"q": "2"},
    )
    assert after.request.headers["x-a"] == "1"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            Received(key="m-1", sender=ANN, text="Hallo", at=AT),
            {
                "event": "Received",
                "key": "m-1",
                "sender": "phone:+49301",
                "text": "Hallo",
                "at": "2026-11-22T08:00:00+00:00",
            },
        ),
        (
            Receipt(key="r-1", state=DeliveryState.FAILED, id="p-1", error=Rejected("no", code="7")),
            {
                "event": "Receipt",
                "key": "r-1",
                "state": "failed",
                "id": "p-1",
                "error": {"error": "Rejected", "reason": "no", "code": "7"},
            },
        ),
        (
            Received(
                key="m-2",
                sender=ANN,
                thread=Thread(references=("a",)),
                attachments=(
                    Attachment(name="1.png", media_type="image/png", content=Remote("ref-1")),
                    Attachment(name="2.txt", media_type="text/plain", content=b"hi"),
                ),
            ),
            {
                "event": "Received",
                "key": "m-2",
                "sender": "phone:+49301",
                "thread": {"references": ["a"]},
                "attachments": [
                    {"name": "1.png", "media_type": "image/png", "content": {"remote": "ref-1"}},
                    {"name": "2.txt", "media_type": "text/plain", "content": {"base64": "aGk="}},
                ],
            },
        ),
    ],
)
def test_an_event_is_described_by_its_class_and_what_is_not_its_default(
    event: InboundEvent, said: Mapping[str, Any]
) -> None:
    assert described(event) == said
    assert json.loads(json.dumps(described(event))) == said


@pytest.mark.parametrize(
    ("before", "gone"),
    [
        (request(headers={"Authorization": "Bearer abc-def"}), "abc-def"),
        (request(headers={"X-Hub-Signature-256": "sha256=12ab"}), "12ab"),
        (request(headers={"X-Sign": "12ab"}), "12ab"),
        (request(headers={"X-Other": "is hunter2 here"}), "hunter2"),
        (request(query={"token": "abcdef"}), "abcdef"),
        (request(b'{"deep":[{"access_token":"abcdef"}]}'), "abcdef"),
        (request(b'{"text":"my hunter2"}'), "hunter2"),
        (
            request(b"token=abcdef&text=a+b", headers={"content-type": "application/x-www-form-urlencoded"}),
            "abcdef",
        ),
    ],
)
def test_what_is_secret_is_masked_by_its_name_and_by_its_value(tmp_path: Path, before: Request, gone: str) -> None:
    file = tmp_path / "1.json"

    Recording(kind="courier", webhook="hook", request=masked(before, ["hunter2"])).write(file)

    assert gone not in file.read_text()
    assert "masked" in file.read_text()


def test_the_words_of_a_message_stay_as_they_are() -> None:
    before = request(b'{"text": "where is my order?", "from": "+49301"}', headers={"Content-Type": "application/json"})

    assert masked(before, ["another secret"]) == before


def test_a_masked_request_is_signed_again_and_a_tampered_one_is_refused() -> None:
    signed_once = signed(WEBHOOK, request(b'{"id":"m-1"}'))

    again = signed(WEBHOOK, masked(signed_once, [SECRET.decode()]))

    verify(again)
    with pytest.raises(BadSignature):
        verify(tampered(again))


@pytest.mark.parametrize("before", [request(b"{}"), request(b"abc"), request(b""), request(b"", query={"a": "b"})])
def test_tampering_always_changes_something(before: Request) -> None:
    assert tampered(before) != before


def test_the_recordings_of_a_folder_come_by_name(tmp_path: Path) -> None:
    for name in ("2-b", "1-a"):
        Recording(about=name, kind="courier", webhook=None, request=request()).write(tmp_path / f"{name}.json")

    assert [one.about for one in recordings(tmp_path)] == ["1-a", "2-b"]
    assert recordings(tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n  no", "1.json:2: it is no JSON"),
        ("[]", "the file: must be an object"),
        ('{"kind": "a", "request": {}, "at": "2026-01-01", "wehbook": "x"}', "wehbook: is no key here. Known: about"),
        ('{"kind": "a", "request": {"header": {}}, "at": "2026-01-01"}', "request.header: is no key here"),
        ('{"request": {}, "at": "2026-01-01"}', "kind: is missing"),
        ('{"kind": "a", "request": {}, "at": "yesterday"}', "at: must be a time such as"),
        (
            '{"kind": "a", "request": {"headers": {"a": 1}}, "at": "2026-01-01"}',
            "request.headers: must be an object of",
        ),
        ('{"kind": "a", "request": {"base64": "?"}, "at": "2026-01-01"}', "request.base64: is no base64"),
        ('{"kind": "a", "request": {}, "at": "2026-01-01", "expected": [{}]}', "expected: must be a list of objects"),
    ],
)
def test_a_wrong_recording_is_refused_with_its_file_the_field_and_the_remedy(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "1.json"
    file.write_text(text)

    with pytest.raises(BadRecording) as refused:
        Recording.read(file)

    assert said in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="there is no such file"):
        Recording.read(tmp_path / "none.json")
