"""One step of a menu under way: what the state says, what happens now, and the state that follows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from fernamt.effects import AddEntry, Effect
from fernamt.menu import MenuState
from fernamt.menus.definition import STYLES_OF_TYPES, MenuDefinition
from fernamt.menus.spoken import spoken
from fernamt.menus.variables import GIVEN, Variable, taken
from fernamt.menus.wording import Phrase, Style, Value, spoken_as
from fernamt.model import Address, Json
from fernamt.session import Action, Prompt, Say

VERSION: Final = 2
"""Of the state; another one is not read."""
PATH_MAX: Final = 20
SEEN_MAX: Final = 100
_KNOWN: Final = frozenset({"", "person", "message", "call-back"})
"""Nothing new is told at these ends if it was told before."""
_NOWHERE: Final[Mapping[str, Any]] = MappingProxyType({})


class Plan:
    """What all steps of a menu share."""

    def __init__(self, definition: MenuDefinition, variables: Mapping[str, Variable]) -> None:
        """*variables* are those of the menu and of those that it enters."""
        self.id = definition.id
        self.version = definition.version
        self.languages = definition.languages
        self.calendar = definition.calendar
        self.currency = definition.currency
        self.variables = variables
        self.zone = ZoneInfo(definition.zone)
        self.routes: dict[str, Mapping[str, Any]] = {}
        """Who should take it, by the station that says so."""


class Walk:
    """Where a step stands. It writes into nothing that the state before it holds."""

    # What a step begins with; instances without slots, so that these cost a step nothing.
    end = ""
    secrets: dict[str, Json] | None = None
    prompts: tuple[Prompt, ...] = ()
    effects: tuple[Effect, ...] = ()
    line: tuple[Action, ...] = ()
    _owns = False
    language: str
    """That is spoken."""
    steps: int
    """Nodes and events so far."""
    errors: int
    """Silences, misunderstandings, failures so far."""
    began: int
    """When, in milliseconds since 1970."""
    values: dict[str, Json]
    """Of the variables."""
    path: str
    """The questions on the way here, each between spaces: one text is read and written sooner than a list."""
    seen: str
    """The questions that were asked before, likewise."""
    stage: Any
    """What the present node keeps."""
    silences: int
    misses: int
    session: str
    written: bool
    kept: str
    """``message`` or ``call-back``: what the caller left."""
    fell: str
    """Which limit was reached."""
    told: bool
    """Agents know what was collected."""
    route: str
    """The station that said who should take it."""

    def __init__(self, plan: Plan, state: MenuState, at: datetime) -> None:
        """Read the state. Raises ``KeyError``, ``TypeError`` or ``ValueError`` if it is none of ours."""
        self.plan = plan
        self.at = at
        self.node: Any = state["node"]
        # A list, read and written at once: by name it took a quarter of a step.
        walk: Any = state["walk"]
        (
            self.language,
            self.steps,
            self.errors,
            self.began,
            self.values,
            self.path,
            self.seen,
            self.stage,
            self.silences,
            self.misses,
            self.session,
            self.written,
            self.kept,
            self.fell,
            self.told,
            self.route,
        ) = walk

    # ---- where it stands
    @property
    def now_ms(self) -> int:
        """When it happens, in milliseconds since 1970."""
        return int(self.at.timestamp() * 1_000)

    def stay(self, name: str) -> None:
        """Be at a node that waits."""
        self.node = name
        self.stage = None
        self.silences = self.misses = 0

    def leave(self) -> None:
        """Forget what was waited for."""
        self.stage = None
        self.silences = self.misses = 0
        self.line = ()

    def passed(self, name: str) -> int:
        """Remember the way to a question, for *back*, and return how often it was asked before."""
        mark = f" {name} "
        path = self.path
        if not path.endswith(mark):
            # Who comes to a place again has gone back to it.
            at = path.find(mark)
            self.path = path[: at + len(mark)] if at >= 0 else _with(path, name, PATH_MAX)
        if mark in self.seen:
            return 1
        self.seen = _with(self.seen, name, SEEN_MAX)
        return 0

    # ---- what is known
    def value(self, name: str) -> Any:
        """Return the value of a variable; ``None`` if it is not known."""
        if name in self.values:
            return self.values[name]
        if self.secrets is not None and name in self.secrets:
            return self.secrets[name]
        match name:
            case "language":
                return self.language
            case "written":
                return self.written
            case "now":
                return self.at.astimezone(UTC).isoformat()
            case "number":
                return self.number
            case _:
                return None

    @property
    def routed(self) -> Mapping[str, Any]:
        """Who should take it: ``team``, ``skills``, ``priority``; nothing if nobody said."""
        return self.plan.routes.get(self.route, _NOWHERE)

    @property
    def caller(self) -> Address | None:
        """Who is there, if that is known."""
        scheme, _, value = str(self.values.get("caller") or "").partition(":")
        return Address(scheme, value) if scheme and value else None

    @property
    def number(self) -> str | None:
        """The caller's telephone number."""
        caller = self.caller
        return None if caller is None or caller.scheme != "phone" else str(taken(caller.value, "digits") or "") or None

    def put(self, name: str, value: Any) -> bool:
        """Give a variable a value of its type; ``False`` if it is none of it, and then it is not known any more."""
        variable = self.plan.variables.get(name)
        if variable is None:
            return False
        kept = taken(value, variable.type)
        if variable.redact == "secret":
            self.secrets = {**(self.secrets or {}), name: kept}
            return kept is not None
        if not self._owns:
            self.values = dict(self.values)
            self._owns = True
        if kept is None:
            self.values.pop(name, None)
            return False
        self.values[name] = kept
        if name not in GIVEN:
            self.told = False
        return True

    # ---- what is said
    def rendered(self, phrase: Phrase) -> tuple[Prompt, ...]:
        """Return the prompts of a phrase with its values in it."""
        said: list[Prompt] = []
        text = ""
        for one in phrase:
            if isinstance(one, str):
                text += one
            elif isinstance(one, Value):
                text += self._said(one)
            else:
                if text:
                    said.append(Prompt(text=text, language=self.language))
                    text = ""
                said.append(spoken_as(one, self.language, written=self.written))
        if text:
            said.append(Prompt(text=text, language=self.language))
        return tuple(said)

    def _said(self, place: Value) -> str:
        variable = self.plan.variables.get(place.name)
        style = place.style or (STYLES_OF_TYPES[variable.type] if variable is not None else "plain")
        return self.words(self.value(place.name), style)

    def words(self, value: Any, style: Style) -> str:
        """Return how a value is said here."""
        if style == "plain" and type(value) is str:
            return value
        plan = self.plan
        return spoken(
            value, style, language=self.language, zone=plan.zone, currency=plan.currency, written=bool(self.written)
        )

    # ---- what follows
    def tell(self) -> None:
        """Let agents know what was collected: once, when somebody comes to a person or to the end."""
        if self.told and self.end in _KNOWN:
            return
        variables = self.plan.variables
        own = {name: value for name, value in self.values.items() if name not in GIVEN}
        text = "\n".join([f"{name}: {value}" for name, value in own.items()])
        shown = {name: value for name, value in own.items() if variables[name].redact == "open"}
        data: dict[str, Json] = {"menu": self.plan.id, "version": self.plan.version, "node": self.node}
        if self.end:
            data["end"] = self.end
        if shown:
            data["values"] = shown
        self.effects += (AddEntry(kind="menu", text=text, data=data),)
        self.told = True

    def actions(self) -> tuple[Action, ...]:
        """Return what shall happen: effects, what is said, and what is waited for."""
        if self.prompts:
            return (*self.effects, Say(self.prompts), *self.line)
        return (*self.effects, *self.line) if self.effects else self.line

    def state(self) -> MenuState:
        """Return the state that follows."""
        if self.end:
            return {"v": VERSION, "node": self.node, "end": self.end}
        return {
            "v": VERSION,
            "node": self.node,
            "walk": (
                self.language,
                self.steps,
                self.errors,
                self.began,
                self.values,
                self.path,
                self.seen,
                self.stage,
                self.silences,
                self.misses,
                self.session,
                self.written,
                self.kept,
                self.fell,
                self.told,
                self.route,
            ),
        }


def first_state(language: str, began_ms: int, values: Mapping[str, Json], *, session: str, written: bool) -> MenuState:
    """Return the state of an exchange before anything happened."""
    return {
        "v": VERSION,
        "node": "",
        "walk": (language, 0, 0, began_ms, values, "", "", None, 0, 0, session, written, "", "", False, ""),
    }


def _with(names: str, name: str, most: int) -> str:
    """Return the names with one more; the oldest are forgotten."""
    names = f"{names or ' '}{name} "
    return names[names.index(" ", 1) :] if names.count(" ") > most + 2 else names
