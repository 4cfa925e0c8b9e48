"""Recordings: written, read again, masked, compared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve

from fernamt.inbound import Handshake, Ignored, Received, Request, Response
from fernamt.model import Address
from fernamt.testing import Recording

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HEADERS = {"X-Signature": "abc", "Content-Type": "text/plain", "X-Line": "with a s3cret in it"}
REQUEST = Request(
    method="POST",
    url="https://fernamt.example/in/line/events?token=s3cret&page=1",
    path="",
    query={"token": "s3cret", "page": "1"},
    headers=HEADERS,
    body="Größe s3cret".encode(),
    at=AT,
)
EVENT = Received(key="m-1", sender=Address("phone", "+49301"), text="Größe s3cret")


@pytest.mark.parametrize("body", ["Größe".encode(), b"\xff\x00"], ids=["text", "bytes"])
@pytest.mark.parametrize(
    "events", [[EVENT, Ignored(reason="typing")], Handshake(Response(body=b"4711"))], ids=["events", "handshake"]
)
def test_what_is_written_is_read_again(tmp_path: Path, body: bytes, events: list[Received] | Handshake) -> None:
    file = tmp_path / "0001-text.json"
    one = Recording.of(evolve(REQUEST, body=body), "events", events, about="a text", kind="line")

    one.save(file)

    assert Recording.load(file) == evolve(one, name="0001-text")


def test_nothing_secret_is_left_in_a_masked_one(tmp_path: Path) -> None:
    file = tmp_path / "one.json"

    Recording.of(REQUEST, "events", [EVENT]).masked(["s3cret"]).save(file)

    said = file.read_text()
    assert "s3cret" not in said
    assert '"X-Signature": "masked"' in said
    assert '"Content-Type": "text/plain"' in said


def test_a_request_made_of_it_has_no_masked_header_and_a_path_below_the_webhook() -> None:
    one = Recording.of(REQUEST, "events/deep", [EVENT]).masked(["s3cret"])

    request = one.request("https://fernamt.example/in/line/", "events", at=AT)

    assert "x-signature" not in request.headers
    assert request.headers["content-type"] == "text/plain"
    assert request.path == "deep"
    assert dict(request.query) == {"page": "1"}


def test_only_the_named_fields_are_compared_and_each_difference_is_told() -> None:
    one = Recording(expect=[{"type": "Received", "text": "Größe s3cret", "automatic": False}])

    assert one.differences([EVENT]) == []
    assert one.differences([evolve(EVENT, text="Kleiner")]) == [
        "event 1: text is 'Kleiner', expected is 'Größe s3cret'"
    ]
    assert one.differences([Ignored(reason="typing")])[0] == "event 1: type is 'Ignored', expected is 'Received'"


@pytest.mark.parametrize("content", ["{", "[]", '{"expect": []}', '{"request": {}, "expect": []}'])
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(content)

    with pytest.raises(ValueError, match=r"wrong\.json is no recording"):
        Recording.load(file)
