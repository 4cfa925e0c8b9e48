"""Callers of a menu as data: what they do, what services answer, and where it shall end. Time is theirs, nothing waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
from attrs import field, frozen

from fernamt.effects import AddEntry, Reply
from fernamt.menu import MenuState
from fernamt.menus import BuiltMenu, OrderQuestion, OrderStatus, Place, PlaceQuestion
from fernamt.model import Address, Attachment
from fernamt.services import CustomerCard, FaqAnswer, FaqQuestion, Hours, HoursQuestion, Question
from fernamt.session import (
    Action,
    Gather,
    HangUp,
    Happened,
    Hold,
    HungUp,
    LookedUp,
    LookUp,
    LookUpFailed,
    Pressed,
    Prompt,
    Record,
    Recorded,
    Said,
    Say,
    Silence,
    Started,
    Transfer,
    Transferred,
)
from fernamt.settings import ConfigErrors
from fernamt.settings.mistake import Finding
from fernamt.settings.source import read_source
from fernamt.settings.structure import structure

EVENTS_MAX: Final = 1_000
PAUSE_S: Final = 1.0
_MONDAY_MORNING: Final = "2026-11-30T10:00:00+01:00"
KINDS: Final[Mapping[type[Question[Any]], str]] = {
    HoursQuestion: "hours",
    FaqQuestion: "faq",
    OrderQuestion: "order",
    CustomerCard: "customer",
    PlaceQuestion: "place",
}


class CallFailed(AssertionError):
    """A caller did not get where the script says, or does what cannot be done there."""


@frozen(kw_only=True)
class Call:
    """One caller."""

    name: str
    """Of the script."""
    language: str = ""
    """That the exchange begins in."""
    at: str = _MONDAY_MORNING
    """When, with its offset."""
    caller: str = "phone:+4930123456"
    """Who calls; empty: nobody knows."""
    written: bool = False
    """They read and type."""
    does: tuple[str, ...]
    """``press 1``, ``say two words``, ``mumble``, ``silence``, ``wait 20``, ``record``, ``answered``, ``busy``, ``no-answer``,
    ``failed``, ``hang up``."""
    answers: Mapping[str, object] = field(factory=dict)
    """What services say: ``hours``, ``faq``, ``order``, ``customer``, ``place``, or the question's class: an answer, a list of
    them in turn, or ``"fails"``. One that says nothing fails. How each is written stands below."""
    ends: str = ""
    """``person``, ``message``, ``call-back``, ``goodbye``, ``gone``; empty: it goes on."""


@frozen(kw_only=True)
class Played:
    """What became of a caller."""

    call: Call
    lines: tuple[str, ...]
    """The transcript."""
    state: MenuState
    problem: str = ""
    """Why it is not as the script says."""

    @property
    def transcript(self) -> str:
        """As a text."""
        return "".join(f"{line}\n" for line in self.lines)


def read_calls(path: Path) -> tuple[Call, ...]:
    """Read callers from TOML: ``[calls.<name>]``. Raises ``ConfigErrors``, with every mistake."""
    source = read_source(path)
    calls: list[Call] = []
    found: list[Finding] = []
    tables = source.data.get("calls", {})
    fix = "Callers stand in [calls.<name>]"
    found += [Finding((key,), "unknown key", fix) for key in source.data if key != "calls"]
    for name, table in tables.items() if isinstance(tables, Mapping) else ():
        place = ("calls", name)
        call, mistakes = structure({"name": name, **table}, Call, folder=path.parent, environ={})
        found += [Finding((*place, *one.path), one.problem, one.fix) for one in mistakes]
        if call is not None:
            calls.append(call)
    if not calls and not found:
        found.append(Finding(("calls",), "there are none", "Write [calls.<name>] with does = [...]"))
    if found:
        raise ConfigErrors(map(source.mistake, found))
    return tuple(calls)


class Exchange:
    """A menu with somebody who walks through it."""

    def __init__(self, menu: BuiltMenu, call: Call) -> None:
        self.menu = menu
        self.call = call
        self.at = datetime.fromisoformat(call.at).astimezone(UTC)
        self.state: MenuState | None = None
        self.actions: tuple[Action, ...] = ()
        self.lines: list[str] = []
        self._asked: dict[str, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen."""
        return self.state is not None and "end" in self.state

    def begin(self) -> None:
        """Call."""
        scheme, _, value = self.call.caller.partition(":")
        caller = Address(scheme, value) if value else None
        self.happen(Started("+49800100", caller, "line", "call", written=self.call.written))

    def happen(self, event: Happened) -> None:
        """Let something happen, and what services answer to it. The state goes through JSON, as in the store."""
        state = None if self.state is None else orjson.loads(orjson.dumps(self.state))
        step = self.menu.step(state, event, at=self.at, language=self.call.language)
        self.state, self.actions = step.state, step.actions
        self.lines += map("  ".__add__, shown(step.actions))
        asked = next((one for one in step.actions if isinstance(one, LookUp)), None)
        if asked is not None and not self.is_over:
            answer = self.answer(asked)
            self.lines.append(f"  ? {type(asked.question).__name__}: {_told(answer)}")
            self.happen(answer)

    def answer(self, asked: LookUp) -> Happened:
        """Return what a service says."""
        kind = type(asked.question)
        name = KINDS.get(kind, kind.__name__)
        given = self.call.answers.get(name, self.call.answers.get(kind.__name__, "fails"))
        if isinstance(given, list) and not (name == "faq" and _is_one(given)):
            at = self._asked.get(name, 0)
            self._asked[name] = at + 1
            given = given[min(at, len(given) - 1)] if given else "fails"
        if given == "fails":
            return LookUpFailed("nobody answers that")
        return LookedUp(_answer(name, given))

    def do(self, word: str) -> None:
        """Do what a line of a script says. Raises :class:`CallFailed`."""
        what, _, rest = word.partition(" ")
        self.lines.append(f"> {word}")
        if self.is_over:
            raise CallFailed(f"it is over, and the script goes on with {word!r}")
        if what == "wait":
            self.at += timedelta(seconds=float(rest))
            self.happen(Silence())
            return
        self.at += timedelta(seconds=PAUSE_S)
        self.happen(event_of(what, rest, word))

    def play(self) -> Played:
        """Play the whole script."""
        problem = ""
        try:
            self.begin()
            for word in self.call.does:
                self.do(word)
        except CallFailed as why:
            problem = str(why)
        ends = str((self.state or {}).get("end", ""))
        self.lines.append(f"= {ends or 'goes on'}")
        if not problem and ends != self.call.ends:
            problem = f"it ends as {ends or 'going on'}, and should as {self.call.ends or 'going on'}"
        return Played(call=self.call, lines=tuple(self.lines), state=self.state or {}, problem=problem)


def event_of(what: str, rest: str, word: str) -> Happened:
    """Return what happens by a line of a script. Raises :class:`CallFailed`."""
    match what:
        case "press":
            return Pressed(rest)
        case "say":
            return Said(rest)
        case "mumble":
            return Said(rest or "mhm", 0.1)
        case "silence":
            return Silence()
        case "record":
            return Recorded(Attachment(name="message.wav", media_type="audio/wav", content=b"RIFF"))
        case "answered" | "busy" | "no-answer" | "failed":
            return Transferred(what)
        case "hang":
            return HungUp("caller")
        case _:
            raise CallFailed(
                f"{word!r} is nothing that a caller can do: press, say, mumble, silence, wait, record, hang up"
            )


def shown(actions: Sequence[Action]) -> Iterator[str]:
    """Yield the lines of a transcript for what shall happen."""
    for action in actions:
        if isinstance(action, Say | Hold | Gather):
            yield from said(action.prompts)
        match action:
            case Gather(buttons=buttons) if buttons:
                yield f"[{', '.join(f'{one.value} {one.label}' for one in buttons)}]"
            case Gather(sensitive=True):
                yield "[not kept]"
            case Record(max_s=most):
                yield f"(tone, at most {most:g} s)"
            case Transfer(to=to):
                yield f"-> {to}"
            case HangUp(reason):
                yield f"(hangs up: {reason})"
            case AddEntry(kind=kind, text=text):
                yield f"+ {kind}{': ' if text else ''}{' / '.join(text.split(chr(10)))}"
            case Reply(text=text):
                yield f"+ writes: {text}"
            case _:
                pass


def said(prompts: Sequence[Prompt]) -> Iterator[str]:
    """Yield what is said."""
    for one in prompts:
        audio = f" ({one.audio})" if one.audio else ""
        yield f"{one.language}: {' '.join(one.text.split())}{audio}"


def _told(event: Happened) -> str:
    return "fails" if isinstance(event, LookUpFailed) else "answered"


def _is_one(given: list[Any]) -> bool:
    return bool(given) and isinstance(given[0], Mapping)


SHAPES: Final[Mapping[str, str]] = {
    "hours": 'true, false, or { is_open = false, reason = "closed", occasion = "holiday", changes_at = 2026-12-01T08:00:00+01:00 }',
    "faq": '[{ text = "We open at 8.", confidence = 0.9 }]; []: no answer fits',
    "order": '{ state = "sent", expected_on = 2026-12-03, total = "59.90", carrier = "DHL" }; false: there is no such order',
    "customer": '{ name = "Ann" }: whatever the menu takes',
    "place": "{ position = 3, wait_s = 240 }, or { position = 0, agent = 'team:sales' }: somebody is there",
}
"""How answers are written, by the question."""


def _answer(name: str, given: Any) -> Any:
    """Return an answer of the type that the question promises, from what stands in a script. Raises :class:`CallFailed`."""
    try:
        return _made(name, given)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CallFailed(f"{given!r} is no answer to {name}: write {SHAPES[name]}") from None


def _made(name: str, given: Any) -> Any:
    match name, given:
        case "hours", bool():
            return Hours(is_open=given, reason="" if given else "closed", changes_at=None)
        case "hours", Mapping():
            _only(given, Hours)
            reason, occasion = str(given.get("reason", "")), str(given.get("occasion", ""))
            changes = _moment(given.get("changes_at"), datetime)
            return Hours(is_open=_flag(given["is_open"]), reason=reason, changes_at=changes, occasion=occasion)
        case "faq", list():
            return tuple(FaqAnswer(str(one["text"]), float(one["confidence"]), "") for one in given)
        case "order", Mapping():
            _only(given, OrderStatus)
            texts = {name: str(given[name]) for name in ("state", "total", "carrier", "link") if name in given}
            return OrderStatus(expected_on=_moment(given.get("expected_on"), date), **texts)
        case "order", False:
            return None
        case "place", Mapping():
            _only(given, Place)
            return Place(position=int(given["position"]), wait_s=given.get("wait_s"), agent=str(given.get("agent", "")))
        case (("hours" | "faq" | "order" | "place"), _):
            raise TypeError(name)
        case _:
            return given


def _only(given: Mapping[str, Any], kind: type[Any]) -> None:
    if unknown := given.keys() - attrs.fields_dict(kind).keys():
        raise KeyError(*unknown)


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise TypeError(given)
    return given


def _moment(given: Any, kind: type[Any]) -> Any:
    if given is not None and not isinstance(given, date):
        return kind.fromisoformat(given)
    return given


class Coverage:
    """Which nodes and exits of a menu callers have seen."""

    def __init__(self, menu: BuiltMenu) -> None:
        self._seen: set[tuple[str, str]] = set()
        self.menu = BuiltMenu(
            menu.definition, menus=menu.menus, questions=menu.questions, watch=lambda *it: self._seen.add(it)
        )
        """Plays as the menu does, and is watched."""
        self._all = {(name, way) for name, one in self.menu.stations.items() for way in ("", *_ways(one.node))}

    @property
    def missed(self) -> tuple[tuple[str, str], ...]:
        """Nodes, with an empty exit, and exits that nobody took."""
        return tuple(sorted(self._all - self._seen))

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes and exits there are, and how many of them were seen."""
        nodes, exits = {one for one in self._all if not one[1]}, {one for one in self._all if one[1]}
        return {
            "nodes": len(nodes),
            "nodes_seen": len(nodes & self._seen),
            "exits": len(exits),
            "exits_seen": len(exits & self._seen),
        }


def _ways(node: Any) -> tuple[str, ...]:
    # Another menu is left by its own nodes.
    return () if getattr(node, "kind", "") == "sub-menu" else tuple(node.exits)
