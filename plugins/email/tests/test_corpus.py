"""Every mail of the corpus is read as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from fernamt_email.parse import Mail, event_key, parse

from .corpus_of_mails import Case, cases

CASES = list(cases())


def unfolded(mail: Mail) -> str:
    """Return the words that are not folded."""
    lines = mail.body.text.split("\n")
    hidden = {n for fold in mail.folded for n in range(fold.first, fold.end)}
    return "\n".join(line for n, line in enumerate(lines) if n not in hidden).strip()


def folds(mail: Mail) -> list[str]:
    lines = mail.body.text.split("\n")
    return [f"{fold.kind}: {lines[fold.first].strip()}" for fold in mail.folded]


READ: dict[str, Callable[[Mail], Any]] = {
    "subject": lambda mail: mail.subject,
    "sender": lambda mail: mail.sender,
    "name": lambda mail: mail.sender_name,
    "to": lambda mail: list(mail.recipients),
    "date": lambda mail: mail.at.isoformat() if mail.at else "",
    "id": lambda mail: mail.id,
    "references": lambda mail: list(mail.references),
    "text": lambda mail: mail.body.text.strip("\n"),
    "new": unfolded,
    "folded": folds,
    "files": lambda mail: [f"{file.name} {file.media_type} {len(file.data)}" for file in mail.body.files],
    "ids": lambda mail: [file.content_id for file in mail.body.files],
    "signed": lambda mail: mail.body.signed,
    "encrypted": lambda mail: mail.body.encrypted,
    "automatic": lambda mail: mail.automatic,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.topic}: {case.name}") for case in CASES])
def test_a_mail_is_read_as_a_person_reads_it(case: Case) -> None:
    mail = parse(case.raw, key=event_key(case.raw))
    expected = dict(case.reads)
    inside, page = expected.pop("holds", ""), expected.pop("html", "")
    for name in ("text", "new"):
        if name in expected:
            expected[name] = expected[name].strip("\n")
    assert {name: READ[name](mail) for name in expected} == expected
    assert page in mail.body.html
    assert not inside or any(inside.encode() in file.data for file in mail.body.files)


def test_the_corpus_is_large_and_says_each_thing_once() -> None:
    assert len(CASES) >= 300
    assert all(case.reads for case in CASES)
    assert [name for name, count in Counter((case.topic, case.name) for case in CASES).items() if count > 1] == []
    assert [raw for raw, count in Counter(case.raw for case in CASES).items() if count > 1] == []


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.topic}: {case.name}") for case in CASES])
def test_folds_lie_within_the_text_one_behind_the_other(case: Case) -> None:
    mail = parse(case.raw, key="key")
    at = 0
    for fold in mail.folded:
        assert at <= fold.first < fold.end <= len(mail.body.text.split("\n"))
        at = fold.end
