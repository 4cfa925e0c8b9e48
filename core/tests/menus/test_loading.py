"""Menus in TOML: the same as in Python, and every mistake at once, with its line and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import frozen

from fernamt import (
    Audio,
    BuiltMenu,
    Gather,
    HangUpNode,
    Happened,
    Leave,
    MenuDefinition,
    MenuNode,
    Option,
    Pressed,
    Stay,
    Visit,
    VoicemailNode,
    Wording,
    read_menu,
)
from fernamt.settings import ConfigErrors

from .small import Caller

TOML = """
id = "shop"
languages = ["de", "en"]
entry = "main"
fallback = "message"

[nodes.main]
kind = "menu"
prompt.de = { first = "Guten Tag. {{1}}", no_input = ["Hallo?", "Noch da?"], written = "Was?" }
prompt.en = [{ audio = "hello.wav", text = "Hello." }, "Press 1."]

[[nodes.main.options]]
key = "1"
label = { de = "Nachricht", en = "Message" }
words = { de = ["mailbox"], en = ["voicemail"] }
to = "message"

[nodes.message]
kind = "voicemail"
prompt = { de = "Nach dem Ton.", en = "After the tone." }
done = { de = "Danke.", en = "Thanks." }
to = "bye"
failed = "bye"

[nodes.bye]
kind = "hang-up"
prompt = { de = "Tschüss.", en = "Bye." }
"""
PYTHON = MenuDefinition(
    id="shop",
    languages=("de", "en"),
    entry="main",
    fallback="message",
    nodes={
        "main": MenuNode(
            prompt={
                "de": Wording("Guten Tag. {{1}}", no_input=("Hallo?", "Noch da?"), written="Was?"),
                "en": Wording([Audio("hello.wav", "Hello."), "Press 1."]),
            },
            options=(
                Option(
                    key="1",
                    label={"de": "Nachricht", "en": "Message"},
                    words={"de": ("mailbox",), "en": ("voicemail",)},
                    to="message",
                ),
            ),
        ),
        "message": VoicemailNode(
            prompt={"de": "Nach dem Ton.", "en": "After the tone."},
            done={"de": "Danke.", "en": "Thanks."},
            to="bye",
            failed="bye",
        ),
        "bye": HangUpNode(prompt={"de": "Tschüss.", "en": "Bye."}),
    },
)


def written(folder: Path, text: str = TOML, name: str = "menu.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def mistakes(file: Path, **more: object) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigErrors) as why:
        read_menu(file, **more)  # type: ignore[arg-type]
    assert [one for one in why.value.mistakes if not one.fix] == []
    return [(one.line, one.key, one.problem) for one in why.value.mistakes]


def test_toml_and_python_are_the_same_menu(tmp_path: Path) -> None:
    menu = read_menu(written(tmp_path))

    assert menu.definition == PYTHON
    assert menu.digest == BuiltMenu(PYTHON).digest


def test_a_recording_is_played_where_it_is_heard_and_its_text_shown_where_it_is_read(tmp_path: Path) -> None:
    menu = read_menu(written(tmp_path))
    for is_written, audio in ((False, ["hello.wav", ""]), (True, [""])):
        [asked] = Caller(menu, "en", written=is_written).step.actions
        assert isinstance(asked, Gather)
        assert [one.audio for one in asked.prompts] == audio
    assert Caller(menu, "de").heard == "Guten Tag. {1}"


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = {
        'fallback = "message"': 'fallback = "mesage"\ncolour = 1',
        'kind = "voicemail"': 'kind = "voicmail"',
        'to = "message"': 'to = "mesage"',
        '"Hallo?"': "5",
        'prompt = { de = "Tschüss.", en = "Bye." }': 'prompt = { de = "{order", en = "{order}" }\nreson = "x"',
    }
    text = TOML
    for right, other in wrong.items():
        assert right in text
        text = text.replace(right, other)

    assert mistakes(written(tmp_path, text)) == [
        (6, "colour", "unknown key"),
        (10, "nodes.main.prompt.de", "this is no prompt"),
        (20, "nodes.message.kind", "there is no node of kind 'voicmail'"),
        (
            28,
            "nodes.bye.prompt.de",
            "{ is no place for a value: write {variable} or {variable:style}, and {{ for a brace",
        ),
        (29, "nodes.bye.reson", "unknown key"),
    ]


def test_what_can_be_read_is_looked_at_beside_what_cannot(tmp_path: Path) -> None:
    text = TOML.replace('kind = "voicemail"', 'kind = "voicmail"').replace('entry = "main"', 'entry = "mein"')

    assert [key for _, key, _ in mistakes(written(tmp_path, text))] == ["entry", "nodes.message.kind"]


def test_where_an_option_leads_wrong_is_its_own_line(tmp_path: Path) -> None:
    text = TOML.replace('to = "message"', 'to = "mesage"')
    line = 1 + text[: text.index('to = "mesage"')].count("\n")

    assert mistakes(written(tmp_path, text)) == [(line, "nodes.main.options.0.to", "there is no node 'mesage'")]


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            '{ audio = "hello.wav", text = "Hello." }',
            '{ audio = "../hello.wav", text = "Hello." }',
            "is no file of the menu",
        ),
        ('{ audio = "hello.wav", text = "Hello." }', '{ audio = "hello.wav" }', "this is no prompt"),
        ("first = ", "frist = ", "unknown key 'frist'"),
        ('written = "Was?"', 'written = "{caller:loud}"', "no known style"),
        ('written = "Was?"', 'written = { first = "Was?", written = "Was?" }', "unknown key 'written'"),
        ('written = "Was?"', 'written = "W\\u0000as?"', "has a zero character"),
        ('id = "shop"', 'id = "Shop"', "must match"),
        ('key = "1"', 'key = "A"', "keys of a telephone"),
        ("[nodes.bye]", "[nodes.bye.x]\n[nodes.bye]", "unknown key"),
        ('entry = "main"', 'entry = "main"\nzone = "Berlin"', "is no time zone"),
        ('entry = "main"', 'entry = "main"\nlimits = { steps = 1 }', "must be"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    found = mistakes(written(tmp_path, TOML.replace(right, wrong)))

    assert len(found) == 1
    assert problem in found[0][2]
    assert found[0][0] > 0


def test_a_menu_that_is_entered_lies_beside_the_one_that_enters_it(tmp_path: Path) -> None:
    outer = (
        TOML.replace('to = "message"\n\n', 'to = "enter"\n\n', 1)
        + '[nodes.enter]\nkind = "sub-menu"\nmenu = "inner.toml"\nto = "bye"\n'
    )
    file = written(tmp_path, outer)
    assert mistakes(file)[0][2] == "there is no such file"
    written(tmp_path, TOML.replace('entry = "main"', 'entry = "mein"'), "inner.toml")
    assert [(key, problem) for _, key, problem in mistakes(file)] == [
        ("nodes.enter.menu", "inner.toml, entry: there is no node 'mein'")
    ]
    written(tmp_path, TOML.replace('to = "bye"\nfailed', 'to = "@return"\nfailed'), "inner.toml")
    caller = Caller(read_menu(file))
    caller.does(Pressed("1"))

    assert caller.node == "enter/main"


@pytest.mark.parametrize("name", ["../inner.toml", "/etc/passwd", "inner", "a/b.toml"])
def test_a_menu_of_another_folder_is_not_entered(tmp_path: Path, name: str) -> None:
    text = TOML + f'[nodes.enter]\nkind = "sub-menu"\nmenu = "{name}"\nto = "bye"\n'

    assert [problem for _, _, problem in mistakes(written(tmp_path, text)) if "beside" in problem] != []


@frozen(kw_only=True)
class Quiz:
    """A stranger's node."""

    asks: str
    right: str
    wrong: str

    @property
    def exits(self) -> Mapping[str, str]:
        return {"right": self.right, "wrong": self.wrong}

    def enter(self, visit: Visit) -> Stay | Leave:
        return Leave("right")

    def resume(self, visit: Visit, event: Happened) -> Stay | Leave:
        return Leave("wrong")


def test_a_strangers_node_is_written_like_any_other(tmp_path: Path) -> None:
    quiz = '[nodes.main]\nkind = "acme.quiz"\nasks = "4?"\nright = "bye"\nwrong = "message"\n'
    start, end = TOML.index("[nodes.main]"), TOML.index("[nodes.message]")
    text = TOML[:start] + quiz + TOML[end:]

    assert Caller(read_menu(written(tmp_path, text), nodes={"acme.quiz": Quiz})).heard == "Tschüss."
    assert "there is no node of kind 'acme.quiz'" in str(mistakes(written(tmp_path, text)))
    wrong = written(tmp_path, text.replace("asks = ", "ask = "))
    assert {key for _, key, _ in mistakes(wrong, nodes={"acme.quiz": Quiz})} == {"nodes.main.ask", "nodes.main.asks"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"x = {'[' * 20_000}{']' * 20_000}", "it is nested too deeply"),
        (f"x = {'{a=' * 2_000}1{'}' * 2_000}", "it is nested too deeply"),
        (f"x = {'9' * 100_000}", "a number in it is too long"),
        ("# so much\n" * 110_000, "it is larger than 1 MB"),
        ("".join(f'[nodes.n{at}]\nkind = "say"\n' for at in range(501)), "there are more than 500"),
    ],
)
def test_a_file_that_is_too_much_is_told_and_does_no_harm(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in str(mistakes(written(tmp_path, text)))
