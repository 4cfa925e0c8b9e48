"""What a turn says and waits for, as it stands in the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import frozen

from fernamt.services import Question
from fernamt.session import Gather, HangUp, Hold, LineAction, LookUp, Record, Say, Transfer

_LINE: Final[Mapping[str, type]] = {
    "say": Say,
    "gather": Gather,
    "record": Record,
    "transfer": Transfer,
    "hold": Hold,
    "hang-up": HangUp,
}


@frozen
class Asked:
    """A look-up that a turn waits for. *question* is ``None`` if it is not kept: it was made of what must not be."""

    question: Question[Any] | None
    timeout_s: float


@frozen
class Script:
    """The actions of a turn; *asked*: what the core looks up meanwhile."""

    actions: tuple[LineAction, ...]
    asked: Asked | None = None


class Scribe:
    """Writes scripts as JSON, and reads them back. Pure."""

    def __init__(self, questions: Iterable[type[Question[Any]]] = ()) -> None:
        """*questions*: the types that a stored look-up may name."""
        from cattrs.preconf.orjson import make_converter

        self._converter = make_converter()
        self._names = {kind: name for name, kind in _LINE.items()}
        self._write = {kind: self._converter.get_unstructure_hook(kind) for kind in _LINE.values()}
        self._read = {name: self._converter.get_structure_hook(kind) for name, kind in _LINE.items()}
        self._questions = {_name(kind): kind for kind in questions}

    def write(self, actions: Sequence[LineAction], look_up: LookUp | None = None, *, secret: bool = False) -> str:
        """Return the actions as JSON; of a *secret* look-up only that there was one.

        Raises:
            Exception: Something in it has no JSON; what, depends on what stands where it must not.
        """
        lines = [{"do": self._names[type(action)], **self._write[type(action)](action)} for action in actions]
        if look_up is None:
            return orjson.dumps(lines).decode()
        asked: dict[str, Any] = {"do": "look-up", "timeout_s": look_up.timeout_s}
        if not secret:
            question = look_up.question
            asked |= {"question": _name(type(question)), "of": self._converter.unstructure(question)}
        return orjson.dumps([*lines, asked]).decode()

    def read(self, text: str) -> Script:
        """Return what :meth:`write` was given. A question whose type is not known (any more) is not kept."""
        actions: list[LineAction] = []
        asked = None
        for line in orjson.loads(text):
            name = line.pop("do")
            if name == "look-up":
                asked = Asked(self._question(line), line["timeout_s"])
            else:
                actions.append(self._read[name](line, _LINE[name]))
        return Script(tuple(actions), asked)

    def _question(self, line: Mapping[str, Any]) -> Question[Any] | None:
        kind = self._questions.get(line.get("question", ""))
        if kind is None:
            return None
        try:
            question: Question[Any] = self._converter.structure(line["of"], kind)
        except Exception:  # noqa: BLE001 - a plugin's class, which may have changed since
            return None
        return question


def _name(kind: type[Question[Any]]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
