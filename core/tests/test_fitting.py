"""What a channel cannot carry as it is: it is split, put in simpler words, or refused with a sentence."""

from typing import Any

import pytest
import regex
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fernamt._runtime.fitting import PARTS_MAX, fit
from fernamt.model import Address, Attachment, Blob, Button, Purpose
from fernamt.outbound import Capabilities, Files, OutboundMessage, Sent

ANN = Address("phone", "+49301")
PDF = Attachment(name="Vertrag.pdf", media_type="Application/PDF; name=x", content=Blob("ab" * 32, 3))
PICTURE = Attachment(name="Haus.png", media_type="image/png", content=Blob("cd" * 32, 3))
YES_OR_NO = (Button("Ja", "yes"), Button("Nein", "no"))
ANY = Files(max_bytes=9, max_count=2)


class Line:
    """A connector that counts like nobody else."""

    async def send(self, message: OutboundMessage) -> Sent:
        raise AssertionError("nothing is sent here")

    def units(self, message: OutboundMessage) -> int:
        return 10 * len(message.text)


def message(text: str = "Hallo", **more: Any) -> OutboundMessage:
    return OutboundMessage(key="k1", entry_key="e1", attempt=1, to=ANN, text=text, **more)


def parts(one: OutboundMessage, **can: Any) -> list[OutboundMessage]:
    found = fit(one, Capabilities(**can), Line())
    assert not isinstance(found, str), found
    return list(found)


def texts(one: OutboundMessage, **can: Any) -> list[str]:
    return [part.text for part in parts(one, **can)]


def test_what_fits_stays_as_it_is() -> None:
    whole = message("ää", attachments=(PDF, PDF), buttons=YES_OR_NO, subject="Re: x", html="<p>ää</p>")
    can = {"max_units": 4, "unit": "byte", "files": (ANY,), "buttons": 2, "subject": True, "html": True}
    assert parts(whole, **can) == [whole]


SPLITS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "at a paragraph": ("Guten Tag!\n\nIhr Paket ist da.", {"max_units": 20}, ["Guten Tag!", "Ihr Paket ist da."]),
    "at a line": ("Guten Tag\nIhr Paket", {"max_units": 14}, ["Guten Tag", "Ihr Paket"]),
    "at a sentence": ("Ja. Nein, gar nicht. Doch das", {"max_units": 24}, ["Ja. Nein, gar nicht.", "Doch das"]),
    "at a word": ("eins zwei drei", {"max_units": 10}, ["eins zwei", "drei"]),
    "where it just fits": ("eins zwei drei", {"max_units": 9}, ["eins zwei", "drei"]),
    "inside a long word": ("abcdefgh", {"max_units": 3}, ["abc", "def", "gh"]),
    "never inside a character": ("x👨‍👩‍👧y", {"max_units": 5}, ["x", "👨‍👩‍👧", "y"]),
    "nor inside an accent": ("aa\u0308b", {"max_units": 2}, ["a", "a\u0308", "b"]),
    "by bytes": ("äää", {"max_units": 5, "unit": "byte"}, ["ää", "ä"]),
    "by utf-16": ("😀😀😀", {"max_units": 5, "unit": "utf16"}, ["😀😀", "😀"]),
    "as the provider counts": ("abcdef", {"max_units": 30, "unit": "measured"}, ["abc", "def"]),
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_long_text_is_split_where_a_reader_expects_it(case: str) -> None:
    text, can, expected = SPLITS[case]
    assert texts(message(text), **can) == expected


@given(st.text(alphabet=st.sampled_from("ab ä\n.👍\u0308"), max_size=300), st.integers(4, 40))
def test_every_part_fits_and_nothing_but_white_space_is_left_out(text: str, most: int) -> None:
    found = fit(message(text), Capabilities(max_units=most, unit="utf16"), Line())
    if isinstance(found, str):
        assert "are the most" in found or "takes" in found
        return
    assert all(len(part.text.encode("utf-16-le")) // 2 <= most for part in found)
    assert "".join("".join(part.text.split()) for part in found) == "".join(text.split())
    graphemes = regex.findall(r"\X", text)
    assert all(one in graphemes for part in found for one in regex.findall(r"\X", part.text) if not one.isspace())


def test_buttons_that_the_channel_has_not_become_numbered_lines() -> None:
    one = message("Passt das?", buttons=YES_OR_NO)
    assert texts(one) == ["Passt das?\n\n1. Ja\n2. Nein"]
    assert texts(one, buttons=1) == ["Passt das?\n\n1. Ja\n2. Nein"]
    assert texts(one, buttons=2, button_units=3) == ["Passt das?\n\n1. Ja\n2. Nein"]
    assert parts(one, buttons=2) == [one]


def test_buttons_stand_below_the_last_words() -> None:
    one = message("eins zwei", buttons=YES_OR_NO, attachments=(PDF,))
    found = parts(one, max_units=5, buttons=2, files=(evolve(ANY, caption=0),))
    assert [(part.text, len(part.buttons), len(part.attachments)) for part in found] == [
        ("eins", 0, 0),
        ("zwei", 2, 0),
        ("", 0, 1),
    ]


def test_a_subject_of_its_own_becomes_the_first_line_and_that_of_an_answer_goes_without_saying() -> None:
    assert texts(message(subject="Ihr Vertrag")) == ["Ihr Vertrag\n\nHallo"]
    assert texts(message(subject="Re: Ihr Vertrag")) == ["Hallo"]


def test_html_is_left_out_where_only_text_is_shown() -> None:
    assert parts(message(html="<p>Hallo</p>"))[0].html == ""


@pytest.mark.parametrize(
    ("written", "can"),
    [
        (message("one two", html="<p>one two</p>"), {"max_units": 4}),
        (message("one", html="<p>one</p>", buttons=YES_OR_NO), {}),
        (message("one", html="<p>one</p>", subject="Ihr Vertrag"), {}),
    ],
    ids=["split", "buttons as lines", "subject above it"],
)
def test_html_that_does_not_say_what_the_text_says_by_now_is_left_out(written: Any, can: dict[str, Any]) -> None:
    assert {part.html for part in parts(written, html=True, **can)} == {""}


def test_files_that_go_after_the_words_do_not_say_them_again() -> None:
    written = message("one", html="<p>one</p>", attachments=(PDF, PDF, PDF))
    assert [part.html for part in parts(written, html=True, files=(ANY,))] == ["<p>one</p>", ""]


def test_files_go_in_as_many_messages_as_they_need_and_their_words_first_where_none_may_ride_along() -> None:
    pictures = Files(media_types=("image/*",), max_bytes=9, caption=3)
    one = message("Hallo", attachments=(PDF, PDF, PDF, PICTURE))
    found = parts(one, files=(pictures, ANY))
    assert [(part.text, part.attachments) for part in found] == [("Hallo", (PDF, PDF)), ("", (PDF,)), ("", (PICTURE,))]
    found = parts(evolve(one, attachments=(PICTURE,)), files=(pictures, ANY))
    assert [(part.text, part.attachments) for part in found] == [("Hallo", ()), ("", (PICTURE,))]


REFUSED: dict[str, tuple[dict[str, Any], OutboundMessage, str]] = {
    "no room at all": ({"max_units": 0}, message(), "5 long (character), this channel takes 0: shorten it"),
    "no room for one character": ({"max_units": 1, "unit": "byte"}, message("ä"), "takes 1: shorten it"),
    "a book": ({"max_units": 1}, message("x" * (PARTS_MAX + 1)), "are the most: shorten it"),
    "no files": ({}, message(attachments=(PDF,)), "takes no attachments"),
    "too large": ({"files": (Files(max_bytes=2),)}, message(attachments=(PDF,)), "takes 2: send a link"),
    "of a kind": (
        {"files": (Files(max_bytes=9, media_types=("image/*",)),)},
        message(attachments=(PDF,)),
        "no application/pdf",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_rule_carries_is_refused_with_a_sentence(case: str) -> None:
    can, one, sentence = REFUSED[case]
    found = fit(one, Capabilities(**can), Line())
    assert isinstance(found, str)
    assert sentence in found


def test_the_subject_of_a_notice_is_for_mail_and_no_part_of_its_text() -> None:
    notice = message("Bestellung 4711 ist da.", subject="Ihre Bestellung", purpose=Purpose.NOTICE)
    assert texts(notice) == ["Bestellung 4711 ist da."]
    assert texts(evolve(notice, purpose=Purpose.REPLY)) == ["Ihre Bestellung\n\nBestellung 4711 ist da."]
    assert parts(notice, subject=True) == [notice]
