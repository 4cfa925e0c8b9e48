"""The log: no planted canary comes through, whichever way it is logged."""

from __future__ import annotations

import base64
import io
import json
import logging
import timeit
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from attrs import field, frozen

from fernamt import Address, OutboundMessage, Secret, Unparsable
from fernamt._runtime.log import configure
from fernamt._runtime.redact import HIDDEN, Redactor
from fernamt.settings import LogSettings

SECRET = "Zimt/und+Zucker=9"
WORDS = "Meine Karte ist gesperrt"
ANN = "ann.muster@example.org"
PHONE = "+4930901820"
CANARIES = (SECRET, WORDS, ANN, PHONE, "ann.muster", "901820", "gesperrt")


class Log:
    """What was written, and the redactor that it went through."""

    def __init__(self, stream: io.BytesIO, redactor: Redactor) -> None:
        self.stream = stream
        self.redactor = redactor

    @property
    def text(self) -> str:
        return self.stream.getvalue().decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


Start = Callable[..., Log]


@pytest.fixture
def start() -> Iterator[Start]:
    root = logging.getLogger()
    handlers = list(root.handlers)

    def start(format_: Any = "json", level: Any = "info") -> Log:
        stream = io.BytesIO()
        redactor = configure(LogSettings(format=format_, level=level), stream=stream)
        redactor.known([SECRET])
        # Without pytest's own handlers, which raise what a bad format raises.
        root.handlers = [handler for handler in root.handlers if handler not in handlers]
        return Log(stream, redactor)

    yield start
    root.handlers = handlers
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@frozen(kw_only=True)
class Letter:
    to: Address
    text: str
    note: str = field(repr=False)


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


def failed_with(error: Exception) -> Exception:
    here = WORDS  # a local variable, which no traceback may show
    try:
        raise error
    except Exception as why:  # noqa: BLE001 - whatever was given
        return why if here else error


def chained() -> Exception:
    error = LookupError(f"no customer with {ANN}")
    error.add_note(f"called by {PHONE} with {SECRET}")
    with suppress(LookupError):
        try:
            int(WORDS)
        except ValueError as why:
            raise error from why
    return error


WAYS: dict[str, Callable[[Any], object]] = {
    "a field that is called a secret": lambda log: log.info("x_done", api_key=SECRET[:5], Authorization="Basic x"),
    "a secret in any field": lambda log: log.info("x_done", where=f"at {SECRET}!"),
    "a quoted secret": lambda log: log.info("x_done", url=f"https://x.example/?a={quote(SECRET, safe='')}"),
    "a secret in base64": lambda log: log.info("x_done", it=base64.b64encode(SECRET.encode()).decode()),
    "a secret as a key": lambda log: log.info("x_done", counts={SECRET: 1, ANN: 2}),
    "a secret in the event": lambda log: log.info(f"x_done {SECRET} {ANN}"),  # noqa: G004 - what is tried
    "a secret object": lambda log: log.info("x_done", it=Secret(SECRET), many=[Secret(SECRET)]),
    "a field that holds text": lambda log: log.info("x_done", text=WORDS, subject=WORDS, html=WORDS, body=WORDS),
    "a text in a nested mapping": lambda log: log.info("x_done", it={"a": [{"text": WORDS, "Token": SECRET}]}),
    "a text in a message": lambda log: log.info(
        "x_done", it=OutboundMessage(key="k", entry_key="e", attempt=1, to=Address("email", ANN), text=WORDS)
    ),
    "a text in a value": lambda log: log.info("x_done", it=Letter(to=Address("phone", PHONE), text=WORDS, note=WORDS)),
    "bytes": lambda log: log.info("x_done", it=WORDS.encode()),
    "addresses": lambda log: log.info("x_done", a=ANN, b=f"<{ANN}>", c=f"call {PHONE} or 030/901820-0", d=[ANN]),
    "a bound field": lambda log: log.bind(password=SECRET, peer=ANN).info("x_done"),
    "a context variable": lambda log: (structlog.contextvars.bind_contextvars(peer=ANN), log.info("x_done")),
    "an exception's text": lambda log: log.info("x_done", error=str(KeyError(WORDS)), reason=repr([WORDS, ANN])),
    "an exception as a field": lambda log: log.info("x_done", error=ValueError(f"{ANN} {SECRET} {WORDS!r}")),
    "an exception": lambda log: log.error("x_failed", exc_info=failed_with(ValueError(f"{ANN} {SECRET} {WORDS!r}"))),
    "a chain of exceptions": lambda log: log.error("x_failed", exc_info=chained()),
    "a group of exceptions": lambda log: log.error("x_failed", exc_info=ExceptionGroup(SECRET, [chained()])),
    "a key error": lambda log: log.error("x_failed", exc_info=failed_with(KeyError(WORDS))),
    "a statement's parameters": lambda log: log.error(
        "x_failed", exc_info=RuntimeError(f"constraint failed\n[SQL: INSERT]\n[parameters: ({WORDS})]")
    ),
    "an object that cannot be shown": lambda log: log.info("x_done", it=Odd(), so=[Odd()]),
    "a library": lambda _: logging.getLogger("aiohttp.server").warning("bad %s %s %r", ANN, SECRET, WORDS),
    "a library's exception": lambda _: logging.getLogger("asyncio").error("lost", exc_info=chained()),
    "a library's bad format": lambda _: logging.getLogger("x").error("%d", WORDS),
}


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("way", WAYS)
def test_no_canary_comes_through(way: str, format_: str, start: Start) -> None:
    log = start(format_)
    WAYS[way](structlog.get_logger())

    assert [canary for canary in CANARIES if canary in log.text] == []
    assert log.text.count("\n") >= 1


def test_the_canaries_would_be_seen_without_the_redactor(start: Start) -> None:
    log = start()
    log.redactor.__class__ = Naive
    structlog.get_logger().info("x_done", note=f"{SECRET} {WORDS} {ANN} {PHONE}", text=WORDS)

    assert [canary for canary in CANARIES if canary not in log.text] == []


class Naive(Redactor):
    def __call__(self, logger: object, method: str, event: Any) -> Any:
        return event


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ANN, "a…@example.org"),
        ("from <ann+shop@mail.example.org>, to bob@example.org.", "from <a…@mail.example.org>, to b…@example.org."),
        ("['ann.muster@example.org', \"o'brien@example.org\"]", "['a…@example.org', \"o'b…@example.org\"]"),
        ("user@localhost", "user@localhost"),
        ("+4930901820", "+49…20"),
        ("+49 (30) 90 18-20", "+49…20"),
        ("0049 30 901820", "00…20"),
        ("030 / 901820", "03…20"),
        ("phone:+4930901820", "phone:+49…20"),
        ("whatsapp:4915112345678", "whatsapp:49…78"),
        ("DE89 3704 0044 0532 0130 00", "DE89…"),
        ("https://ann:pass@example.org/x?token=abc&n=1", "https://…@example.org/x?token=…&n=1"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer …"),
        # What must stay readable.
        ("2026-11-22T01:43:00Z", "2026-11-22T01:43:00Z"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("192.168.100.200", "192.168.100.200"),
        ("01JD9Z3K7Q8R5T6V", "01JD9Z3K7Q8R5T6V"),
        ("3f2a9c0d1e4b5a69788796a5b4c3d2e1", "3f2a9c0d1e4b5a69788796a5b4c3d2e1"),
        ("support-mail", "support-mail"),
        ("1.0.0.dev1", "1.0.0.dev1"),
        ("550 5.1.1 user unknown", "550 5.1.1 user unknown"),
        (
            "fernamt.toml:12: port: unknown key. Did you mean 'port'?",
            "fernamt.toml:12: port: unknown key. Did you mean 'port'?",
        ),
        ("1234567890", "1234567890"),
    ],
)
def test_a_persons_handle_is_masked_by_its_look_and_nothing_else(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("invalid literal for int() with base 10: 'Meine Karte'", "invalid literal for int() with base 10: '…(11)'"),
        ("b'Meine\\nKarte' is no number", "'…(12)' is no number"),
        ("'" + "x" * 25 + "'", "'…(25)'"),
        ("can't open file 'a.db', doesn't exist", "can't open file 'a.db', doesn't exist"),
        ("unknown kind 'email.imap'", "unknown kind 'email.imap'"),
    ],
)
def test_what_a_library_quotes_may_be_somebodys_words(said: str, shown: str) -> None:
    assert Redactor().foreign(said) == shown


def test_secrets_are_known_in_every_form_that_they_may_take() -> None:
    redactor = Redactor()
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----"
    redactor.known([SECRET, "Zimt/und+Zucker=99", "abc", pem])
    redactor.known(["späte Tinte"])

    assert redactor.text(f"<{SECRET}>") == f"<{HIDDEN}>"
    assert redactor.text("<Zimt/und+Zucker=99>") == f"<{HIDDEN}>"
    assert redactor.text("abc") == "abc"
    assert redactor.text("x MIIEvQIBADANBgkqhkiG9w0 y") == f"x {HIDDEN} y"
    assert redactor.text(quote("späte Tinte")) == HIDDEN
    assert redactor.text("späte Tinte") == HIDDEN


def test_numbers_truths_and_times_stay_what_they_are(start: Start) -> None:
    log = start()
    at = datetime(2026, 11, 22, tzinfo=UTC)
    structlog.get_logger().info(
        "x_done", n=3, share=0.5, ok=True, nothing=None, at=at, large=2**70, path=Path("a/b"), ids=("a", "b"), text=None
    )
    [event] = log.events

    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "x_done",
        "level": "info",
        "n": 3,
        "share": 0.5,
        "ok": True,
        "nothing": None,
        "at": "2026-11-22T00:00:00+00:00",
        "large": str(2**70),
        "path": "a/b",
        "ids": ["a", "b"],
        "text": None,
    }


def test_an_exception_is_shown_by_type_message_frames_and_what_led_to_it(start: Start) -> None:
    log = start()
    structlog.get_logger().error("x_failed", exc_info=chained())
    try:
        raise Unparsable("no From header")
    except Unparsable:
        structlog.get_logger().exception("x_failed")
    first, second = (event["exception"] for event in log.events)

    assert (first["type"], first["said"]) == ("LookupError", "no customer with a…@example.org")
    assert first["after"] == ["ValueError: invalid literal for int() with base 10: '…(24)'"]
    assert first["notes"] == [f"called by +49…20 with {HIDDEN}"]
    assert first["frames"][0].split(":")[0].endswith("tests/test_log.py")
    assert first["frames"][0].endswith(" chained")
    assert (second["type"], second["said"]) == ("Unparsable", "no From header")


def test_events_below_the_level_are_not_written(start: Start) -> None:
    log = start(level="warning")
    structlog.get_logger().info("x_done")
    logging.getLogger("aiohttp.access").info("GET /")
    structlog.get_logger().warning("x_strange")

    assert [event["event"] for event in log.events] == ["x_strange"]


def test_a_library_is_named_and_what_it_said_is_kept(start: Start) -> None:
    log = start()
    logging.getLogger("alembic.runtime").warning("table %s is %d rows", "due", 3)
    [event] = log.events

    assert (event["event"], event["level"], event["library"]) == ("library_logged", "warning", "alembic.runtime")
    assert event["said"] == "table due is 3 rows"


def test_setting_up_twice_writes_a_librarys_words_once(start: Start) -> None:
    start()
    log = start()
    logging.getLogger("x").warning("once")

    assert len(log.events) == 1


def test_on_a_console_an_event_is_one_line_that_cannot_steer_the_terminal(start: Start) -> None:
    log = start("console")
    structlog.get_logger().warning("mail_refused", channel="support-mail", reason="\x1b[2Jgone\nnext", n=2)
    structlog.get_logger().error("x_failed", exc_info=Unparsable("no date"))
    first, second, *below = log.text.splitlines()

    assert first[8:].split() == [
        "warning",
        "mail_refused",
        "channel=support-mail",
        "reason='\\x1b[2Jgone\\nnext'",
        "n=2",
    ]
    assert second.split()[1:] == ["error", "x_failed"]
    assert [line.strip() for line in below] == ["type: Unparsable", "said: no date"]


def test_off_a_terminal_the_automatic_format_is_json(start: Start) -> None:
    log = start("auto")
    structlog.get_logger().info("x_done", n=1)

    assert log.events[0]["n"] == 1


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "a." * 50_000, "+" + "1 " * 50_000, "'" * 20_000, "0-" * 50_000, "AB12 " * 20_000]
)
def test_no_text_makes_the_redactor_slow_or_its_answer_long(text: str) -> None:
    redactor = Redactor()
    took_s = timeit.timeit(lambda: redactor.foreign(text), number=1)

    assert len(redactor.foreign(text)) < 4_100
    assert took_s < 0.5


def test_nothing_is_nested_or_listed_without_end(start: Start) -> None:
    log = start()
    deep: list[Any] = []
    deep.append(deep)
    structlog.get_logger().info("x_done", deep=deep, wide=list(range(1000)), lone="\ud800")
    [event] = log.events

    assert len(event["wide"]) == 64
    assert event["deep"] == [[[[[["(list)"]]]]]]
    assert event["lone"] == "\\ud800"
