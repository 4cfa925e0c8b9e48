"""What a menu can be built with and still should not have: the rules of ``fernamt menu check``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from fernamt.menus.checks import Menus, Questions, broken, key_of, prompts_of, values_in
from fernamt.menus.definition import KINDS, PERSONS, AnyNode, MenuDefinition
from fernamt.menus.heard import RESERVED_WORDS, words_of
from fernamt.menus.nodes import AnswerNode, AskNode, Hearing, MenuNode
from fernamt.menus.people import QueueNode, TransferNode, VoicemailNode
from fernamt.outbound import Voice
from fernamt.settings.mistake import Finding


@frozen
class Lint:
    """One rule."""

    id: str
    about: str
    run: Callable[[MenuDefinition], Iterator[Finding]]


@frozen
class Flaw:
    """A place where a menu breaks a rule."""

    rule: str
    path: tuple[str, ...]
    problem: str
    fix: str


def flaws(definition: MenuDefinition, menus: Menus, questions: Questions) -> tuple[Flaw, ...]:
    """Return everything that is wrong with a definition; the rules of a menu that does not run are not asked."""
    if found := broken(definition, menus, questions):
        return tuple(Flaw("runs", one.path, one.problem, one.fix) for one in found)
    return tuple(Flaw(rule.id, one.path, one.problem, one.fix) for rule in LINTS for one in rule.run(definition))


def _reached(definition: MenuDefinition, *starts: str) -> set[str]:
    reached, ahead = set[str](), list(starts)
    while ahead:
        name = ahead.pop()
        if name in definition.nodes and name not in reached:
            reached.add(name)
            ahead += definition.next_nodes(name)
    return reached


def _unreached(definition: MenuDefinition) -> Iterator[Finding]:
    reached = _reached(definition, definition.entry, definition.fallback, definition.top)
    for name in definition.nodes:
        if name not in reached:
            yield Finding(("nodes", name), "nothing leads here", "Lead to it, or remove it")


def _outcomes(definition: MenuDefinition) -> Iterator[Finding]:
    """Behind the fallback an exit that leads nowhere leads in a circle."""
    for name in sorted(_reached(definition, definition.fallback)):
        for way, target in definition.nodes[name].exits.items():
            if target in ("", "@operator", definition.fallback):
                fix = "Lead it somewhere else: to voicemail, a call-back, or a goodbye that says what happens"
                place = ("nodes", name, *key_of(definition.nodes[name], way))
                yield Finding(place, "the fallback leads back to itself here", fix)


def _waits(node: AnyNode) -> bool:
    """Say whether somebody has to do something before it goes on, and is counted."""
    return isinstance(node, (Hearing, *PERSONS)) or type(node) not in KINDS.values()


def _loops(definition: MenuDefinition) -> Iterator[Finding]:
    quiet = {name for name, node in definition.nodes.items() if not _waits(node)}
    following = {name: [one for one in definition.next_nodes(name) if one in quiet] for name in quiet}
    told = set[str]()
    for name in sorted(quiet):
        reached, ahead = set[str](), list(following[name])
        while ahead:
            if (one := ahead.pop()) not in reached:
                reached.add(one)
                ahead += following[one]
        if name in reached and name not in told:
            told |= reached
            fix = "Put a node between that waits for somebody: menu, ask"
            yield Finding(("nodes", name), "it leads back to itself, and nothing counts how often", fix)


def _languages(definition: MenuDefinition) -> Iterator[Finding]:
    for name, node in definition.nodes.items():
        for path, said in prompts_of(node):
            place = ("nodes", name, *path)
            for language in definition.languages:
                if language not in said or not said[language].first:
                    yield Finding(place, f"it says nothing in {language!r}", "Write it in every language")
            kinds = {frozenset(value.name for value in values_in(one)) for one in said.values()}
            if len(kinds) > 1:
                yield Finding(place, "the languages say different values", "Say the same in each")
        for at, option in enumerate(node.options if isinstance(node, MenuNode) else ()):
            place = ("nodes", name, "options", str(at))
            for language in definition.languages:
                if language not in option.label:
                    yield Finding((*place, "label"), f"there is none in {language!r}", "Write it in every language")
                if option.words and language not in option.words:
                    yield Finding((*place, "words"), f"there are none in {language!r}", "Write them in every language")


def _persons(definition: MenuDefinition) -> Iterator[Finding]:
    """Whoever wants a person must be able to ask for one, not only to fail."""
    fallback = _reached(definition, definition.fallback)
    if not any(isinstance(definition.nodes[name], PERSONS) for name in fallback):
        fix = "Let it be, or lead to, a transfer, queue, callback or voicemail"
        yield Finding(("fallback",), "no person stands behind it", fix)
    if "operator" not in definition.keys.values():
        asking = {name for name, node in definition.nodes.items() if isinstance(node, MenuNode)}
        for name in sorted(asking & _reached(definition, definition.entry)):
            node = definition.nodes[name]
            chosen = [to for way, to in node.exits.items() if way.startswith("option")]
            if not any(_leads_to_person(definition, to) for to in chosen):
                fix = "Give it an option that leads to one, or the menu a key for it: keys = { 0 = 'operator' }"
                yield Finding(("nodes", name), "nobody can ask for a person here", fix)


def _leads_to_person(definition: MenuDefinition, target: str) -> bool:
    if target.startswith("@"):
        return target in ("@operator", "@back", "@top")
    return any(isinstance(definition.nodes[one], PERSONS) for one in _reached(definition, target))


def _words(definition: MenuDefinition) -> Iterator[Finding]:
    for name, node in definition.nodes.items():
        if not isinstance(node, MenuNode):
            continue
        for language in definition.languages:
            meant: dict[tuple[str, ...], int] = {}
            for at, option in enumerate(node.options):
                place = ("nodes", name, "options", str(at), "words")
                for word in (*option.words.get(language, ()), option.label.get(language, "")):
                    first = meant.setdefault(words_of(word), at)
                    if first != at and not (option.when or node.options[first].when):
                        fix = "Say something else for one of them"
                        yield Finding(place, f"{word!r} means option {first + 1}, too", fix)


def _hidden(definition: MenuDefinition) -> Iterator[Finding]:
    """Words of an option that hide what every menu knows."""
    reserved = {words_of(word): what for what, by in RESERVED_WORDS.items() for words in by.values() for word in words}
    for name, node in definition.nodes.items():
        for at, option in enumerate(node.options if isinstance(node, MenuNode) else ()):
            for words in option.words.values():
                for word in words:
                    what = reserved.get(words_of(word))
                    if what is not None and option.to != f"@{what}" and what not in ("operator", "language"):
                        fix = f"Lead it to '@{what}', or use another word"
                        place = ("nodes", name, "options", str(at), "words")
                        yield Finding(place, f"everybody who says {word!r} means {what!r}", fix)


LINTS: Final[Sequence[Lint]] = (
    Lint("reachable", "Every node can be reached.", _unreached),
    Lint("outcome", "Every outcome leads on, behind the fallback, too.", _outcomes),
    Lint("loop", "No circle without somebody who waits and is counted.", _loops),
    Lint("language", "Every language is complete, and says the same values.", _languages),
    Lint("person", "A person can be reached, by choice and by the fallback.", _persons),
    Lint("words", "Words mean one option only.", _words),
    Lint("reserved", "What every menu knows is not hidden by an option.", _hidden),
)
"""Beside ``runs``: that the menu can be built at all."""


def unable(definition: MenuDefinition, channel: str, voice: Voice | None) -> Iterator[Flaw]:
    """Yield what a channel cannot do of what the menu wants; *voice* is ``None`` where everything is read."""
    if voice is None:
        yield from _unreadable(definition, channel)
        return
    wants: Mapping[str, bool] = {"transfer": voice.transfer, "record": voice.record, "speech": voice.speech}
    for name, node in definition.nodes.items():
        for what in _wanted(node):
            if not wants[what]:
                problem = f"{channel} cannot {_SAID[what]}"
                yield Flaw("channel", ("nodes", name), problem, "Bind the menu to another channel, or do without")


_HEARD_ONLY: Final[Mapping[str, re.Pattern[str]]] = {
    "de": re.compile(
        r"drück|\b(taste|raute|rautetaste|sterntaste|leitung|gehört|anrufen|anruf|wiederhören|ton)\b", re.IGNORECASE
    ),
    "en": re.compile(
        r"\b(press|hash|pound key|star key|hold|the line|tone|hear|heard|calling|call again)\b", re.IGNORECASE
    ),
}
"""Words that make no sense to whoever reads."""


def _unreadable(definition: MenuDefinition, channel: str) -> Iterator[Flaw]:
    """Yield the prompts that tell whoever reads to press or to listen."""
    for name, node in definition.nodes.items():
        for path, said in prompts_of(node):
            if isinstance(node, QueueNode) and (path == ("offer",) or not any(one.written for one in said.values())):
                continue  # where it is read, nobody waits in line
            for language, wording in said.items():
                words = _HEARD_ONLY.get(language.partition("-")[0])
                texts = [text for phrase in wording.read for text in phrase if isinstance(text, str)]
                if found := words and next(filter(None, map(words.search, texts)), None):
                    problem = f"{channel} is read, and it says {found[0]!r}"
                    fix = "Write beside it what is read: written = '...', or written = { first = '...', no_match = ['...'] }"
                    yield Flaw("channel", ("nodes", name, *path, language), problem, fix)


_SAID: Final[Mapping[str, str]] = {
    "transfer": "transfer calls",
    "record": "record",
    "speech": "understand speech: only keys will work",
}


def _wanted(node: AnyNode) -> Iterator[str]:
    if isinstance(node, TransferNode | QueueNode):
        yield "transfer"
    if isinstance(node, VoicemailNode):
        yield "record"
    words_only = isinstance(node, AnswerNode) or (isinstance(node, MenuNode | AskNode) and node.by == "words")
    if words_only:
        yield "speech"
