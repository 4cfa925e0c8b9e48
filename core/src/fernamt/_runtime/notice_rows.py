"""What a caller says of one notice: to whom, in which language, with which values. Checked whole, before anything is queued."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TextIO

import orjson
from attrs import evolve, field, frozen

from fernamt._store.notices import Notice
from fernamt.errors import FernamtError
from fernamt.model import Address, Json
from fernamt.settings import NoticeTemplate, Problem, did_you_mean
from fernamt.settings.wording import RESERVED

ROW_MAX: Final = 65_536
"""Characters of one row of a file."""
_KEY_MAX: Final = 200
_NAME_MAX: Final = 200
_VALUES_MAX: Final = 200
_UNKNOWN_MAX: Final = 10
_ADDRESS_MAX: Final = 300
_KNOWN: Final = ("to", "key", "language", "name", "values")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS: Final = str.maketrans("", "", " -/().\xa0")
_INSIDE: Final = re.compile(r"\A(\+[0-9]{1,3})\s*\(0\)")
"""The zero that is dialled within the country alone; Italy dials it always, before numbers that take no SMS."""
_MAIL: Final = re.compile(r"[^\s@<>,;:\"]{1,64}@(?:[^\s@<>,;:\".]{1,63}\.){1,8}[^\s@<>,;:\".]{2,63}")
_ANY: Final = re.compile(r"[a-z][a-z0-9_+-]{0,30}:[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class BadFile(FernamtError):
    """A file of rows cannot be read; the text says where, why, and what to do."""


@frozen(kw_only=True)
class Asked:
    """One row without a problem."""

    to: Address
    values: Mapping[str, str] = field(repr=False)
    language: str = ""
    key: str = ""
    name: str = field(default="", repr=False)

    @property
    def digest(self) -> bytes:
        """What it says, in 16 bytes."""
        said = [str(self.to), self.language, self.name, sorted(self.values.items())]
        return blake2b(orjson.dumps(said), digest_size=16).digest()


class Digest:
    """What a whole run says, row by row."""

    def __init__(self, template: str, channel: str) -> None:
        self._hash = blake2b(orjson.dumps([template, channel]), digest_size=16)
        self.total = 0

    def add(self, row: Asked) -> None:
        """Take in the next row."""
        self._hash.update(row.digest + blake2b(row.key.encode(), digest_size=8).digest())
        self.total += 1

    def whole(self) -> bytes:
        """Return it."""
        return self._hash.digest()


def row_of(raw: object, template: NoticeTemplate) -> Asked | tuple[Problem, ...]:
    """Return a row as it came in from JSON, checked against the template, or all that is wrong with it."""
    if not isinstance(raw, Mapping):
        return (Problem("", "is no object", 'Write {"to": "+4917...", "values": {...}}'),)
    problems = [
        Problem(str(key)[:40], "unknown key", did_you_mean(str(key), _KNOWN) or "Values stand below values")
        for key in [key for key in raw if key not in _KNOWN][:_UNKNOWN_MAX]
    ]
    texts = {key: _text(raw.get(key, ""), key, problems) for key in ("to", "key", "language", "name")}
    values = _values(raw.get("values", {}), problems)
    problems += [evolve(one, field=f"values.{one.field}") for one in template.problems(values)]
    to = _address(texts["to"], problems)
    if len(texts["key"]) > _KEY_MAX:
        problems.append(Problem("key", f"has more than {_KEY_MAX} characters", "Shorten it"))
    if texts["language"] and not _LANGUAGE.fullmatch(texts["language"]):
        problems.append(Problem("language", "is no tag of a language", "Write it like de or pt-BR"))
    name = texts["name"] or values.get("name", "")
    if len(name) > _NAME_MAX or _UNPRINTABLE.search(name):
        problems.append(Problem("name", f"is no name of at most {_NAME_MAX} characters", "Shorten it, on one line"))
    if problems or to is None:
        return tuple(problems)
    return Asked(to=to, values=values, language=texts["language"], key=texts["key"], name=name)


def _text(raw: object, key: str, problems: list[Problem]) -> str:
    if isinstance(raw, str) and not _UNPRINTABLE.search(raw):
        return raw.strip()
    why = "holds a character that cannot be shown" if isinstance(raw, str) else "is no text"
    problems.append(Problem(key, why, "Write it as text, on one line"))
    return ""


def _values(raw: object, problems: list[Problem]) -> Mapping[str, str]:
    if not isinstance(raw, Mapping):
        problems.append(Problem("values", "is no object", 'Write {"order": "4711"}'))
        return {}
    if len(raw) > _VALUES_MAX:
        problems.append(Problem("values", f"has {len(raw)} elements", "Send those of the template only"))
        return {}
    values = {}
    for name, value in raw.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            problems.append(Problem(f"values.{str(name)[:40]}", "is neither text nor a number", "Put it into quotes"))
        else:
            values[str(name)] = str(value).strip()
    return values


def _address(text: str, problems: list[Problem]) -> Address | None:
    try:
        return address_of(text)
    except ValueError as why:
        problems.append(Problem("to", str(why), "Write it like +4917012345678 or ann@example.org"))
        return None


def address_of(text: str) -> Address:
    """Return whom a text means: a telephone number with its country, a mail address, or scheme:value.

    Raises:
        ValueError: It means nobody; the sentence does not repeat it.
    """
    scheme, colon, value = text.partition(":")
    if not text:
        raise ValueError("is missing")
    if len(text) > _ADDRESS_MAX:
        raise ValueError(f"has more than {_ADDRESS_MAX} characters")
    if scheme == "phone" or (not colon and text.startswith("+")):
        number = _INSIDE.sub(r"\1", value if colon else text).translate(_SEPARATORS)
        if not _PHONE.fullmatch(number):
            raise ValueError("is no telephone number with its country")
        return Address("phone", number)
    if scheme == "email" or (not colon and "@" in text):
        mail = value if colon else text
        if not _MAIL.fullmatch(mail):
            raise ValueError("is no mail address")
        local, _, domain = mail.rpartition("@")
        return Address("email", f"{local}@{domain.lower()}")
    if not _ANY.fullmatch(text):
        raise ValueError("is no address")
    return Address(scheme, value)


def notice_of(row: Asked, template: NoticeTemplate) -> Notice:
    """Return what is written for a row."""
    filled = template.filled(row.values, row.language)
    data: dict[str, Json] = {"language": filled.language}
    if order := row.values.get(template.order, ""):
        data["order"] = order
    if filled.subject:
        data["subject"] = filled.subject
    if filled.template:
        data["template"] = list(filled.template)
    if row.key:
        data["key"] = row.key
    return Notice(
        to=row.to,
        text=filled.text,
        html=filled.html,
        language=filled.language,
        name=row.name,
        data=data,
        key=row.key,
        digest=row.digest,
    )


# ---- files
def rows_in(path: Path, *, only: frozenset[str] | None = None) -> Iterator[object]:
    """Yield the rows of a file as they would come from JSON, one after the other, however many there are.

    Args:
        path: Ends in ``.csv`` (comma, semicolon or tab, with headings) or ``.jsonl`` (one object a line).
        only: Values that are read; others are passed over. ``None``: all are.

    Raises:
        BadFile: It cannot be read.
        OSError: It is not there.
    """
    read = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}.get(path.suffix.lower())
    if read is None:
        raise BadFile(f"{path.name} is neither .csv nor .jsonl. Save it as one of these, in UTF-8.")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        n = 0
        try:
            for n, raw in enumerate(read(stream, path.name), 1):  # noqa: B007 - the error says how far it came
                yield raw if only is None else _narrowed(raw, only)
        except UnicodeDecodeError:
            raise BadFile(f"{path.name} is not UTF-8 after row {n}. Save it as UTF-8.") from None
        except csv.Error as why:
            raise BadFile(f"{path.name} is no CSV after row {n}: {why}. Is a quotation mark left open?") from None


def _csv_rows(stream: TextIO, name: str) -> Iterator[object]:
    head = stream.readline(ROW_MAX)
    delimiter = max(",;\t", key=head.count)
    headings = [one.strip() for one in next(csv.reader([head], delimiter=delimiter, strict=True), [])]
    if "to" not in headings or len(set(headings)) < len(headings):
        raise BadFile(f"{name} needs headings in its first line, each once: to, and the values of the template.")
    for cells in csv.reader(_bounded(stream, name), delimiter=delimiter, strict=True):
        if not any(map(str.strip, cells)):
            continue  # a spreadsheet writes its separators to the last row that was ever touched
        row = dict(zip(headings, cells, strict=False))
        values = {key: text for key, text in row.items() if key not in RESERVED and text}
        raw: dict[str, object] = {key: text for key, text in row.items() if key in RESERVED} | {"values": values}
        if row.get("name"):
            values["name"] = row["name"]
        if len(cells) > len(headings):
            raw[f"column {len(headings) + 1}"] = ""
        yield raw


def _bounded(stream: TextIO, name: str) -> Iterator[str]:
    while line := stream.readline(ROW_MAX + 1):
        if len(line) > ROW_MAX:
            raise BadFile(f"{name} has a line of more than {ROW_MAX} characters. Is it a table of rows?")
        yield line


def _json_rows(stream: TextIO, name: str) -> Iterator[object]:
    for n, line in enumerate(_bounded(stream, name), 1):
        if not line.strip():
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as why:
            raise BadFile(f"{name}, line {n} is no JSON: {why.msg}. Write one object a line.") from None


def _narrowed(raw: Any, only: frozenset[str]) -> object:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("values"), Mapping):
        return raw
    values = {key: value for key, value in raw["values"].items() if key in only}
    return {**{key: value for key, value in raw.items() if key in _KNOWN}, "values": values}
