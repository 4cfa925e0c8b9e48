"""The nodes of a menu that talk: they say, ask, choose, look up and decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, gt, in_, instance_of, le, matches_re

from fernamt.menus.node import BuiltIn, goes_on, leads_to
from fernamt.menus.variables import Condition
from fernamt.menus.wording import Prompts, prompts

By: TypeAlias = Literal["keys", "words", "both"]
TextByLanguage: TypeAlias = Mapping[str, str]
WordsByLanguage: TypeAlias = Mapping[str, tuple[str, ...]]


def _lists(words: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {language: (some,) if isinstance(some, str) else tuple(some) for language, some in words.items()}


def _keys(_: object, __: object, value: str) -> None:
    if not (len(value) <= 4 and set(value) <= set("0123456789*#")):
        raise ValueError("must be up to four keys of a telephone: 0 to 9, * or #")


@frozen(kw_only=True)
class Hearing(BuiltIn):
    """What all nodes share that ask something."""

    tries: int = field(default=3, validator=[ge(1), le(9)])
    """So often it is asked; silence and what was not understood are counted apart."""
    first_timeout_s: float = field(default=5.0, validator=[gt(0), le(120)])
    """How long somebody may think."""
    next_timeout_s: float = field(default=3.0, validator=[gt(0), le(60)])
    """How long between two keys."""
    barge_in: bool = True
    """Keys and words may interrupt what is said."""
    min_confidence: float = field(default=0.4, validator=[ge(0), le(1)])
    """Words that were recognised less surely are not understood."""
    no_input: str = leads_to()
    """After so many silences."""
    no_match: str = leads_to()
    """After so many answers that were not understood."""


@frozen(kw_only=True)
class SayNode(BuiltIn):
    """Says something and goes on."""

    kind: ClassVar[str] = "say"
    prompt: Prompts = field(converter=prompts)
    """What is said."""
    to: str = goes_on()
    """What comes next."""


@frozen(kw_only=True)
class Option:
    """One choice of a menu."""

    key: str = field(default="", validator=_keys)
    """The key of the telephone, and the number on a channel of text."""
    label: TextByLanguage
    """By language: the button, or the line behind the number."""
    words: WordsByLanguage = field(factory=dict, converter=_lists)
    """By language: what may be said for it, beside the label."""
    to: str
    """Where it leads."""
    when: tuple[Condition, ...] = ()
    """It is there only if all of them hold."""


@frozen(kw_only=True)
class MenuNode(Hearing):
    """Offers a choice."""

    kind: ClassVar[str] = "menu"
    prompt: Prompts = field(converter=prompts)
    """The question. Where it is read, the options follow it."""
    options: tuple[Option, ...]
    """What can be chosen."""
    by: By = "both"
    """Whether keys, words or both are waited for."""

    @property
    def exits(self) -> Mapping[str, str]:
        """The options by their keys, or their numbers, and what misses lead to."""
        chosen = dict(zip(self.ways, (one.to for one in self.options), strict=True))
        return {**chosen, **super().exits}

    @property
    def ways(self) -> tuple[str, ...]:
        """The exit of each option. Several that share a key, each on its condition, are told apart by their place."""
        keys = [one.key or str(at) for at, one in enumerate(self.options, 1)]
        return tuple(f"option {key}" + f"/{at}" * (keys.count(key) > 1) for at, key in enumerate(keys, 1))


@frozen(kw_only=True)
class AskNode(Hearing):
    """Asks for a value: digits, words, a number, an amount, a date, yes or no, as the variable's type says."""

    kind: ClassVar[str] = "ask"
    prompt: Prompts = field(converter=prompts)
    """The question."""
    into: str
    """The variable that takes the answer."""
    by: By = "both"
    """Whether keys, words or both are waited for."""
    least: int = field(default=1, validator=[ge(1), le(64)])
    """The shortest answer, in digits or characters."""
    most: int = field(default=32, validator=[ge(1), le(64)])
    """The longest one; so many keys end it."""
    end_key: str = field(default="#", validator=in_(("#", "*", "")))
    """The key that ends it."""
    confirm: Prompts = field(factory=dict, converter=prompts)
    """If it is there: says the answer once more (``{variable}``) and takes 1 or yes, 2 or no."""
    to: str = goes_on()
    """Once the answer is there."""


@frozen(kw_only=True)
class HoursNode(BuiltIn):
    """Asks whether we are open now. ``{reason}`` and ``{changes_at}`` are known afterwards."""

    kind: ClassVar[str] = "hours"
    calendar: str = ""
    """Which one; without it the menu's."""
    timeout_s: float = field(default=4.0, validator=[gt(0), le(20)])
    """How long the answer may take."""
    open: str = goes_on()
    """We are open."""
    closed: str = goes_on()
    """We are closed."""
    holiday: str = leads_to(instead="closed")
    """We are closed for a public holiday."""
    special: str = leads_to(instead="closed")
    """We are closed for a day of our own."""
    failed: str = leads_to()
    """Nobody knows: there is no such service, or it did not answer."""


@frozen(kw_only=True)
class Case:
    """One way of a branch."""

    when: tuple[Condition, ...]
    """All of them must hold."""
    to: str
    """Where it leads."""


@frozen(kw_only=True)
class BranchNode(BuiltIn):
    """Decides by what is known; the first case that holds counts."""

    kind: ClassVar[str] = "branch"
    cases: tuple[Case, ...]
    """In order."""
    otherwise: str = goes_on()
    """No case holds."""

    @property
    def exits(self) -> Mapping[str, str]:
        """The cases by their numbers, and the other way."""
        return {**{f"case {at}": one.to for at, one in enumerate(self.cases, 1)}, **super().exits}


@frozen(kw_only=True)
class LookupNode(BuiltIn):
    """Asks a service, and keeps what it answers in variables."""

    kind: ClassVar[str] = "lookup"
    question: str
    """``order``, ``customer``, or a plugin's own, with its name before a dot."""
    using: Mapping[str, str] = field(factory=dict)
    """Fields of the question, and the variables that fill them."""
    take: Mapping[str, str] = field(factory=dict)
    """Variables, and the fields of the answer that they take."""
    prompt: Prompts = field(factory=dict, converter=prompts)
    """What is said meanwhile."""
    timeout_s: float = field(default=4.0, validator=[gt(0), le(20)])
    """How long the answer may take."""
    found: str = goes_on()
    """There is an answer."""
    missing: str = leads_to(instead="failed")
    """There is no such thing."""
    failed: str = leads_to()
    """Nobody can say: there is no such service, or it did not answer."""


@frozen(kw_only=True)
class AnswerNode(Hearing):
    """Takes a question in free words, and says the best answer of the company's collection, if it is sure enough."""

    kind: ClassVar[str] = "answer"
    prompt: Prompts = field(converter=prompts)
    """What invites the question."""
    floor: float = field(default=0.6, validator=[ge(0), le(1)])
    """An answer that is less sure is none."""
    timeout_s: float = field(default=4.0, validator=[gt(0), le(20)])
    """How long the answer may take."""
    answered: str = goes_on()
    """The answer was said."""
    unknown: str = leads_to()
    """There is no answer that is sure enough."""
    failed: str = leads_to(instead="unknown")
    """Nobody can say: there is no such service, or it did not answer."""


@frozen(kw_only=True)
class LanguageNode(Hearing):
    """Lets somebody choose the language: each one's prompt is said in it, one after the other."""

    kind: ClassVar[str] = "language"
    prompt: Prompts = field(converter=prompts)
    """In each language how it is chosen: *Für Deutsch drücken Sie die 1*."""
    keys: Mapping[str, str]
    """The key of each language."""
    words: WordsByLanguage = field(factory=dict, converter=_lists)
    """What may be said for each language."""
    names: TextByLanguage = field(factory=dict)
    """The buttons: the name of each language in it."""
    to: str = goes_on()
    """Once it is chosen; and after a silence, in the language that it began in."""
    no_input: str = leads_to(instead="to")
    """After so many silences."""
    no_match: str = leads_to(instead="to")
    """After so many answers that were not understood."""


@frozen(kw_only=True)
class SurveyQuestion:
    """One question of a survey, answered by a number."""

    id: str = field(validator=matches_re(r"[a-z][a-z0-9_]{0,31}"))
    """The name of the answer."""
    prompt: Prompts = field(converter=prompts)
    """The question."""
    least: int = field(default=1, validator=[instance_of(int), ge(0)])
    """The lowest number."""
    most: int = field(default=5, validator=[instance_of(int), le(99)])
    """The highest one: 5 for satisfaction, 10 for a recommendation."""


@frozen(kw_only=True)
class SurveyNode(Hearing):
    """Asks for numbers, and keeps each as an entry ``survey.answer``. A question that nobody answers is passed over."""

    kind: ClassVar[str] = "survey"
    survey: str
    """The name of the survey, in the entries."""
    questions: tuple[SurveyQuestion, ...]
    """In order."""
    to: str = goes_on()
    """After the last one."""
    no_input: str = field(default="", init=False)
    """A question that nobody answers leads to the next one."""
    no_match: str = field(default="", init=False)
    """As ``no_input``."""


@frozen(kw_only=True)
class ConsentNode(Hearing):
    """Asks for a consent, and keeps the answer as an entry ``consent``: 1 or yes, 2 or no. Silence is no."""

    kind: ClassVar[str] = "consent"
    purpose: str
    """What it is for: ``recording``, ``advertising``."""
    prompt: Prompts = field(converter=prompts)
    """The question."""
    yes: str = goes_on()
    """It was given."""
    no: str = goes_on()
    """It was refused."""
    no_input: str = leads_to(instead="no")
    """Nobody answered."""
    no_match: str = leads_to(instead="no")
    """Nobody understood the answer."""


@frozen(kw_only=True)
class SubMenuNode(BuiltIn):
    """Enters another menu; where that says ``@return``, it goes on here."""

    kind: ClassVar[str] = "sub-menu"
    menu: str
    """Its file, beside this one; in Python its name."""
    to: str = goes_on()
    """When it returns."""


@frozen(kw_only=True)
class HangUpNode(BuiltIn):
    """Says goodbye and ends the exchange."""

    kind: ClassVar[str] = "hang-up"
    prompt: Prompts = field(converter=prompts)
    """The goodbye: why it ends here, and what happens next."""
    reason: str = "done"
    """For the agents."""
