"""Each rule finds the fault that was planted for it, and no other rule does; a menu that is right has none."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
from attrs import frozen

from fernamt import (
    AskNode,
    BranchNode,
    BuiltMenu,
    Case,
    Condition,
    HangUpNode,
    LanguageNode,
    LookupNode,
    MenuDefinition,
    MenuMistakes,
    MenuNode,
    Option,
    SayNode,
    SubMenuNode,
    SurveyNode,
    SurveyQuestion,
    Variable,
    Voice,
    Wording,
)
from fernamt.menus.linting import LINTS, flaws, unable

from .small import NODES, SMALL, both, changed, with_nodes


@frozen
class Planted:
    """A fault, and what is said of it."""

    rule: str
    menu: MenuDefinition
    said: str

    def __str__(self) -> str:
        return f"{PLANTED.index(self)}-{self.rule}"


def options(*chosen: Option) -> MenuDefinition:
    return changed("main", options=(*chosen, *SMALL.nodes["main"].options[1:]))  # type: ignore[union-attr]


def first(**fields: object) -> MenuDefinition:
    return options(attrs.evolve(SMALL.nodes["main"].options[0], **fields))  # type: ignore[union-attr]


def when(**condition: object) -> MenuDefinition:
    case = Case(when=(Condition(variable="state", **condition),), to="bye")  # type: ignore[arg-type]
    return with_nodes(told=BranchNode(cases=(case,), otherwise="bye"))


@frozen
class NoNode:
    exits: Mapping[str, str]


PIN = {**SMALL.variables, "pin": Variable("digits", "secret")}
SECRET = attrs.evolve(with_nodes(number=AskNode(prompt=both("?"), into="pin", to="look")), variables=PIN)
CIRCLE = with_nodes(about=SayNode(prompt=both("a"), to="round"), round=SayNode(prompt=both("b"), to="about"))
LONELY = MenuDefinition(
    id="lonely",
    languages=("de",),
    entry="main",
    fallback="bye",
    nodes={
        "main": MenuNode(
            prompt={"de": "?"}, options=(Option(key="1", label={"de": "a"}, to="bye"),), no_input="bye", no_match="bye"
        ),
        "bye": HangUpNode(prompt={"de": "Tschüss"}),
    },
)
PLANTED = [
    # what keeps it from running
    Planted("runs", attrs.evolve(SMALL, entry="mian"), "there is no node 'mian'"),
    Planted("runs", attrs.evolve(SMALL, fallback="nobody"), "there is no node 'nobody'"),
    Planted("runs", attrs.evolve(SMALL, keys={"0": "opperator"}), "'opperator' is nothing that a key can do"),
    Planted("runs", attrs.evolve(SMALL, keys={"A": "operator"}), "no key of a telephone"),
    Planted("runs", attrs.evolve(SMALL, languages=("deutsch!",)), "no tags of languages"),
    Planted(
        "runs", attrs.evolve(SMALL, variables={**SMALL.variables, "caller": Variable()}), "every menu has this one"
    ),
    Planted("runs", attrs.evolve(SMALL, variables={**SMALL.variables, "Big": Variable()}), "no name of a variable"),
    Planted("runs", changed("about", to="mane"), "there is no node 'mane'"),
    Planted("runs", changed("about", prompt={"fr": "Oui"}), "none of the menu's languages"),
    Planted("runs", changed("told", prompt=both("{stat}")), "there is no variable 'stat'"),
    Planted("runs", changed("number", into="nothing"), "there is no variable 'nothing'"),
    Planted("runs", changed("number", least=7), "it is more than 'most'"),
    Planted("runs", changed("main", options=()), "it offers nothing"),
    Planted("runs", first(key="2"), "key 2 means 2 things"),
    Planted("runs", first(label={}), "there is none"),
    Planted("runs", changed("look", question="ordr"), "there is no question 'ordr'"),
    Planted("runs", changed("look", using={}), "the question needs 'number'"),
    Planted("runs", changed("look", using={"number": "state", "nmber": "state"}), "no such field"),
    Planted("runs", changed("look", take={"stat": "state"}), "there is no variable 'stat'"),
    Planted("runs", when(equals=5), "5 is never equal to state"),
    Planted("runs", when(above=5), "state is no number"),
    Planted("runs", when(), "it says nothing of state"),
    Planted("runs", with_nodes(told=BranchNode(cases=(Case(when=(), to="bye"),), otherwise="bye")), "it holds always"),
    Planted("runs", with_nodes(about=SubMenuNode(menu="nowhere", to="main")), "there is no menu 'nowhere'"),
    Planted(
        "runs", with_nodes(about=LanguageNode(prompt=both("?"), keys={"de": "1"}, to="main")), "it does not offer 'en'"
    ),
    Planted("runs", with_nodes(about=SurveyNode(survey="s", questions=(), to="main")), "there are none"),
    Planted(
        "runs",
        with_nodes(
            about=SurveyNode(survey="s", questions=(SurveyQuestion(id="a", prompt=both("?"), least=5),), to="main")
        ),
        "not less than 'most'",
    ),
    Planted("runs", with_nodes(about=NoNode({"to": "main"})), "NoNode is no node"),
    Planted("runs", SECRET, "pin is secret, and what follows does not use it"),
    Planted("runs", attrs.evolve(changed("told", prompt=both("{pin}")), variables=PIN), "{pin} is secret"),
    # what it should not have
    Planted("reachable", with_nodes(island=SayNode(prompt=both("?"), to="bye")), "nothing leads here"),
    Planted("outcome", changed("person", busy="person"), "the fallback leads back to itself here"),
    Planted("outcome", changed("message", failed=""), "the fallback leads back to itself here"),
    Planted("loop", CIRCLE, "nothing counts how often"),
    Planted("language", changed("about", prompt={"de": "Nur deutsch"}), "it says nothing in 'en'"),
    Planted("language", first(label={"de": "Rechnung"}), "there is none in 'en'"),
    Planted("language", first(words={"de": ("mahnung",)}), "there are none in 'en'"),
    Planted("language", changed("told", prompt=both("Stand: {state}", "Done")), "the languages say different values"),
    Planted("person", LONELY, "no person stands behind it"),
    Planted("words", first(words=both("Mensch", "Person")), "means option 1, too"),
    Planted("reserved", first(words={"de": ("zurück",), "en": ("back",)}), "means 'back'"),
]


def test_a_menu_that_is_right_has_no_flaw() -> None:
    assert flaws(SMALL, {}, {}) == ()


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_planted_fault_is_found_by_its_own_rule_and_by_no_other(planted: Planted) -> None:
    found = flaws(planted.menu, {}, {})

    assert {one.rule for one in found} == {planted.rule}
    assert planted.said in " ".join(one.problem for one in found)
    assert [one for one in found if not one.fix or not one.path] == []


def test_every_rule_has_a_planted_fault() -> None:
    assert {one.rule for one in PLANTED} == {"runs", *(rule.id for rule in LINTS)}


def test_what_does_not_run_cannot_be_built() -> None:
    with pytest.raises(MenuMistakes, match="there is no node 'mian'"):
        BuiltMenu(attrs.evolve(SMALL, entry="mian"))


def test_nobody_can_ask_for_a_person_where_neither_key_nor_option_leads_to_one() -> None:
    alone = MenuNode(
        prompt=both("?"), options=(Option(key="1", label=both("a"), to="bye"),), no_input="bye", no_match="person"
    )
    menu = attrs.evolve(
        SMALL, keys={}, nodes={**{name: NODES[name] for name in ("person", "message", "bye")}, "main": alone}
    )

    assert [one.problem for one in flaws(menu, {}, {})] == ["nobody can ask for a person here"]


def test_a_menu_that_enters_itself_is_refused() -> None:
    inner = attrs.evolve(with_nodes(about=SubMenuNode(menu="inner", to="main")), id="inner")
    menu = with_nodes(about=SubMenuNode(menu="inner", to="main"))

    assert "enters itself" in flaws(menu, {"inner": inner}, {})[0].problem


def test_what_a_channel_cannot_do_is_named() -> None:
    said = [one.problem for one in unable(SMALL, "trunk", Voice(transfer=False, record=False, speech=True))]

    assert said == ["trunk cannot transfer calls", "trunk cannot record"]


@pytest.mark.parametrize(
    ("wording", "word"),
    [
        (Wording("Drücken Sie die 1."), "Drück"),
        (Wording("Drücken Sie die 1.", written="Was möchten Sie?"), None),
        (Wording("Was?", no_input=("Ich habe nichts gehört.",)), "gehört"),
        (Wording("Was?", no_input=("Ich habe nichts gehört.",), written="Was?"), None),
        (Wording("Was?", written=Wording("Was?", no_match=("Nach dem Ton!",))), "Ton"),
        (Wording("Der Eindruck betont, was niemand hört: es gehörte dazu."), None),
    ],
)
def test_who_reads_cannot_press_or_listen(wording: Wording, word: str | None) -> None:
    menu = changed("main", prompt={"de": wording, "en": Wording("What?")})
    said = [one.problem for one in unable(menu, "chat", None) if one.path[:2] == ("nodes", "main")]

    assert said == ([f"chat is read, and it says {word!r}"] if word else [])


def test_a_look_up_may_ask_a_strangers_question() -> None:
    from fernamt import HoursQuestion

    node = LookupNode(question="acme.hours", take={"state": "reason"}, found="told", failed="person")
    menu = with_nodes(look=node)

    assert "there is no question" in flaws(menu, {}, {})[0].problem
    assert flaws(menu, {}, {"acme.hours": HoursQuestion}) == ()
