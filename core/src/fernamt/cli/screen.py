"""Where a command writes: data to stdout, everything else to stderr; colours and the width's limit only on a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TextIO

import attrs

from fernamt.cli.words import harmless, json_safe
from fernamt.model import Address, Attachment, Blob

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_NARROW: Final = 100
_UNLIMITED: Final = 100_000
"""The width of what is no terminal: whoever reads it cuts it."""


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person looks at *stream*."""
    return stream.isatty()


def is_narrow() -> bool:
    """Return whether stdout is a terminal with less than 100 columns."""
    return is_terminal(sys.stdout) and console(sys.stdout).width < _NARROW


def console(stream: TextIO) -> Console:
    """Return rich's view of a stream. What it is given to show must be harmless: it is no mark-up."""
    from rich.console import Console

    width = None if is_terminal(stream) else _UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def show(*renderables: RenderableType) -> None:
    """Write data to stdout."""
    out = console(sys.stdout)
    with out.capture() as captured:
        for renderable in renderables:
            out.print(renderable, soft_wrap=False)
    text = captured.get()
    if not is_terminal(sys.stdout):
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a remark to stderr, in sentences."""
    sys.stdout.flush()
    text = harmless(text)
    if is_terminal(sys.stderr):
        columns = shutil.get_terminal_size().columns
        text = "\n".join(textwrap.fill(line, columns, break_on_hyphens=False) for line in text.split("\n"))
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show_json(value: Any) -> None:
    """Write one JSON document to stdout: UTF-8, indented, with no character in it that steers a terminal."""
    import orjson

    document = orjson.dumps(plain(value), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.write(json_safe(document.decode()))
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Return *value* as JSON knows it: classes as objects, addresses and amounts as text, times in ISO 8601 and UTC."""
    match value:
        case Address() | PurePath():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat()
        case Attachment(name=name, media_type=media_type, content=content):
            size = content.size if isinstance(content, Blob) else None
            return {"name": name, "media_type": media_type, "size": size}
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case str() | int() | float() | None:
            return value
        case Iterable():
            return [plain(one) for one in value]
        case _:
            return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}


def table(*headings: str, wide: str = "") -> Table:
    """Return a table without lines. On a terminal the column *wide* gets the width that the others leave, and is cut to it."""
    from rich.table import Table

    on_terminal = is_terminal(sys.stdout)
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=on_terminal and bool(wide))
    for heading in headings:
        ratio = 1 if heading == wide and on_terminal else None
        made.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=ratio)
    return made


def aligned(left: Text, right: Text) -> Table:
    """Return one line: on a terminal *right* stands at its edge, and *left* is cut to what remains."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2, 0, 0), expand=is_terminal(sys.stdout))
    made.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if is_terminal(sys.stdout) else None)
    made.add_column(no_wrap=True, justify="right")
    made.add_row(left, right)
    return made
