"""What of a message's words a terminal shows, and what it folds."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fernamt.cli.folding import language, shown_lines, shown_marks
from fernamt.model import Json

TEXT = "new\n\nOn Monday Ann wrote:\n> one\n> two\n> three\nmore\n-- \nBob"


def shown(data: Mapping[str, Json], *, full: bool = False, spoken: str = "en") -> list[str]:
    return [line for line, _ in shown_lines(TEXT, data, full=full, language=spoken)]


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        pytest.param(
            [[2, 6, "quote"]],
            ["new", "", "[4 quoted lines; --full shows them]", "more", "-- ", "Bob"],
            id="new words lie before and behind it",
        ),
        pytest.param(
            [[7, 9, "signature"], [2, 6, "quote"]],
            ["new", "", "[4 quoted lines; --full shows them]", "more", "-- ", "Bob"],
            id="two lines are shown",
        ),
        pytest.param([[0, 9, "signature"]], ["[9 lines of signature; --full shows them]"], id="signature"),
        pytest.param([[0, 9, "of a later version"]], ["[9 quoted lines; --full shows them]"], id="another kind"),
        pytest.param([[0, 5, "quote"], [4, 9, "quote"]], ["[5 quoted lines; --full shows them]", *TEXT.split("\n")[5:]], id="overlapping"),
        pytest.param([[5, 90, "quote"], [3, 3, "quote"], "no", [1], None], TEXT.split("\n"), id="no such lines"),
        pytest.param("no list", TEXT.split("\n"), id="something else"),
    ],
)  # fmt: skip
def test_what_is_known_is_one_line_and_the_rest_keeps_its_order(folded: Json, expected: list[str]) -> None:
    assert shown({"folded": folded}) == expected
    assert shown({"folded": folded}, full=True) == TEXT.split("\n")


def test_without_folds_only_marked_lines_are_faint() -> None:
    faint = [line for line, faint in shown_lines(TEXT, {}, full=False, language="en") if faint]
    assert faint == ["> one", "> two", "> three"]


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (["signed"], "signed, not verified"),
        (["signed", "encrypted", "from a list"], "signed, not verified, encrypted, from a list"),
        ([], ""),
        (None, ""),
        ("signed", ""),
    ],
)
def test_what_a_reader_should_know_is_said_in_words(marks: Json, expected: str) -> None:
    assert shown_marks({"marks": marks}, language="en") == expected


def test_who_works_in_german_reads_german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert "[4 zitierte Zeilen; --full zeigt sie]" in shown({"folded": [[2, 6, "quote"]]}, spoken=language())
    monkeypatch.setenv("LC_ALL", "C")
    assert language() == "en"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"silent": True, "automatic": True}, "von einer Maschine geschrieben"),
        ({"silent": True, "automatic": True, "marks": ["spam"]}, "von einer Maschine geschrieben, spam"),
        ({"silent": "yes", "automatic": True}, ""),
        ({"silent": True, "marks": ["opt-out"]}, "Abmeldung"),
    ],
)
def test_what_only_says_that_somebody_is_away_is_told_apart(data: dict[str, Json], expected: str) -> None:
    assert shown_marks(data, language="de") == expected
