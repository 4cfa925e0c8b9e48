"""Stations that take a value: an answer, a consent, the numbers of a survey."""

from __future__ import annotations

from typing import Any

from fernamt.effects import AddEntry
from fernamt.menus.heard import digits_of, number_in, words_of
from fernamt.menus.nodes import AskNode, ConsentNode, SurveyNode
from fernamt.menus.stations.listening import Agreeing, Listening
from fernamt.menus.stations.station import Scope, Station
from fernamt.menus.variables import taken
from fernamt.menus.walk import Walk
from fernamt.menus.wording import Miss
from fernamt.model import Json

_MONTHS = {
    word: month
    for month, words in enumerate(
        (
            "januar january jan", "februar february feb", "maerz march", "april apr", "mai may", "juni june jun",
            "juli july jul", "august aug", "september sep", "oktober october okt oct", "november nov",
            "dezember december dez dec",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip


class Taking(Listening):
    """Asks for a value."""

    node: AskNode

    def link(self, scope: Scope) -> None:
        """Learn what type the value has."""
        super().link(scope)
        node = self.node
        variable = scope.plan.variables[node.into]
        self._type = variable.type
        self._secret = variable.redact == "secret"
        self._to = self.way(scope, "to")
        self._agreeing = Agreeing(scope.definition.languages)
        speech = node.by != "keys"
        if self._type == "flag":
            agreed: dict[str, Any] = {"hints": self._agreeing.hints, "buttons": self._agreeing.buttons, "max_keys": 1}
        else:
            agreed = {"max_keys": 8 if self._type == "date" else node.most, "end_key": node.end_key}
        if node.by == "words" or self._type == "text":
            agreed["max_keys"] = 1 if self.reserved_keys else 0
        self._asking = self.asking(scope, node.prompt, speech=speech, sensitive=self._secret, **agreed)
        self._confirming = self.asking(
            scope,
            node.confirm,
            speech=speech,
            max_keys=1,
            hints=self._agreeing.hints,
            buttons=self._agreeing.buttons,
        )

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask for the value, or whether it is right."""
        (self._confirming if walk.stage else self._asking).ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take keys."""
        if walk.stage:
            return self._agreed(walk, keys)
        keys = keys.removesuffix(self.node.end_key) if self.node.end_key else keys
        if not keys:
            return self.silent(walk)
        if (not keys.isdigit() or self._type == "text") and keys in self.reserved_keys:
            return self.reserved_keys[keys]
        if self._type == "text" or self.node.by == "words":
            return self.missed(walk)
        if self._type == "flag":
            return self._kept(walk, {"1": True, "2": False}.get(keys))
        return self._kept(walk, keys)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words."""
        if walk.stage:
            return self._agreed(walk, self._agreeing.heard(walk, text))
        words = words_of(text)
        reserved = self.reserved_words[walk.language].whole(words)
        if reserved is not None:
            return reserved
        if self.node.by == "keys" and not walk.written:
            return self.missed(walk)
        return self._kept(walk, self._meant(walk, text, words))

    def _meant(self, walk: Walk, text: str, words: tuple[str, ...]) -> Any:
        match self._type:
            case "text":
                return text.strip() or None
            case "flag":
                return {"1": True, "2": False}.get(self._agreeing.heard(walk, text) or "")
            case "digits":
                return number_in(text, self.node.least, self.node.most) if walk.written else digits_of(text)
            case "date":
                return text if taken(text, "date") else ".".join(str(_MONTHS.get(word, word)) for word in words)
            case _:
                return text if taken(text, self._type) is not None else digits_of(text)

    def _kept(self, walk: Walk, value: Any) -> Station | None:
        kept = taken(value, self._type)
        if kept is None or not self._fits(kept):
            return self.missed(walk)
        if self._confirming.script:
            walk.put(self.node.into, kept)
            walk.stage = "confirm"
            walk.silences = walk.misses = 0
            self.ask(walk)
            return None
        walk.put(self.node.into, kept)
        return self._to

    def _fits(self, kept: Any) -> bool:
        if self._type not in ("text", "digits"):
            return True
        return self.node.least <= len(str(kept)) <= (256 if self._type == "text" else self.node.most)

    def _agreed(self, walk: Walk, answer: str | None) -> Station | None:
        if answer == "1":
            return self._to
        if answer in self.reserved_keys and answer != "2":
            return self.reserved_keys[answer]
        if answer != "2":
            return self.missed(walk)
        walk.put(self.node.into, None)
        walk.stage = None
        self.ask(walk, "", 1)
        return None

    def exhausted(self, walk: Walk, by: Miss) -> Station | None:
        """Forget what nobody confirmed."""
        if walk.stage:
            walk.put(self.node.into, None)
        return super().exhausted(walk, by)


class Consenting(Listening):
    """Asks for a consent."""

    node: ConsentNode

    def link(self, scope: Scope) -> None:
        """Learn where yes and no lead."""
        super().link(scope)
        self._exits = {"1": self.way(scope, "yes"), "2": self.way(scope, "no")}
        self._agreeing = Agreeing(scope.definition.languages)
        agreed = self._agreeing
        self._asking = self.asking(
            scope, self.node.prompt, max_keys=1, speech=True, hints=agreed.hints, buttons=agreed.buttons
        )

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask."""
        self._asking.ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a key."""
        if keys in self._exits:
            return self._answered(walk, keys)
        return self.reserved_keys.get(keys) or self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take a word."""
        answer = self._agreeing.heard(walk, text)
        if answer is not None:
            return self._answered(walk, answer)
        return self.reserved_words[walk.language].meaning(words_of(text)) or self.missed(walk)

    def exhausted(self, walk: Walk, by: Miss) -> Station | None:
        """Silence is no consent."""
        self._note(walk, given=False)
        return super().exhausted(walk, by)

    def _answered(self, walk: Walk, answer: str) -> Station:
        self._note(walk, given=answer == "1")
        return self._exits[answer]

    def _note(self, walk: Walk, *, given: bool) -> None:
        walk.effects += (AddEntry(kind="consent", data={"purpose": self.node.purpose, "given": given}),)


class Surveying(Listening):
    """Asks for numbers."""

    node: SurveyNode

    def link(self, scope: Scope) -> None:
        """Learn the questions."""
        super().link(scope)
        self._to = self.way(scope, "to")
        self._askings = tuple(
            self.asking(scope, one.prompt, max_keys=len(str(one.most)), speech=True) for one in self.node.questions
        )

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask the present question."""
        self._askings[walk.stage or 0].ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a number, or a key that every menu knows."""
        keys = keys.removesuffix("#") or keys
        question = self.node.questions[walk.stage or 0]
        if keys.isdecimal() and keys.isascii() and question.least <= int(keys) <= question.most:
            score = int(keys)
            data: dict[str, Json] = {"survey": self.node.survey, "question": question.id, "score": score}
            walk.effects += (AddEntry(kind="survey.answer", text=str(score), data=data),)
            return self._next(walk)
        return self.reserved_keys.get(keys) or self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take a number, or words that every menu knows."""
        words = words_of(text)
        numbers = [word for word in words if word.isdigit()]
        if len(numbers) == 1:
            return self.pressed(walk, numbers[0])
        if "10" in self._spoken(words):
            return self.pressed(walk, "10")
        return self.reserved_words[walk.language].meaning(words) or self.missed(walk)

    def _spoken(self, words: tuple[str, ...]) -> set[str]:
        return {"10" for word in words if word in ("zehn", "ten")}

    def exhausted(self, walk: Walk, by: Miss) -> Station | None:
        """Pass the question over."""
        return self._next(walk)

    def _next(self, walk: Walk) -> Station | None:
        at = (walk.stage or 0) + 1
        walk.silences = walk.misses = 0
        if at >= len(self._askings):
            return self._to
        walk.stage = at
        self.ask(walk)
        return None
