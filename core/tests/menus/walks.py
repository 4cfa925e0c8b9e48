"""Random menus and random callers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs
from attrs import frozen
from hypothesis import strategies as st

from fernamt import (
    Address,
    AnswerNode,
    AskNode,
    Attachment,
    BranchNode,
    CallbackNode,
    Case,
    Condition,
    ConsentNode,
    FaqAnswer,
    Finished,
    Gather,
    HangUpNode,
    Happened,
    Hours,
    HoursNode,
    HungUp,
    LanguageNode,
    LookedUp,
    LookUpFailed,
    LookupNode,
    MenuDefinition,
    MenuLimits,
    MenuNode,
    Option,
    OrderStatus,
    Place,
    Polled,
    Pressed,
    QueueNode,
    Recorded,
    RouteNode,
    Said,
    SayNode,
    Silence,
    Started,
    SurveyNode,
    SurveyQuestion,
    TextbackNode,
    TransferNode,
    Transferred,
    Variable,
    VoicemailNode,
    Wording,
)
from fernamt.menus.node import Leave, Outcome, Stay, Visit, exit_names

START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
TEXT = {
    "de": Wording("Wort {order} um {now}", no_input=("Hallo?",), no_match=("Wie?", "Bitte?")),
    "en": Wording("Word {order} at {now}"),
}
PLAIN = {"de": Wording("Gut"), "en": Wording("Good")}
VARIABLES = {
    "order": Variable("digits", "personal"),
    "name": Variable("text", "personal"),
    "count": Variable("number"),
    "price": Variable("amount"),
    "day": Variable("date"),
    "agreed": Variable("flag"),
    "pin": Variable("digits", "secret"),
    "state": Variable("text"),
}
SAYABLE = [name for name, one in VARIABLES.items() if one.redact != "secret"]


@frozen(kw_only=True)
class Odd:
    """A plugin's node that does anything."""

    mood: str = "leave"
    exits: Mapping[str, str] = attrs.field(factory=dict)

    def enter(self, visit: Visit) -> Outcome:
        if self.mood == "stay":
            return Stay((Gather(prompts=(), max_keys=1),), memory={"n": 1})
        return self.resume(visit, Silence())

    def resume(self, visit: Visit, event: Happened) -> Outcome:
        match self.mood:
            case "raise":
                raise RuntimeError("broken")
            case "nonsense":
                return None  # type: ignore[return-value]
            case "nowhere":
                return Leave("no such exit")
            case "hang":
                return Stay(())
            case "fat":
                return Stay((Gather(prompts=(), max_keys=1),), memory="x" * 5_000)
            case _:
                return Leave("out", values={"order": "77", "nothing": 1})


KINDS = (
    SayNode, MenuNode, AskNode, HoursNode, BranchNode, LookupNode, AnswerNode, RouteNode, QueueNode, CallbackNode, VoicemailNode,
    TransferNode, TextbackNode, SurveyNode, ConsentNode, LanguageNode, HangUpNode,
)  # fmt: skip


@st.composite
def node(draw: st.DrawFn, names: list[str]) -> Any:
    """Return some node that leads to some of these names."""
    target = st.sampled_from([*names, "@back", "@top", "@repeat", "@operator", "@help", "@language", "@return"])
    if draw(st.integers(0, 12)) == 0:
        mood = draw(st.sampled_from(["leave", "stay", "raise", "nonsense", "nowhere", "hang", "fat"]))
        return Odd(mood=mood, exits={"out": draw(target)})
    kind = draw(st.sampled_from(KINDS))
    fields: dict[str, Any] = {name: draw(target) for name in exit_names(kind)}
    known = attrs.fields_dict(kind)
    fields |= {name: TEXT for name in ("prompt", "done", "ask", "message", "offer") if name in known}
    if "tries" in known:
        fields["tries"] = draw(st.integers(1, 3))
    if kind is MenuNode:
        when = (Condition(variable="count", above=1),)
        fields["options"] = tuple(
            Option(
                key=key,
                label={"de": f"Wahl {key}", "en": f"Choice {key}"},
                words={"de": (f"wort{key}",), "en": (f"word{key}",)},
                to=draw(target),
                when=draw(st.sampled_from([(), (), when])),
            )
            for key in draw(st.sampled_from(["1", "12", "123", "0*"]))
        )
    if kind is AskNode:
        fields["into"] = draw(st.sampled_from(SAYABLE))
        fields["confirm"] = draw(st.sampled_from([{}, TEXT]))
        fields["by"] = draw(st.sampled_from(["keys", "words", "both"]))
    if kind is BranchNode:
        known_one = Condition(variable=draw(st.sampled_from(SAYABLE)), known=True)
        fields["cases"] = (Case(when=(known_one,), to=draw(target)),)
    if kind is LookupNode:
        fields |= {"question": "order", "using": {"number": "order"}, "take": {"state": "state", "day": "expected_on"}}
    if kind is SurveyNode:
        fields = {name: value for name, value in fields.items() if name not in ("no_input", "no_match")}
        fields |= {
            "survey": "csat",
            "questions": (SurveyQuestion(id="a", prompt=PLAIN), SurveyQuestion(id="b", prompt=PLAIN, most=10)),
        }
    if kind is LanguageNode:
        fields["keys"] = {"de": "1", "en": "2"}
    more: dict[Any, dict[str, Any]] = {
        QueueNode: {"queue": "q", "longest_s": 20.0, "every_s": 10.0, "offer_after_s": 5.0},
        TransferNode: {"number": "n"},
    }
    more |= {TextbackNode: {"channel": "sms"}, ConsentNode: {"purpose": "recording"}}
    fields |= more.get(kind, {})
    return kind(**fields)


@st.composite
def definitions(draw: st.DrawFn) -> MenuDefinition:
    """Return some menu that can be built."""
    names = [f"n{at}" for at in range(draw(st.integers(1, 7)))]
    return MenuDefinition(
        id="random",
        languages=("de", "en"),
        entry=draw(st.sampled_from(names)),
        fallback=draw(st.sampled_from(names)),
        limits=MenuLimits(steps=draw(st.integers(10, 30)), duration_s=60, errors=draw(st.integers(1, 8))),
        variables=VARIABLES,
        nodes={name: draw(node(names)) for name in names},
    )


answers = st.sampled_from(
    [
        None,
        (),
        "text",
        Hours(is_open=True, reason="", changes_at=None),
        Hours(is_open=False, reason="closed", changes_at=START),
        Hours(is_open=False, reason="holiday", changes_at=None, occasion="holiday"),
        (FaqAnswer("So.", 0.9, ""),),
        (FaqAnswer("Maybe.", 0.1, ""),),
        OrderStatus(state="sent", expected_on=date(2026, 12, 1)),
        Place(position=2, wait_s=90.0),
        Place(position=0, agent="team:x"),
        {"state": "x"},
    ]
)
words = st.sampled_from(
    ["ja", "nein", "Wort1!", "wort 2", "word2", "vier sieben eins eins", "zurück", "Hilfe", "Mitarbeiter bitte", "English",
     "wiederholen", "30. November 2026", "", "äöüß\u0301 ☃", "zehn", "12,90"]
)  # fmt: skip
events: st.SearchStrategy[Happened] = st.one_of(
    st.builds(
        Pressed,
        st.sampled_from(
            ["1", "2", "3", "0", "*", "#", "", "9" * 5_000, "\u0663", "4711", "4711#", "12", "30112026", "x"]
        ),
    ),
    st.builds(Said, words, st.sampled_from([1.0, 0.9, 0.1])),
    st.builds(Said, st.text(max_size=20)),
    st.just(Said("9" * 20_000)),
    st.just(Silence()),
    st.just(Silence()),
    st.just(Finished()),
    st.just(Recorded(Attachment(name="a.wav", media_type="audio/wav", content=b"x"))),
    st.builds(Transferred, st.sampled_from(["answered", "busy", "no-answer", "failed", "odd"])),
    st.builds(LookedUp, answers),
    st.just(LookUpFailed("nobody")),
    st.just(Polled()),
    st.just(Started("x")),
)
gone = st.just(HungUp("caller"))
beginnings = st.builds(
    Started,
    st.just("+49800"),
    st.sampled_from([None, Address("phone", "+4930123456"), Address("email", "a@example.org")]),
    written=st.booleans(),
)
pauses = st.integers(-5, 30).map(lambda seconds: timedelta(seconds=seconds))
