"""A notice's template: a text for each language with ``{placeholders}``, and what may be put in. Pure; no code in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from html import escape
from types import MappingProxyType
from typing import Final, Literal

from attrs import field, frozen

from fernamt.settings.mistake import Finding, did_you_mean

TEXT_MAX: Final = 20_000
"""Characters of one text of a template; of its HTML ten times that."""
RESERVED: Final = frozenset({"to", "key", "language", "name"})
"""Columns of a row that are not only values. A template may still use ``name``."""
_PIECES: Final = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}][^{}]{0,20}")
_PUT: Final = re.compile(r"( ?)(\{\{|\}\}|\{([a-z][a-z0-9_]*)\})")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_LINK: Final = re.compile(r"https?://[^\s<>\"'\\]+")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@frozen
class Problem:
    """What is wrong with one value of one row: where, what, and what to do about it. It does not repeat the value."""

    field: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.cause}. {self.remedy}"


@frozen(kw_only=True)
class Value:
    """What may be put in for one placeholder."""

    type: Literal["text", "number", "date", "link"] = "text"
    """`number` is written as 1234.50 and `date` as 2026-12-03; both are shown as the language writes them. `link` begins with http."""
    example: str
    """Shown in previews; it must be a value that could be."""
    max: int = 100
    """So many characters at most."""
    default: str | None = None
    """Put in where a row has none; without it every row must have one."""

    def problem(self, name: str, text: str) -> Problem | None:
        """Return what is wrong with a value, if anything."""
        if len(text) > self.max:
            return Problem(name, f"has {len(text)} characters, {self.max} are the most", "Shorten it, or raise its max")
        if _UNPRINTABLE.search(text):
            return Problem(name, "holds a line break or a character that cannot be shown", "Write it on one line")
        if self.type == "number" and not _NUMBER.fullmatch(text):
            return Problem(name, "is no number", "Write it like 1234.50, without a unit")
        if self.type == "date" and _day(text) is None:
            return Problem(name, "is no day", "Write it like 2026-12-03")
        if self.type == "link" and not _LINK.fullmatch(text):
            return Problem(name, "is no link", "Begin it with https://")
        return None

    def shown(self, text: str, language: str) -> str:
        """Return a value without a problem as *language* writes it."""
        german = language.partition("-")[0] == "de"
        if self.type == "number" and text:
            grouped = f"{Decimal(text):,f}"
            return grouped.translate({ord(","): ".", ord("."): ","}) if german else grouped
        if self.type == "date" and (day := _day(text)) is not None:
            if german:
                return f"{day.day}.{day.month}.{day.year}"
            if language.partition("-")[0] == "en":
                return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return text


@frozen(kw_only=True)
class Words:
    """A template in one language."""

    text: str
    """The message. `{order}` is replaced, and one that is empty takes the blank before it along; a brace itself is written twice."""
    subject: str = ""
    """For mail."""
    html: str = ""
    """For mail, beside the text; values are escaped in it."""
    approved: str = ""
    """The name under which a messenger's provider approved these words, for customers who have not written lately."""
    approved_values: tuple[str, ...] = ()
    """The values of that one, in its order."""


@frozen(kw_only=True)
class Filled:
    """What one customer gets."""

    text: str = field(repr=False)
    subject: str = field(repr=False)
    html: str = field(repr=False)
    language: str
    template: tuple[str, ...] = field(default=(), repr=False)
    """Of a messenger: the approved name, the language, and the values."""


@frozen(kw_only=True)
class NoticeTemplate:
    """One ``[notices.<name>]``."""

    name: str
    """That of its section."""
    about: str = ""
    """For people."""
    channel: str = ""
    """The id of the channel that it goes by, if nobody says otherwise."""
    purpose: Literal["notice", "outreach"] = "notice"
    """`notice` is about something that the customer ordered; `outreach` is advertising, and goes to those who agreed."""
    language: str = ""
    """Of those of whom none is known; empty: the first that it has."""
    order: str = "order"
    """The value that says which order it is about; it is shown beside the notice. A template need not have one."""
    values: Mapping[str, Value] = field(factory=dict)
    """Everything that may be put in, by its name."""
    texts: Mapping[str, Words]
    """The words, by the tag of their language."""

    # ---- what is wrong with the template
    def findings(self) -> Iterator[Finding]:
        """Yield what keeps it from ever working."""
        for name, value in self.values.items():
            for finding in self._findings_of(name, value):
                yield Finding(("values", name, *finding.path), finding.problem, finding.fix)
        if not self.texts:
            yield Finding(("texts",), "there is no text", f"Write [notices.{self.name}.texts.en] and text = '...'")
        elif self.language and self.language not in self.texts:
            yield Finding(("language",), "there is no text in it", did_you_mean(self.language, self.texts))
        for language, words in self.texts.items():
            for finding in self._findings_said(words):
                yield Finding(("texts", language, *finding.path), finding.problem, finding.fix)

    @staticmethod
    def _findings_of(name: str, value: Value) -> Iterator[Finding]:
        if not _NAME.fullmatch(name) or name in RESERVED - {"name"}:
            fix = "Write small letters, digits and underscores, and none of to, key, language"
            yield Finding((), "this cannot be the name of a value", fix)
        for key, text in (("example", value.example), ("default", value.default)):
            if text and (problem := value.problem(key, text)):
                yield Finding((key,), problem.cause, problem.remedy)
        if not value.example:
            yield Finding(("example",), "is empty", "Write a value that could be")

    def _findings_said(self, words: Words) -> Iterator[Finding]:
        for key, text in (("text", words.text), ("subject", words.subject), ("html", words.html)):
            for problem, fix in self._findings_in(text, TEXT_MAX * (10 if key == "html" else 1)):
                yield Finding((key,), problem, fix)
        if not words.text.strip():
            yield Finding(("text",), "is empty", "HTML alone is not read everywhere")
        if "\n" in words.subject:
            yield Finding(("subject",), "has more than one line", "Write one")
        for name in sorted({*words.approved_values} - {*self.values}):
            yield Finding(("approved_values",), f"there is no value {name!r}", self._known(name))

    def _findings_in(self, text: str, longest: int) -> Iterator[tuple[str, str]]:
        if "\0" in text:
            yield "holds a character that cannot be stored", "Take out the NUL"
        if len(text) > longest:
            yield f"has {len(text)} characters, {longest} are the most", "Shorten it"
        for found in _PIECES.finditer(text):
            name = found[1]
            if name is None and found[0] not in {"{{", "}}"}:
                yield f"a brace stands alone in {found[0]!r}", "Write it twice, or a value like {order}"
            elif name is not None and name not in self.values:
                yield f"the value {name!r} is not declared", self._known(name)

    def _known(self, name: str) -> str:
        near = did_you_mean(name, self.values)
        return near if near.startswith("Did") else f"Add [notices.{self.name}.values.{name}] with an example"

    # ---- what is wrong with a row
    def problems(self, values: Mapping[str, str]) -> Iterator[Problem]:
        """Yield what is wrong with the values of one row."""
        for name, value in self.values.items():
            text = values.get(name, "")
            if not text and value.default is None:
                yield Problem(name, "is missing", f"Give it, for instance {value.example!r}")
            elif text and (problem := value.problem(name, text)):
                yield problem
        for name in values:
            if name not in self.values and name != "name":
                yield Problem(name, f"{self.name} has no such value", did_you_mean(name, self.values) or "Remove it")

    # ---- filling it
    def filled(self, values: Mapping[str, str], language: str = "") -> Filled:
        """Return the message for values without a problem, in *language* if there is such a text."""
        chosen = self.language_for(language)
        words = self.texts[chosen]
        shown = {
            name: value.shown(values.get(name) or value.default or "", chosen) for name, value in self.values.items()
        }
        return Filled(
            text=_put(words.text.strip("\n"), shown),
            subject=_put(words.subject.strip(), shown),
            html=_put(words.html, {name: escape(one) for name, one in shown.items()}) if words.html else "",
            language=chosen,
            template=(words.approved, chosen, *(shown[one] for one in words.approved_values)) if words.approved else (),
        )

    def language_for(self, wanted: str) -> str:
        """Return the language of the text that somebody gets: the one that is wanted, its family, or ours."""
        known = {tag.lower(): tag for tag in self.texts}
        for one in (wanted.lower(), wanted.lower().partition("-")[0], self.language.lower()):
            if one in known:
                return known[one]
        return next(iter(self.texts))

    @property
    def examples(self) -> Mapping[str, str]:
        """A row of examples."""
        return MappingProxyType({name: value.example for name, value in self.values.items()})


def _put(text: str, shown: Mapping[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        blank, piece, name = found.groups()
        if name is None:
            return f"{blank}{piece[0]}"
        return f"{blank}{shown[name]}" if shown[name] else ""

    return _PUT.sub(put, text)


def _day(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
