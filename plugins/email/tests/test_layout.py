"""How an answer looks to its reader: signed, in their language, above what it answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fernamt import Address, Answered, Purpose
from fernamt_email.layout import Body, Style, laid_out
from fernamt_email.settings import LayoutSettings

from .given import message

ASKED = Answered(
    sender=Address("email", "ann@customer.test"),
    sender_name="Ann <b>",
    text="Wo ist es?\n> gestern\n",
    at=datetime(2026, 3, 1, 9, 5, tzinfo=UTC),
)
SIGNED = LayoutSettings(
    text_en="{text}\n\nKind regards\n{agent}\n\n-- \nExample Ltd",
    text_de="{text}\n\nMit freundlichen Grüßen\n{agent}\n\n-- \nExample GmbH",
    agent_names=("maria = Maria Schmidt",),
    quote=False,
)


def body(layout: LayoutSettings, **changes: Any) -> Body:
    return laid_out(message(**{"text": "Morgen.", "author": "agent:maria", **changes}), Style(layout=layout))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"language": "de"}, "Morgen.\n\nMit freundlichen Grüßen\nMaria Schmidt\n\n-- \nExample GmbH"),
        ({"language": "de-AT"}, "Morgen.\n\nMit freundlichen Grüßen\nMaria Schmidt\n\n-- \nExample GmbH"),
        ({"language": ""}, "Morgen.\n\nKind regards\nMaria Schmidt\n\n-- \nExample Ltd"),
        ({"language": "fr"}, "Morgen.\n\nKind regards\nMaria Schmidt\n\n-- \nExample Ltd"),
        ({"author": "agent:jo"}, "Morgen.\n\nKind regards\njo\n\n-- \nExample Ltd"),
        ({"author": "plugin:csat"}, "Morgen.\n\nKind regards\n\n-- \nExample Ltd"),
        ({"text": "{agent} {text}\n"}, "{agent} {text}\n\nKind regards\nMaria Schmidt\n\n-- \nExample Ltd"),
    ],
)
def test_an_answer_is_signed_in_the_readers_language(changes: dict[str, str], expected: str) -> None:
    assert body(SIGNED, **changes) == Body(expected)


def test_without_a_layout_the_words_stay_as_they_are() -> None:
    assert body(LayoutSettings(), text="Morgen.\n") == Body("Morgen.\n")


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Morgen.\n\nAm 01.03.2026 um 09:05 schrieb Ann <b> <ann@customer.test>:\n> Wo ist es?\n>> gestern\n"),
        ("en", "Morgen.\n\nOn 1 March 2026 at 09:05, Ann <b> <ann@customer.test> wrote:\n> Wo ist es?\n>> gestern\n"),
    ],
)
def test_what_is_answered_stands_below(language: str, expected: str) -> None:
    assert body(LayoutSettings(), answered=ASKED, language=language) == Body(expected)


@pytest.mark.parametrize("changes", [{"automatic": True}, {"purpose": Purpose.NOTICE}])
def test_a_machine_never_repeats_a_visitors_words(changes: dict[str, bool]) -> None:
    assert "Wo ist es" not in body(LayoutSettings(), answered=ASKED, **changes).text


def test_the_html_holds_the_same_with_nothing_of_it_taken_for_markup() -> None:
    layout = LayoutSettings(
        html_en="<html><body><p>{text}</p>\n<p>{agent}</p>\n</body></html>", agent_names=("maria=M & S",)
    )
    html = body(layout, text="a < b\nc", answered=ASKED).html
    assert html == (
        "<html><body><p>a &lt; b<br>\nc</p>\n<p>M &amp; S</p>\n"
        "<p>On 1 March 2026 at 09:05, Ann &lt;b&gt; &lt;ann@customer.test&gt; wrote:</p>\n"
        '<blockquote type="cite">\nWo ist es?<br>\n&gt; gestern\n</blockquote>\n</body></html>'
    )


def test_an_answer_in_html_is_signed_as_the_text_is() -> None:
    found = body(SIGNED, html="<b>Morgen.</b>")
    assert found.html == "<b>Morgen.</b><br>\n<br>\nKind regards<br>\nMaria Schmidt<br>\n<br>\n-- <br>\nExample Ltd"


def test_a_correspondence_of_years_is_cut_at_a_line() -> None:
    long = Answered(sender=ASKED.sender, sender_name="", text="line\n" * 10_000, at=ASKED.at)
    text = body(LayoutSettings(), answered=long).text
    assert len(text) < 30_000
    assert text.endswith("> line\n> ...\n")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("text_en", "Regards", "text_en has no {text}"),
        ("html_de", "<p>{agent}</p>", "html_de has no {text}"),
        ("agent_names", ("maria",), "agent_names has 'maria'"),
    ],
)
def test_a_layout_that_cannot_work_is_refused(key: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{")):
        LayoutSettings(**{key: value})
