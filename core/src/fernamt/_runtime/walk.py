"""One step of a menu: what a stranger's code returns, held to what a line can live with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from types import MappingProxyType
from typing import Any, Final

import orjson
import structlog
from attrs import frozen

from fernamt._runtime.effects import storable_effects
from fernamt._runtime.script import Scribe
from fernamt.effects import AddEntry, Effect, Job, Reply
from fernamt.errors import Unsupported
from fernamt.menu import Menu, Step
from fernamt.registry import Offers
from fernamt.session import Gather, HangUp, Happened, Hold, HungUp, LineAction, LookUp, Prompt, Record, Say, Transfer

ACTIONS_MAX: Final = 32
STATE_MAX_BYTES: Final = 16_384
SCRIPT_MAX_BYTES: Final = 65_536
POLL_S: Final = 2.0
"""How often a provider asks for what a look-up brought."""
_WAITS: Final = (Gather, Record, Transfer, Hold)
_APOLOGY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "de": "Entschuldigung, das geht hier gerade nicht weiter. Wir kümmern uns darum. Auf Wiederhören.",
        "en": "Sorry, we cannot go on here just now. Somebody will take care of it. Goodbye.",
    }
)
_NOT_HERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "de": "Unter dieser Nummer nimmt gerade niemand ab. Bitte schreiben Sie uns. Auf Wiederhören.",
        "en": "Nobody answers at this number just now. Please write to us. Goodbye.",
    }
)
_log = structlog.get_logger()


class MenuFault(Exception):
    """A menu cannot be asked, or what it returned cannot happen on a line; the text is for an agent and names no caller's words."""


@frozen
class PinnedMenu:
    """A menu with the content that it had when it was loaded."""

    name: str
    plugin: str
    menu: Menu
    digest: str
    jobs: frozenset[str] = frozenset()
    """Those that its plugin offers."""


@frozen(kw_only=True)
class Walked:
    """A step that may be committed."""

    state: str
    """JSON."""
    actions: tuple[LineAction, ...]
    script: str
    """The actions as they are stored."""
    look_up: LookUp | None = None
    effects: tuple[Effect, ...] = ()


def pinned_menus(offers: Mapping[str, Offers]) -> dict[str, PinnedMenu]:
    """Return the menus that were loaded, by ``<plugin>.<name>``; one that does not say what it is, is left out, by name."""
    found: dict[str, PinnedMenu] = {}
    for plugin, offer in offers.items():
        for short, menu in offer.menus.items():
            name = f"{plugin}.{short}"
            try:
                digest = menu.digest
            except (Exception, SystemExit) as why:  # noqa: BLE001 - a plugin's border
                _log.error("menu_not_loaded", menu=name, plugin=plugin, exc_info=why)
                continue
            found[name] = PinnedMenu(name, plugin, menu, str(digest), frozenset(offer.jobs))
    return found


def walk(
    pinned: PinnedMenu, state: str, what: Happened, *, at: datetime, language: str, scribe: Scribe, secret: bool = False
) -> Walked:
    """Ask a menu what follows. *secret*: what happened must not be kept, so no question that is made of it is either.

    Raises:
        MenuFault: It raised, or returned what cannot happen on a line.
    """
    step = _asked(pinned, state, what, at, language)
    line: list[LineAction] = []
    look_ups: list[LookUp] = []
    effects: list[Effect] = []
    for action in step.actions:
        match action:
            case Say() | Gather() | Record() | Transfer() | Hold() | HangUp():
                line.append(action)
            case LookUp():
                look_ups.append(action)
            case Reply() | AddEntry() | Job():
                effects.append(action)
            case _:
                raise MenuFault(f"it returned a {type(action).__name__}, which a menu cannot do")
    if len(look_ups) > 1:
        raise MenuFault("it asked for two look-ups at once")
    if isinstance(what, HungUp):
        line, look_ups = [], []
    else:
        _wait(line, look_ups)
    try:
        asked_for = storable_effects(effects, pinned.jobs)
    except Unsupported as why:
        raise MenuFault(why.reason) from why
    return _written(step, line, look_ups[0] if look_ups else None, asked_for, scribe, secret=secret)


def _asked(pinned: PinnedMenu, state: str, what: Happened, at: datetime, language: str) -> Step:
    try:
        step = pinned.menu.step(orjson.loads(state), what, at=at, language=language)
    except (Exception, SystemExit) as why:
        raise MenuFault(f"it failed with {type(why).__name__}") from why
    returned: Any = step
    if not isinstance(returned, Step) or not isinstance(returned.actions, tuple):
        raise MenuFault("it returned no step")
    if len(step.actions) > ACTIONS_MAX:
        raise MenuFault(f"it returned more than {ACTIONS_MAX} actions")
    return step


def _wait(line: list[LineAction], look_ups: list[LookUp]) -> None:
    """See to it that the last action says what is waited for, and only that one ends the exchange."""
    if look_ups and not (line and isinstance(line[-1], _WAITS)):
        if any(isinstance(action, HangUp) for action in line):
            raise MenuFault("it hung up and asked for a look-up")
        line.append(Hold(poll_s=POLL_S))
    if not line or not isinstance(line[-1], (*_WAITS, HangUp)):
        raise MenuFault("its last action says neither what is waited for nor that this is the end")
    if any(isinstance(action, HangUp) for action in line[:-1]):
        raise MenuFault("it hung up before its last action")


def _written(
    step: Step,
    line: list[LineAction],
    look_up: LookUp | None,
    effects: tuple[Effect, ...],
    scribe: Scribe,
    *,
    secret: bool,
) -> Walked:
    try:
        state = orjson.dumps(dict(step.state))
        script = scribe.write(line, look_up, secret=secret)
        for action in (*line, *([look_up] if look_up else [])):
            _check(action)
    except Exception as why:
        raise MenuFault(f"what it returned cannot be kept: {type(why).__name__}") from why
    if len(state) > STATE_MAX_BYTES or len(script) > SCRIPT_MAX_BYTES:
        raise MenuFault(f"its state is larger than {STATE_MAX_BYTES} bytes, or its actions than {SCRIPT_MAX_BYTES}")
    return Walked(state=state.decode(), actions=tuple(line), script=script, look_up=look_up, effects=effects)


def _check(action: Any) -> None:
    """Raise unless every time is a number of seconds: JSON would keep another as nothing."""
    for name in ("timeout_s", "first_timeout_s", "next_timeout_s", "max_s", "poll_s"):
        value = getattr(action, name, 0.0)
        if not isfinite(value) or value < 0:
            raise ValueError(name)


def farewell(language: str, *, answered: bool) -> tuple[LineAction, ...]:
    """Return what a caller hears when nothing can go on: in their language, or in both that we speak.

    *answered*: something spoke with them before.
    """
    words = _APOLOGY if answered else _NOT_HERE
    spoken = language.partition("-")[0].lower()
    chosen = [spoken] if spoken in words else list(words)
    return Say(tuple(Prompt(text=words[one], language=one) for one in chosen)), HangUp("fault")
