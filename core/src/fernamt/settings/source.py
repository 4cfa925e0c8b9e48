"""A TOML file with its line numbers, which ``tomllib`` does not keep."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import frozen

from fernamt.settings.mistake import ConfigErrors, Finding, Mistake

MAX_FILE_BYTES: Final = 1_048_576
DEPTH_MAX: Final = 32
"""What is nested deeper has the line of what it stands in."""
Lines: TypeAlias = Mapping[tuple[str, ...], int]
"""The line of every section header and key, by its path from the top."""

# Possessive throughout, so that no text makes them slow.
_KEYS: Final = r"""((?:"(?:\\.|[^"\\\n])*+"|'[^'\n]*+'|[^"'\[\]=\n#]++)++)"""
_STATEMENT: Final = re.compile(rf"\s*+(?:#[^\n]*+\s*+)*+(?:(\[\[?){_KEYS}\]|{_KEYS}=)")
_VALUE: Final = re.compile(
    r"""\"\"\"(?:\\.|[^\\])*?"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[\[{]|[]}]|\n|[^"'\#\[\]{}\n]+""",
    re.DOTALL,
)


@frozen
class Source:
    """What a file says, and where."""

    file: Path
    data: Mapping[str, Any]
    lines: Lines

    def mistake(self, finding: Finding) -> Mistake:
        """Return the finding as a mistake with its line."""
        return Mistake(
            self.file, line_of(self.lines, finding.path), ".".join(finding.path), finding.problem, finding.fix
        )


def line_of(lines: Lines, path: Iterable[str]) -> int:
    """Return the line of the key at *path*; if it has none of its own, of what it stands in."""
    path = tuple(path)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0)


def read_source(file: Path) -> Source:
    """Read the file.

    Raises:
        ConfigErrors: It is not there, cannot be read, is no UTF-8 text of at most 1 MB, or no TOML.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise _refused(file, "it is larger than 1 MB", "Name the configuration file with -c")
        text = content.decode().replace("\r\n", "\n")
    except FileNotFoundError:
        fix = "Make it (the page of each plugin begins with a section that works), or name another one with -c"
        raise _refused(file, "there is no such file", fix) from None
    except PermissionError as why:
        fix = "Let this user read it, or run this as the daemon's"
        raise _refused(file, f"it cannot be read: {why.strerror}", fix) from None
    except OSError as why:
        raise _refused(file, f"it cannot be read: {why.strerror}", "Name another one with -c") from None
    except UnicodeDecodeError:
        raise _refused(file, "it is not UTF-8 text", "Save it as UTF-8") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        said, _, place = str(why).partition(" (at ")
        number = re.search(r"line (\d+)", place)
        # Without a number the text ended too early.
        line = int(number[1]) if number else text.rstrip().count("\n") + 1
        problem = f"this is no TOML: {said[:1].lower()}{said[1:]}"
        raise _refused(file, problem, "Look at the quotes and brackets there", line) from None
    except (RecursionError, ValueError):
        problem = "this cannot be read: it is nested too deeply, or a number in it is too long"
        raise _refused(file, problem, "Write it more simply") from None
    return Source(file, data, scan(text))


def _refused(file: Path, problem: str, fix: str, line: int = 0) -> ConfigErrors:
    return ConfigErrors([Mistake(file, line, "", problem, fix)])


def scan(text: str) -> Lines:
    """Return the lines of a text that ``tomllib`` takes. Keys inside an inline table have no line of their own."""
    lines: dict[tuple[str, ...], int] = {}
    tables: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    position, line, counted = 0, 1, 0
    while statement := _STATEMENT.match(text, position):
        brackets, header, key = statement.groups()
        line += text.count("\n", counted, statement.end())
        counted = statement.end()
        if header is not None:
            table = ()
            for name in _path(header):
                if table in tables:
                    table = (*table, str(tables[table]))
                table = (*table, name)
                lines.setdefault(table, line)
            if brackets == "[[":
                tables[table] = tables.get(table, -1) + 1
                lines[table := (*table, str(tables[table]))] = line
            position = text.find("\n", statement.end()) + 1 or len(text)
        else:
            for depth in range(1, len(path := (*table, *_path(key))) + 1):
                lines.setdefault(path[:depth], line)
            position = _end_of_value(text, statement.end())
    return lines


def _path(keys: str) -> tuple[str, ...]:
    found: Any = tomllib.loads(f"{keys.strip()} = 0")
    path: list[str] = []
    while isinstance(found, dict) and len(path) < DEPTH_MAX:
        [(key, found)] = found.items()
        path.append(key)
    return tuple(path)


def _end_of_value(text: str, position: int) -> int:
    depth = 0
    while token := _VALUE.match(text, position):
        position = token.end()
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            break
    return position
