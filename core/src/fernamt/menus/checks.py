"""What keeps a definition from being a menu: names that lead nowhere, values of the wrong type, keys that mean two things."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from fernamt.menus.definition import KINDS, LANGUAGE, NODES_MAX, MenuDefinition
from fernamt.menus.node import RESERVED, TARGETS, Node
from fernamt.menus.nodes import AskNode, BranchNode, LanguageNode, LookupNode, MenuNode, SubMenuNode, SurveyNode
from fernamt.menus.people import CallbackNode
from fernamt.menus.questions import FILLED, QUESTIONS
from fernamt.menus.variables import GIVEN, NAME, VARIABLES_MAX, Condition, taken
from fernamt.menus.wording import Value, Wording
from fernamt.services import Question
from fernamt.settings.mistake import Finding, did_you_mean

Menus: TypeAlias = Mapping[str, MenuDefinition]
Questions: TypeAlias = Mapping[str, type[Question[Any]]]
_NODE: Final = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_KEY: Final = re.compile(r"[0-9*#]")
DECLARE: Final = "Declare it: [variables] {name} = {{ type = 'text' }}"


def broken(definition: MenuDefinition, menus: Menus, questions: Questions) -> tuple[Finding, ...]:
    """Return everything that keeps the definition from running."""
    return tuple(_found(definition, menus, {**QUESTIONS, **questions}, ()))


def _found(
    definition: MenuDefinition, menus: Menus, questions: Questions, entered: tuple[str, ...]
) -> Iterator[Finding]:
    yield from _header(definition)
    for name, node in definition.nodes.items():
        place = ("nodes", name)
        if not _NODE.fullmatch(name):
            yield Finding(place, "this is no name of a node", "Write small letters, digits and hyphens")
        if type(node) not in KINDS.values():
            yield from _foreign(node, place)
        yield from _targets(definition, name)
        for path, wordings in prompts_of(node):
            yield from _spoken(definition, (*place, *path), wordings)
        for kind, check in _CHECKS.items():
            if isinstance(node, kind):
                yield from check(definition, node, place)
        if isinstance(node, LookupNode):
            yield from _question(definition, node, place, questions)
        if isinstance(node, SubMenuNode):
            yield from _entered(definition, node, place, menus, questions, entered)


def _header(definition: MenuDefinition) -> Iterator[Finding]:
    nodes = definition.nodes
    if not definition.languages or not all(map(LANGUAGE.fullmatch, definition.languages)):
        yield Finding(("languages",), "these are no tags of languages", "Write for instance languages = ['de', 'en']")
    if len(nodes) > NODES_MAX:
        yield Finding(("nodes",), f"there are more than {NODES_MAX}", "Put some into a menu of their own: sub-menu")
    for key in ("entry", "fallback", "top", "done"):
        name = getattr(definition, key)
        if name not in nodes and (name or key not in ("top", "done")):
            yield Finding((key,), f"there is no node {name!r}", did_you_mean(name, nodes) or "Name a node")
    for key, what in definition.keys.items():
        if not _KEY.fullmatch(key):
            yield Finding(("keys", key), "this is no key of a telephone", "Write 0 to 9, * or #")
        if what not in RESERVED:
            yield Finding(("keys", key), f"{what!r} is nothing that a key can do", did_you_mean(what, RESERVED))
    yield from _variables(definition)


def _variables(definition: MenuDefinition) -> Iterator[Finding]:
    if len(definition.variables) > VARIABLES_MAX:
        yield Finding(("variables",), f"there are more than {VARIABLES_MAX}", "Keep what is needed to go on")
    for name in definition.variables:
        if name in GIVEN:
            yield Finding(("variables", name), "every menu has this one", "Give it another name")
        elif not NAME.fullmatch(name):
            yield Finding(("variables", name), "this is no name of a variable", "Write small letters, digits and _")


def _targets(definition: MenuDefinition, name: str) -> Iterator[Finding]:
    for way, target in definition.nodes[name].exits.items():
        if target and target not in definition.nodes and target not in TARGETS:
            known = [*definition.nodes, *TARGETS]
            place = ("nodes", name, *key_of(definition.nodes[name], way))
            yield Finding(place, f"there is no node {target!r}", did_you_mean(target, known))


def key_of(node: Any, way: str) -> tuple[str, ...]:
    """Return the path of the key, below its node, that says where an exit leads."""
    kind, _, which = way.partition(" ")
    if isinstance(node, MenuNode) and kind == "option":
        return "options", str(node.ways.index(way)), "to"
    if isinstance(node, BranchNode) and kind == "case":
        return "cases", str(int(which) - 1), "to"
    return (way,)


def _foreign(node: Any, place: tuple[str, ...]) -> Iterator[Finding]:
    if not attrs.has(type(node)) or not isinstance(node, Node) or not isinstance(node.exits, Mapping):
        problem = f"{type(node).__name__} is no node"
        yield Finding(place, problem, "It must be a frozen attrs class with exits, enter and resume")


# ---- what is said
def prompts_of(value: Any) -> Iterator[tuple[tuple[str, ...], Mapping[str, Wording]]]:
    """Yield all prompts in a node, each with its path there."""
    for one in attrs.fields(type(value)):
        inner = getattr(value, one.name)
        if isinstance(inner, Mapping) and inner and all(isinstance(said, Wording) for said in inner.values()):
            yield (one.name,), inner
        elif isinstance(inner, tuple):
            for at, item in enumerate(inner):
                if attrs.has(type(item)) and not isinstance(item, Wording):
                    yield from (((one.name, str(at), *path), said) for path, said in prompts_of(item))


def values_in(wording: Wording) -> Iterator[Value]:
    """Yield the places of values in all that a wording can say."""
    for phrase in wording.phrases:
        yield from (one for one in phrase if isinstance(one, Value))


def _spoken(definition: MenuDefinition, place: tuple[str, ...], said: Mapping[str, Wording]) -> Iterator[Finding]:
    known = definition.known
    for language, wording in said.items():
        if language not in definition.languages:
            fix = did_you_mean(language, definition.languages)
            yield Finding((*place, language), "this is none of the menu's languages", fix)
        for value in values_in(wording):
            if value.name not in known:
                yield _undeclared((*place, language), value.name, known)
            elif known[value.name].redact == "secret":
                fix = "Leave it away: a secret is never said"
                yield Finding((*place, language), f"{{{value.name}}} is secret", fix)


def _undeclared(place: tuple[str, ...], name: str, known: Mapping[str, Any]) -> Finding:
    near = did_you_mean(name, known)
    return Finding(
        place, f"there is no variable {name!r}", near if near.startswith("Did") else DECLARE.format(name=name)
    )


# ---- nodes
def _menu(definition: MenuDefinition, node: MenuNode, place: tuple[str, ...]) -> Iterator[Finding]:
    if not node.options:
        yield Finding(place, "it offers nothing", "Give it [[options]]")
    always = [one.key or str(at) for at, one in enumerate(node.options, 1) if not one.when]
    for key, count in Counter(always).items():
        if count > 1:
            yield Finding((*place, "options"), f"key {key} means {count} things", "Give each option a key of its own")
    for at, one in enumerate(node.options):
        where = (*place, "options", str(at))
        if not one.label:
            yield Finding((*where, "label"), "there is none", "Write one for each language")
        for language in {*one.label, *one.words} - {*definition.languages}:
            yield Finding((*where, language), "this is none of the menu's languages", "Remove it")
        yield from _conditions(definition, one.when, where)


def _branch(definition: MenuDefinition, node: BranchNode, place: tuple[str, ...]) -> Iterator[Finding]:
    for at, case in enumerate(node.cases):
        where = (*place, "cases", str(at))
        if not case.when:
            yield Finding(where, "it holds always", "Name what must hold, or lead there with 'otherwise'")
        yield from _conditions(definition, case.when, where)


def _conditions(definition: MenuDefinition, when: tuple[Condition, ...], place: tuple[str, ...]) -> Iterator[Finding]:
    known = definition.known
    for one in when:
        variable = known.get(one.variable)
        if variable is None:
            yield _undeclared((*place, "when"), one.variable, known)
            continue
        compared = (*one.one_of, *(() if one.equals is None else (one.equals,)))
        for value in compared:
            kept = taken(value, variable.type)
            if kept is None or kept != value:
                fix = f"{one.variable} is of type {variable.type}: write a value as that type keeps it"
                yield Finding((*place, "when"), f"{value!r} is never equal to {one.variable}", fix)
        numbers = one.above is not None or one.below is not None
        if numbers and variable.type not in ("number", "amount"):
            fix = "Compare numbers and amounts, or use equals"
            yield Finding((*place, "when"), f"{one.variable} is no number", fix)
        if not (compared or numbers or one.known is not None):
            fix = "Say equals, one_of, above, below or known"
            yield Finding((*place, "when"), f"it says nothing of {one.variable}", fix)


def _ask(definition: MenuDefinition, node: AskNode, place: tuple[str, ...]) -> Iterator[Finding]:
    variable = definition.variables.get(node.into)
    if variable is None:
        yield _undeclared((*place, "into"), node.into, definition.variables)
        return
    if node.least > node.most:
        yield Finding((*place, "least"), "it is more than 'most'", "Change one of them")
    if variable.redact != "secret":
        return
    if node.confirm:
        fix = "Leave it away: it would be kept, and said"
        yield Finding((*place, "confirm"), f"{node.into} is secret", fix)
    follower = definition.nodes.get(node.to)
    if not isinstance(follower, LookupNode) or node.into not in follower.using.values():
        fix = "Lead to the lookup that uses it: afterwards nobody knows it any more"
        yield Finding((*place, "to"), f"{node.into} is secret, and what follows does not use it", fix)


def _language(definition: MenuDefinition, node: LanguageNode, place: tuple[str, ...]) -> Iterator[Finding]:
    for language in definition.languages:
        if language not in node.keys or language not in node.prompt:
            yield Finding(place, f"it does not offer {language!r}", "Give it a key and a prompt")
    if len(set(node.keys.values())) < len(node.keys):
        yield Finding((*place, "keys"), "a key means two languages", "Give each a key of its own")
    for language, key in node.keys.items():
        if language not in definition.languages or not _KEY.fullmatch(key):
            yield Finding((*place, "keys", language), "this is no language of the menu, or no key", "Correct it")


def _survey(_: MenuDefinition, node: SurveyNode, place: tuple[str, ...]) -> Iterator[Finding]:
    if not node.questions:
        yield Finding((*place, "questions"), "there are none", "Ask something")
    for at, one in enumerate(node.questions):
        if one.least >= one.most:
            yield Finding((*place, "questions", str(at), "least"), "it is not less than 'most'", "Change one of them")


def _callback(definition: MenuDefinition, node: CallbackNode, place: tuple[str, ...]) -> Iterator[Finding]:
    if node.slot and node.slot not in definition.variables:
        yield _undeclared((*place, "slot"), node.slot, definition.variables)


_CHECKS: Final[Mapping[type, Callable[[MenuDefinition, Any, tuple[str, ...]], Iterator[Finding]]]] = {
    MenuNode: _menu,
    BranchNode: _branch,
    AskNode: _ask,
    LanguageNode: _language,
    SurveyNode: _survey,
    CallbackNode: _callback,
}


def _question(
    definition: MenuDefinition, node: LookupNode, place: tuple[str, ...], questions: Questions
) -> Iterator[Finding]:
    for variable in node.using.values():
        if variable not in definition.known:
            yield _undeclared((*place, "using"), variable, definition.known)
    for variable in node.take:
        if variable not in definition.variables:
            yield _undeclared((*place, "take", variable), variable, definition.variables)
    kind = questions.get(node.question)
    if kind is None:
        fix = did_you_mean(node.question, questions)
        yield Finding((*place, "question"), f"there is no question {node.question!r}", fix)
        return
    asked: type[Any] = kind
    fields = attrs.fields_dict(asked)
    for name in node.using.keys() - fields.keys():
        yield Finding((*place, "using", name), "the question has no such field", did_you_mean(name, fields))
    for name, one in fields.items():
        if one.default is attrs.NOTHING and name not in node.using and name not in FILLED:
            fix = f"Write using = {{ {name} = '<variable>' }}"
            yield Finding((*place, "using"), f"the question needs {name!r}", fix)


def _entered(
    definition: MenuDefinition,
    node: SubMenuNode,
    place: tuple[str, ...],
    menus: Menus,
    questions: Questions,
    entered: tuple[str, ...],
) -> Iterator[Finding]:
    inner = menus.get(node.menu)
    if inner is None:
        fix = did_you_mean(node.menu, menus) or "Give it to the menu that enters it: menus = {name: definition}"
        yield Finding((*place, "menu"), f"there is no menu {node.menu!r}", fix)
        return
    if node.menu in entered or len(entered) > 8:
        yield Finding((*place, "menu"), f"{node.menu} enters itself", "Go back with @return instead")
        return
    for name in definition.variables.keys() & inner.variables.keys():
        if definition.variables[name] != inner.variables[name]:
            fix = "Give it one type and one class in both, or another name"
            yield Finding((*place, "menu"), f"{name} is another thing in {node.menu}", fix)
    if missing := {*definition.languages} - {*inner.languages}:
        fix = "Write it there, too"
        yield Finding((*place, "menu"), f"{node.menu} does not speak {', '.join(sorted(missing))}", fix)
    for one in _found(inner, menus, questions, (*entered, node.menu)):
        yield Finding((*place, "menu"), f"{node.menu}, {'.'.join(one.path)}: {one.problem}", one.fix)
