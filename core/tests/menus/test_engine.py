"""What a caller gets from each node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import attrs
import pytest
from attrs import frozen

from fernamt import (
    AddEntry,
    Address,
    AnswerNode,
    AskNode,
    BranchNode,
    BuiltMenu,
    CallbackNode,
    Case,
    Condition,
    ConsentNode,
    FaqAnswer,
    Gather,
    HangUp,
    Happened,
    Hours,
    HoursNode,
    HungUp,
    LanguageNode,
    Leave,
    LookedUp,
    LookUp,
    LookUpFailed,
    LookupNode,
    MenuLimits,
    MenuNode,
    Option,
    OrderQuestion,
    OrderStatus,
    Place,
    PlaceQuestion,
    Pressed,
    QueueNode,
    Record,
    Reply,
    RouteNode,
    Said,
    Say,
    SayNode,
    Silence,
    Stay,
    SubMenuNode,
    TextbackNode,
    Transfer,
    Transferred,
    Variable,
    Visit,
    Wording,
)
from fernamt.menus.heard import words_of
from fernamt.menus.linting import flaws

from .small import NOW, SMALL, Caller, both, changed, with_nodes


def entries(caller: Caller) -> dict[str, AddEntry]:
    return {one.kind: one for one in caller.step.actions if isinstance(one, AddEntry)}


def question(caller: Caller) -> object:
    [asked] = [one for one in caller.step.actions if isinstance(one, LookUp)]
    return asked.question


# ---- choices
@pytest.mark.parametrize(
    ("event", "node"),
    [
        (Pressed("1"), "number"),
        (Pressed("3"), "person"),
        (Said("Rechnung"), "number"),
        (Said("Ich habe eine MAHNUNG bekommen!"), "number"),
        (Said("eins"), "number"),
        (Said("die drei bitte"), "person"),
        (Said("mensch"), "person"),
        (Said("Vermittlung, bitte"), "person"),
        (Said("Rechnung", confidence=0.1), "main"),
        (Said("eins oder zwei"), "main"),
        (Said("Wetter"), "main"),
        (Pressed("7"), "main"),
        (Pressed("0"), "person"),
        (Silence(), "main"),
    ],
)
def test_a_choice_is_made_by_key_or_by_words(event: Happened, node: str) -> None:
    caller = Caller(SMALL)
    caller.does(event)

    assert caller.node == node


def test_umlauts_and_their_spelling_are_the_same() -> None:
    for said in ("Über uns", "ueber uns", "ÜBER UNS", "u\u0308ber uns"):
        caller = Caller(SMALL)
        caller.does(Said(said))
        assert caller.heard == "Wir sind wir. Was?"


def test_who_reads_gets_buttons_and_the_text_that_is_meant_for_it() -> None:
    prompt = {"de": Wording("Drücken Sie die 1", written="Was möchten Sie?"), "en": Wording("Press 1")}
    caller = Caller(changed("main", prompt=prompt), written=True)
    [asked] = caller.step.actions

    assert caller.heard == "Was möchten Sie?"
    assert isinstance(asked, Gather)
    assert [(one.value, one.label) for one in asked.buttons] == [("1", "Rechnung"), ("2", "Über uns"), ("3", "Mensch")]


@pytest.mark.parametrize(
    ("wording", "heard"),
    [
        # What is read is its own, and the core says what its author did not.
        (Wording("Drücken Sie", no_match=("Ich höre",), written="Was?"), "Das habe ich nicht verstanden. Was?"),
        (
            Wording(
                "Drücken Sie", no_match=("Ich höre",), written=Wording("Was?", again="Also?", no_match=("Bitte?",))
            ),
            "Bitte?",
        ),
        (Wording("Was?", no_match=("Bitte?",)), "Bitte?"),
        (Wording("Was?", again="Also?"), "Das habe ich nicht verstanden. Also?"),
    ],
)
def test_who_reads_is_told_that_it_was_not_understood(wording: Wording, heard: str) -> None:
    caller = Caller(changed("main", prompt={"de": wording, "en": Wording("What?")}), written=True)
    caller.does(Said("blau"))

    assert caller.heard == heard


def test_prompts_are_tapered_by_what_went_wrong_and_how_often() -> None:
    wording = Wording("Erst", again="Wieder", no_input=("Still 1", "Still 2"), no_match=("Falsch 1",), help="Hilfe")
    caller = Caller(changed("main", prompt={"de": wording, "en": wording}, tries=9))
    heard = [caller.heard]
    for event in (Silence(), Silence(), Silence(), Pressed("7"), Pressed("7"), Said("Hilfe"), Pressed("#")):
        caller.does(event)
        heard.append(caller.heard)

    assert heard == ["Erst", "Still 1", "Still 2", "Still 2", "Falsch 1", "Falsch 1", "Hilfe", "Wieder"]


def test_misses_lead_on_after_the_tries_and_are_counted_apart() -> None:
    caller = Caller(changed("main", tries=2, no_input="bye", no_match="message"))
    caller.does(Silence(), Pressed("7"), Pressed("7"))

    assert caller.node == "message"


def test_an_option_is_there_only_if_its_condition_holds() -> None:
    vip = Option(key="4", label=both("Sonderwunsch"), to="person", when=(Condition(variable="state", equals="vip"),))
    menu = changed("main", options=(*SMALL.nodes["main"].options, vip))  # type: ignore[union-attr]
    without, with_it = Caller(menu), Caller(menu)
    without.does(Pressed("4"))
    assert with_it.state is not None
    walk = [*with_it.state["walk"]]  # type: ignore[misc]
    walk[4] = {"state": "vip"}
    with_it.state = {**with_it.state, "walk": walk}
    with_it.does(Pressed("4"))

    assert (without.node, with_it.node) == ("main", "person")


# ---- what every menu knows
def test_back_top_and_another_language() -> None:
    caller = Caller(SMALL)
    caller.does(Pressed("1"), Pressed("*"))
    assert caller.node == "main"
    caller.does(Pressed("1"), Said("Hauptmenü"))
    assert caller.node == "main"
    caller.does(Said("English"))
    assert caller.heard == "What?"
    caller.does(Said("deutsch"))
    assert caller.heard == "Was?"


# ---- values
@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (Pressed("4711"), "4711"),
        (Pressed("4711#"), "4711"),
        (Said("vier sieben eins eins"), "4711"),
        (Said("four 7 one-one"), "4711"),
        (Pressed("12"), None),
        (Pressed("1234567"), None),
        (Said("keine Ahnung"), None),
    ],
)
def test_digits_are_taken_from_keys_and_words_if_there_are_enough(event: Happened, kept: str | None) -> None:
    caller = Caller(SMALL)
    caller.does(Pressed("1"), event)

    assert caller.node == ("number" if kept is None else "look")
    if kept is not None:
        assert question(caller) == OrderQuestion(number=kept, addresses=(Address("phone", "+4930123456"),))


@pytest.mark.parametrize(
    ("kind", "said", "kept"),
    [
        ("date", "30. November 2026", "2026-11-30"),
        ("date", "30.11.2026", "2026-11-30"),
        ("date", "31.2.2026", None),
        ("amount", "12,9", "12.90"),
        ("amount", "viel", None),
        ("number", "42", "42"),
        ("flag", "jawohl", "ja"),
        ("flag", "nein danke", "nein"),
        ("text", "  Weber ", "Weber"),
    ],
)
def test_a_value_is_of_its_type_or_none(kind: str, said: str, kept: str | None) -> None:
    menu = attrs.evolve(
        with_nodes(
            number=AskNode(prompt=both("?"), into="x", to="told"), told=SayNode(prompt=both("{x:plain}"), to="bye")
        ),
        variables={**SMALL.variables, "x": Variable(kind)},  # type: ignore[arg-type]
    )
    caller = Caller(menu)
    caller.does(Pressed("1"), Said(said))

    assert caller.node == ("number" if kept is None else "bye")
    if kept is not None:
        assert caller.heard == f"{kept} Tschüss"


def test_a_value_is_confirmed_and_asked_again_if_it_is_wrong() -> None:
    caller = Caller(changed("number", confirm=both("{number_of_order}?")))
    caller.does(Pressed("1"), Pressed("4711"))
    assert caller.heard == "4 7 1 1?"
    caller.does(Said("nein"))
    assert caller.heard == "Nummer?"
    caller.does(Pressed("4712"), Said("ja, richtig"))
    assert caller.node == "look"


def test_a_secret_is_used_by_the_look_up_that_follows_and_is_in_no_state() -> None:
    menu = attrs.evolve(
        with_nodes(
            number=AskNode(prompt=both("PIN?"), into="pin", to="look"),
            look=LookupNode(question="order", using={"number": "pin"}, found="bye", failed="person"),
        ),
        variables={**SMALL.variables, "pin": Variable("digits", "secret")},
    )
    caller = Caller(menu)
    [asked] = caller.does(Pressed("1")).actions
    assert isinstance(asked, Gather)
    assert asked.sensitive
    caller.does(Pressed("98765"))

    assert isinstance(found := question(caller), OrderQuestion)
    assert found.number == "98765"
    assert "98765" not in str(caller.state)


# ---- services
def test_an_answer_fills_variables_of_their_types() -> None:
    menu = attrs.evolve(
        with_nodes(
            look=LookupNode(
                question="order",
                using={"number": "number_of_order"},
                take={"state": "state", "day": "expected_on", "price": "total"},
                found="told",
            ),
            told=SayNode(prompt=both("{state}, {day}, {price}"), to="bye"),
        ),
        variables={**SMALL.variables, "day": Variable("date"), "price": Variable("amount")},
    )
    german, english = Caller(menu), Caller(menu, "en")
    answer = LookedUp(OrderStatus(state="sent", expected_on=date(2026, 12, 2), total="1059.5"))
    german.does(Pressed("1"), Pressed("4711"), answer)
    english.does(Pressed("1"), Pressed("4711"), answer)

    assert german.heard == "sent, 2. Dezember 2026, 1059,50 Euro Tschüss"
    assert english.heard == "sent, 2 December 2026, 1059.50 euros Bye"


@pytest.mark.parametrize(
    ("answer", "node"),
    [
        (LookedUp(Hours(is_open=True, reason="", changes_at=None)), "main"),
        (LookedUp(Hours(is_open=False, reason="", changes_at=None)), "bye"),
        (LookedUp(Hours(is_open=False, reason="", changes_at=None, occasion="holiday")), "message"),
        (LookedUp(Hours(is_open=False, reason="", changes_at=None, occasion="special")), "bye"),
        (LookedUp("nonsense"), "person"),
        (LookUpFailed("nobody"), "person"),
    ],
)
def test_hours_lead_where_they_should(answer: Happened, node: str) -> None:
    hours = HoursNode(open="main", closed="bye", holiday="message")
    caller = Caller(attrs.evolve(with_nodes(hours=hours), entry="hours"))
    caller.does(answer)

    assert caller.node == node


def test_a_question_in_free_words_is_answered_if_the_answer_is_sure() -> None:
    faq = AnswerNode(prompt=both("Frage?"), floor=0.5, answered="bye", unknown="person")
    sure, unsure = (Caller(attrs.evolve(with_nodes(faq=faq), entry="faq")) for _ in range(2))
    sure.does(Said("Wie lange Garantie?"), LookedUp((FaqAnswer("24 Monate.", 0.9, ""),)))
    unsure.does(Said("Wie lange Garantie?"), LookedUp((FaqAnswer("24 Monate.", 0.4, ""),)))

    assert sure.heard == "24 Monate. Tschüss"
    assert unsure.node == "person"


def test_a_branch_takes_the_first_case_that_holds() -> None:
    cases = (
        Case(
            when=(Condition(variable="number_of_order", known=True), Condition(variable="state", equals="x")), to="bye"
        ),
        Case(when=(Condition(variable="caller", known=True),), to="message"),
    )
    menu = attrs.evolve(with_nodes(branch=BranchNode(cases=cases, otherwise="main")), entry="branch")

    assert (Caller(menu).node, Caller(menu, caller="").node) == ("message", "main")


# ---- people
def test_an_agent_knows_what_was_collected_before_the_call_arrives() -> None:
    caller = Caller(SMALL)
    caller.does(Pressed("1"), Pressed("4711"), LookUpFailed("nobody"))
    told = entries(caller)["menu"]

    assert isinstance(caller.step.actions[-1], Transfer)
    assert told.text == "number_of_order: 4711"
    assert "4711" not in str(told.data)  # personal
    caller.does(Transferred("answered"))
    assert (caller.end, caller.step.actions) == ("person", (HangUp("answered"),))


def test_somebody_who_is_not_there_leads_on() -> None:
    caller = Caller(SMALL)
    caller.does(Pressed("3"), Transferred("busy"))

    assert isinstance(caller.step.actions[-1], Record)


def test_who_hangs_up_is_told_with_the_place_where_it_was() -> None:
    caller = Caller(SMALL)
    caller.does(Pressed("1"), HungUp("caller"))

    assert caller.end == "gone"
    assert entries(caller)["menu"].data["node"] == "number"


QUEUE = QueueNode(
    queue="all", prompt=both("Platz {position}, {wait_minutes} Minuten"), offer=both("Rückruf: 1"),
    every_s=10, offer_after_s=15, longest_s=60, callback="callback", overflow="message",
)  # fmt: skip
CALLBACK = CallbackNode(
    prompt=both("{number:plain}?"), ask=both("Nummer?"), done=both("Bis gleich"), to="bye", no_input="message"
)


def queueing() -> Caller:
    menu = attrs.evolve(
        with_nodes(queue=QUEUE, callback=CALLBACK, route=RouteNode(team="sales", priority=2, to="queue")), entry="route"
    )
    return Caller(menu)


def test_a_queue_tells_the_place_and_offers_to_call_back_later() -> None:
    caller = queueing()
    asked = question(caller)
    assert isinstance(asked, PlaceQuestion)
    assert (asked.ticket, asked.since, asked.priority) == ("s1", NOW + timedelta(seconds=1), 2)
    caller.does(LookedUp(Place(position=3, wait_s=170)))
    assert caller.heard == "Platz 3, 3 Minuten"
    caller.does(Silence(), LookedUp(Place(position=2)), after_s=10)
    assert caller.heard == "Platz 2,  Minuten Rückruf: 1"
    caller.does(Pressed("1"), Said("ja"))

    callback = entries(caller)["callback"]
    assert (callback.text, callback.data["team"], caller.end) == ("+4930123456", "sales", "call-back")


def test_a_queue_connects_goes_on_waiting_and_gives_up_in_time() -> None:
    caller = queueing()
    caller.does(LookedUp(Place(position=0, agent="sip:anna")))
    assert caller.step.actions == (Transfer(to="sip:anna", timeout_s=20.0),)
    caller.does(Transferred("no-answer"))
    assert isinstance(question(caller), PlaceQuestion)
    caller.does(LookedUp(Place(position=1)), Silence(), LookedUp(Place(position=1)), Silence(), after_s=20)
    assert caller.node == "message"


def test_a_call_back_to_another_number_and_one_that_nobody_confirms() -> None:
    menu = attrs.evolve(with_nodes(callback=CALLBACK), entry="callback")
    other, silent, unknown = Caller(menu), Caller(menu), Caller(menu, caller="")
    other.does(Said("nein"), Said("null drei null eins zwei drei"))
    silent.does(Silence(), Silence(), Silence())
    unknown.does(Silence(), Silence(), Silence())

    assert entries(other)["callback"].text == "030123"
    assert entries(silent)["callback"].text == "+4930123456"
    assert unknown.node == "message"


def test_a_consent_is_kept_and_silence_is_none() -> None:
    node = ConsentNode(purpose="recording", prompt=both("Darf ich?"), yes="main", no="bye")
    given, silent = (Caller(attrs.evolve(with_nodes(consent=node), entry="consent")) for _ in range(2))
    given.does(Said("ja"))
    silent.does(Silence(), Silence(), Silence())

    assert entries(given)["consent"].data == {"purpose": "recording", "given": True}
    assert entries(silent)["consent"].data["given"] is False
    assert silent.end == "goodbye"


def test_somebody_is_written_to_by_another_channel() -> None:
    node = TextbackNode(
        channel="sms", message=both("Weiter geht es hier."), done=both("Geschrieben."), to="bye", failed="person"
    )
    menu = attrs.evolve(with_nodes(text=node), entry="text")
    [reply] = [one for one in Caller(menu).step.actions if isinstance(one, Reply)]

    assert (reply.channel, reply.text, str(reply.to)) == ("sms", "Weiter geht es hier.", "phone:+4930123456")
    assert Caller(menu, caller="").node == "person"


def test_a_language_is_chosen_by_key_or_word_and_each_prompt_is_in_its_own() -> None:
    node = LanguageNode(
        prompt=both("Deutsch: 1", "English: 2"), keys={"de": "1", "en": "2"}, words={"en": "english"}, to="main"
    )
    caller = Caller(attrs.evolve(with_nodes(language=node), entry="language"))
    [asked] = caller.step.actions
    assert isinstance(asked, Gather)
    assert [(one.language, one.text) for one in asked.prompts] == [("de", "Deutsch: 1"), ("en", "English: 2")]
    caller.does(Said("In English, please"))

    assert caller.heard == "What?"


# ---- menus in menus
def test_another_menu_is_entered_and_returns() -> None:
    inner = attrs.evolve(
        SMALL, id="inner", nodes={**SMALL.nodes, "about": SayNode(prompt=both("Innen."), to="@return")}
    )
    outer = with_nodes(enter=SubMenuNode(menu="inner", to="message"))
    menu = BuiltMenu(attrs.evolve(outer, entry="enter"), menus={"inner": inner})
    caller = Caller(menu)
    assert caller.node == "enter/main"
    caller.does(Pressed("2"))

    assert caller.node == "message"
    assert menu.digest != BuiltMenu(attrs.evolve(outer, entry="enter"), menus={"inner": SMALL}).digest


# ---- a stranger's node
@frozen(kw_only=True)
class Dice:
    """Guess the number."""

    exits: Mapping[str, str]
    mood: str = "good"
    fills: str = "state"

    def enter(self, visit: Visit) -> Stay | Leave:
        if self.mood == "bad":
            raise RuntimeError("broken")
        prompt = visit.prompt({"de": "Rate!", "en": "Guess!"})
        return Stay((Gather(prompts=(prompt,), max_keys=1),), memory={"wanted": "4"})

    def resume(self, visit: Visit, event: Happened) -> Stay | Leave:
        memory = visit.memory
        assert isinstance(memory, Mapping)
        if event == Pressed(str(memory["wanted"])):
            said = Say((visit.prompt({"de": "Richtig!"}),))
            return Leave("right", actions=(said,), values={self.fills: "won"})
        return Leave("wrong")


def test_a_strangers_node_is_entered_remembers_and_leaves() -> None:
    menu = attrs.evolve(with_nodes(dice=Dice(exits={"right": "told", "wrong": "person"})), entry="dice")
    caller = Caller(menu, "en")
    assert caller.heard == "Guess!"
    caller.does(Pressed("4"))

    assert caller.heard == "Richtig! State: won Bye"


@frozen(kw_only=True)
class Polite(Dice):
    """Dice that let everybody have what they can have everywhere."""

    def resume(self, visit: Visit, event: Happened) -> Stay | Leave:
        wanted = visit.everywhere(event)
        return Leave(wanted) if wanted else super().resume(visit, event)


@pytest.mark.parametrize(
    ("event", "node"),
    [
        (Pressed("0"), "person"),
        (Said("Operator!"), "person"),
        (Said("main menu"), "main"),
        (Pressed("*"), "main"),
        (Pressed("#"), "dice"),
        (Said("the agent said four"), "bye"),  # a word among others is the node's to understand
        (Said("Mitarbeiter"), "bye"),
        (Silence(), "bye"),
    ],
)
def test_a_strangers_node_gives_what_can_be_had_everywhere(event: Happened, node: str) -> None:
    dice = Polite(exits={"right": "told", "wrong": "bye"})
    menu = with_nodes(dice=dice, main=attrs.evolve(SMALL.nodes["main"], no_input="dice", tries=1))  # type: ignore[type-var]
    caller = Caller(menu, "en")
    caller.does(Silence())
    assert caller.node == "dice"
    caller.does(event)

    assert caller.node == node


def test_a_strangers_node_says_a_value_as_the_menu_does() -> None:
    @frozen(kw_only=True)
    class Day(Dice):
        def enter(self, visit: Visit) -> Stay | Leave:
            text = f"{visit.words('2026-12-24', 'date')}, {visit.words('12.90', 'amount')}"
            return Stay((Gather(prompts=(visit.prompt({"de": text}),), max_keys=1),))

    assert (
        Caller(attrs.evolve(with_nodes(dice=Day(exits={"wrong": "bye"})), entry="dice")).heard
        == "24. Dezember 2026, 12,90 Euro"
    )


def test_a_strangers_node_that_fails_leads_to_a_person() -> None:
    menu = attrs.evolve(with_nodes(dice=Dice(mood="bad", exits={"right": "told", "wrong": "bye"})), entry="dice")

    assert Caller(menu).node == "person"


@frozen(kw_only=True)
class Herald:
    """Says its prompt as the core's nodes do."""

    prompt: Mapping[str, Wording]
    exits: Mapping[str, str]

    def enter(self, visit: Visit) -> Stay | Leave:
        return Leave("to", actions=(Say(visit.says(self.prompt)),), values={"state": "told"})

    def resume(self, visit: Visit, event: Happened) -> Stay | Leave:
        return Leave("to")


def test_a_strangers_node_says_its_prompts_with_the_variables_of_the_menu() -> None:
    said = {"de": Wording("Um {now:time}."), "en": Wording("At {now:time}.")}
    menu = attrs.evolve(with_nodes(herald=Herald(prompt=said, exits={"to": "told"})), entry="herald")

    assert Caller(menu, "en").heard.startswith("At Mon")
    assert [one for one in flaws(menu, {}, {}) if one.rule == "language"] == []
    half = attrs.evolve(with_nodes(herald=Herald(prompt={"de": said["de"]}, exits={"to": "told"})), entry="herald")
    assert [one.path[:3] for one in flaws(half, {}, {}) if one.rule == "language"] == [("nodes", "herald", "prompt")]


def test_a_strangers_node_that_fills_a_variable_of_no_menu_has_failed() -> None:
    dice = Dice(exits={"right": "told", "failed": "message"}, fills="stat")
    caller = Caller(attrs.evolve(with_nodes(dice=dice), entry="dice"))
    caller.does(Pressed("4"))

    assert caller.node == "message"


# ---- limits
def test_who_walks_in_circles_comes_to_a_person() -> None:
    caller = Caller(attrs.evolve(SMALL, limits=MenuLimits(steps=10)))
    for _ in range(8):
        caller.does(Pressed("2"))
        if caller.node != "main":
            break

    assert caller.node == "person"


def test_what_takes_too_long_comes_to_a_person_and_waiting_for_one_does_not_count() -> None:
    caller = Caller(attrs.evolve(SMALL, limits=MenuLimits(duration_s=30)))
    caller.does(Pressed("1"), after_s=31)
    assert caller.node == "person"
    caller.does(Transferred("busy"), after_s=300)
    assert caller.node == "message"


def test_a_menu_without_anybody_says_so_and_an_agent_is_told() -> None:
    circle = MenuNode(
        prompt=both("?"), options=(Option(key="1", label=both("a"), to="main"),), no_input="main", no_match="main"
    )
    caller = Caller(attrs.evolve(SMALL, nodes={"main": circle}, fallback="main", limits=MenuLimits(steps=10)))
    for _ in range(200):
        caller.does(Silence())
        if caller.end:
            break

    assert caller.end == "goodbye"
    assert "handover" in entries(caller)
    assert "Ihr Anliegen ist notiert" in caller.heard


def test_the_digest_follows_the_content_and_nothing_else() -> None:
    assert BuiltMenu(SMALL).digest == BuiltMenu(attrs.evolve(SMALL)).digest
    assert BuiltMenu(SMALL).digest != BuiltMenu(changed("bye", prompt=both("Adieu"))).digest


def test_a_state_of_another_version_ends_in_words() -> None:
    step = BuiltMenu(SMALL).step({"v": 99}, Pressed("1"), at=NOW, language="de")

    assert isinstance(step.actions[-1], HangUp)


def test_who_reads_is_handed_over_at_once_and_may_take_their_time() -> None:
    menu = attrs.evolve(
        with_nodes(queue=QUEUE, callback=CALLBACK), entry="main", fallback="queue", limits=MenuLimits(duration_s=30)
    )
    caller = Caller(menu, written=True)
    caller.does(Pressed("2"), after_s=3_600)
    assert caller.node == "main"
    caller.does(Pressed("0"))
    assert caller.step.actions[-1] == Transfer(to="queue:all", timeout_s=20.0)
    assert caller.heard == "Jemand von uns kümmert sich darum und meldet sich hier bei Ihnen."
    caller.does(Transferred("no-answer"))
    assert caller.node == "message"
    caller.does(Said("Bitte schreiben Sie mir."))

    assert (entries(caller)["voicemail"].text, caller.end) == ("Bitte schreiben Sie mir.", "message")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Öffnungszeiten?", ("oeffnungszeiten",)),
        ("STRASSE  Straße", ("strasse", "strasse")),
        ("Café, s'il vous plaît", ("cafe", "s", "il", "vous", "plait")),
        ("Zwo, drei & four #", ("2", "3", "4", "#")),
        ("Счёт, пожалуйста", ("счет", "пожалуиста")),
        ("١٢ और ３ und ²", ("12", "और", "3", "und", "2")),
        ("\u200f1\ufe0f\u20e3", ("1",)),
        ("", ()),
        ("x" * 600, ("x" * 500,)),
    ],
)
def test_words_are_made_comparable(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


def test_options_may_share_a_key_each_on_its_condition() -> None:
    known, unknown = (Condition(variable="state", known=one) for one in (True, False))
    choices = (
        Option(key="1", label=both("a"), to="bye", when=(known,)),
        Option(key="1", label=both("b"), to="message", when=(unknown,)),
    )
    menu = changed("main", options=choices)
    caller = Caller(menu)
    caller.does(Pressed("1"))

    assert caller.node == "message"
    assert {one: menu.nodes["main"].exits[one] for one in ("option 1/1", "option 1/2")} == {
        "option 1/1": "bye",
        "option 1/2": "message",
    }
