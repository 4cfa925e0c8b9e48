"""The log: structured events on standard error, for people on a terminal and as JSON elsewhere, always redacted."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import orjson
import structlog

from fernamt._runtime.redact import Redactor
from fernamt.settings import LogSettings

_COLOURS: Final = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}


def configure(settings: LogSettings, *, redactor: Redactor | None = None, stream: BinaryIO | None = None) -> Redactor:
    """Set up structlog, and route the standard library's log into it from ``WARNING`` on.

    Args:
        settings: Format and level.
        redactor: What cleans the events; a new one if this is ``None``.
        stream: Where the lines go, whole and at once; standard error if this is ``None``.

    Returns:
        The redactor: tell it of secrets as they become known.
    """
    redactor = redactor or Redactor()
    terminal = stream is None and sys.stderr.isatty()
    on_console = settings.format == "console" or (settings.format == "auto" and terminal)
    colours = _COLOURS if terminal and not os.environ.get("NO_COLOR") else {}
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redactor,
            _Console(colours) if on_console else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.BytesLoggerFactory(stream or sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Bridge)]
    root.addHandler(_Bridge(logging.WARNING))
    return redactor


class _Bridge(logging.Handler):
    """Brings what libraries log by the standard library into our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's format string that does not fit its arguments
            said = "(unreadable)"
        log.log(record.levelno, "library_logged", library=record.name, said=said, exc_info=record.exc_info)


def _as_json(_logger: object, _method: str, event: Mapping[str, Any]) -> bytes:
    return orjson.dumps(event)


class _Console:
    """Renders an event as one line, and its exception below."""

    def __init__(self, colours: Mapping[str, str]) -> None:
        self._colours = colours

    def __call__(self, _logger: object, _method: str, event: Mapping[str, Any]) -> bytes:
        rest = dict(event)
        time, level, name = rest.pop("timestamp"), rest.pop("level"), rest.pop("event")
        why = rest.pop("exception", None)
        fields = " ".join(f"{key}={_shown(value)}" for key, value in rest.items())
        start = self._colours.get(level, "")
        line = f"{time[11:19]} {start}{level:<8}{_shown(name):<28}{start and chr(27) + '[0m'} {fields}".rstrip()
        for key, value in (why or {}).items():
            for item in value if isinstance(value, list) else [value]:
                line += f"\n         {key}: {_shown(item)}"
        return line.encode()


def _shown(value: object) -> str:
    # What a stranger sent must not steer the terminal.
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if text.isprintable() else repr(text)
