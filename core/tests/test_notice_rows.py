"""Rows: whom a text means, what is wrong with a row, and files of any length."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from fernamt._runtime.notice_rows import Asked, BadFile, Digest, address_of, notice_of, row_of, rows_in
from fernamt.settings import NoticeTemplate, Value, Words

TEMPLATE = NoticeTemplate(
    name="dispatched",
    values={"order": Value(example="4711", max=20), "amount": Value(type="number", example="3", default="0")},
    texts={
        "de": Words(text="Bestellung {order}: {amount}", subject="Zu {order}", approved="x", approved_values=("order",))
    },
)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("+4917012345678", "phone:+4917012345678"),
        ("+49 (170) 1234-5678", "phone:+4917012345678"),
        ("phone:+49 170/12345678", "phone:+4917012345678"),
        ("+49 (0)170 12345678", "phone:+4917012345678"),
        ("+49(0) 170 12345678", "phone:+4917012345678"),
        ("Ann@Example.ORG", "email:Ann@example.org"),
        ("email:ann@example.org", "email:ann@example.org"),
        ("matrix:@ann:example.org", "matrix:@ann:example.org"),
    ],
)
def test_a_text_means_somebody(text: str, means: str) -> None:
    assert str(address_of(text)) == means


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0170 1234567",
            "+0170123456",
            "+49",
            "+" + "1" * 16,
            "phone:0170",
            "+49170123456x",
            "ann",
            "ann@",
            "@b.de",
        ),
        *("a@b", "a b@c.de", "a@b..de", "email:+49170", "a@c.de,b@c.de", "x:", ":x", "x:a\nb", "X:a", "x:" + "a" * 400),
    ],
)
def test_a_text_that_means_nobody_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) ") as caught:
        address_of(text)
    assert not text or text not in str(caught.value)


def test_a_row_becomes_a_notice_with_its_order() -> None:
    raw = {
        "to": "+49170123456",
        "key": " k1 ",
        "language": "de",
        "name": "Ann",
        "values": {"order": 4711, "amount": 1234.5},
    }
    row = row_of(raw, TEMPLATE)
    assert isinstance(row, Asked)
    notice = notice_of(row, TEMPLATE)
    assert (str(notice.to), notice.text, notice.key, notice.name) == (
        "phone:+49170123456",
        "Bestellung 4711: 1.234,5",
        "k1",
        "Ann",
    )
    assert notice.data == {
        "language": "de",
        "order": "4711",
        "subject": "Zu 4711",
        "template": ["x", "de", "4711"],
        "key": "k1",
    }


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], [": is no object"]),
        ({}, ["values.order: is missing", "to: is missing"]),
        ({"to": 7, "values": {"order": "1"}}, ["to: is no text", "to: is missing"]),
        (
            {"to": "+49170123456", "values": {"order": True}},
            ["values.order: is neither text nor a number", "values.order: is missing"],
        ),
        ({"to": "+49170123456", "values": {"order": None}}, ["values.order: is neither", "values.order: is missing"]),
        ({"to": "+49170123456", "values": 7}, ["values: is no object", "values.order: is missing"]),
        (
            {"to": "+49170123456", "valeus": {}, "values": {"order": "1"}},
            ["valeus: unknown key. Did you mean 'values'?"],
        ),
        ({"to": "+49170123456", "language": "german!", "values": {"order": "1"}}, ["language: is no tag"]),
        ({"to": "+49170123456", "key": "k" * 201, "values": {"order": "1"}}, ["key: has more than 200"]),
        ({"to": "+49170123456", "key": "a\nb", "values": {"order": "1"}}, ["key: holds a character"]),
        ({"to": "+49170123456", "name": "n" * 201, "values": {"order": "1"}}, ["name: is no name"]),
        ({"to": "+49170123456", "values": {"order": "1", "amount": "x"}}, ["values.amount: is no number"]),
        ({"to": "+49170123456", "values": {"order": 10**30}}, ["values.order: has 31 characters"]),
    ],
)
def test_all_that_is_wrong_with_a_row_is_told(raw: Any, said: list[str]) -> None:
    problems = row_of(raw, TEMPLATE)
    assert isinstance(problems, tuple)
    assert [str(one)[: len(start)] for one, start in zip(problems, said, strict=True)] == said


def test_what_a_run_says_is_told_apart_by_every_row_and_their_order() -> None:
    def digest(*rows: tuple[str, str, str]) -> bytes:
        whole = Digest("t", "c")
        for to, order, key in rows:
            row = row_of({"to": to, "key": key, "values": {"order": order}}, TEMPLATE)
            assert isinstance(row, Asked)
            whole.add(row)
        return whole.whole()

    a, b = ("+49170123456", "1", ""), ("+49170123457", "1", "")
    different = [(a, b), (b, a), (a,), (a, a), (("+49170123456", "2", ""), b), (("+49170123456", "1", "k"), b)]
    assert len({digest(*rows) for rows in different}) == len(different)
    assert digest(a, b) == digest(a, b)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_table_is_read_however_its_program_separates(tmp_path: Path, delimiter: str, start: str) -> None:
    file = tmp_path / "orders.csv"
    lines = [
        ["to", "order", "name", "language"],
        ["+49170123456", '"47""11"', "Ann", ""],
        [],
        ["", "", " ", ""],
        ["a@b.de", "2", "", "en"],
        ["", "", "", ""],
    ]
    file.write_text(start + "\r\n".join(delimiter.join(line) for line in lines))
    assert list(rows_in(file)) == [
        {"to": "+49170123456", "name": "Ann", "language": "", "values": {"order": '47"11', "name": "Ann"}},
        {"to": "a@b.de", "name": "", "language": "en", "values": {"order": "2"}},
    ]


def test_columns_that_are_not_wanted_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("to,order,secret\n+49170123456,1,x\n")
    assert list(rows_in(file, only=frozenset({"order"}))) == [{"to": "+49170123456", "values": {"order": "1"}}]


def test_a_row_with_more_cells_than_headings_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("to,order\n+49170123456,1,2\n")
    [raw] = rows_in(file)
    problems = row_of(raw, TEMPLATE)
    assert isinstance(problems, tuple)
    assert str(problems[0]).startswith("column 3: unknown key")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("orders.xlsx", b"", "is neither .csv nor .jsonl"),
        ("orders.csv", b"", "needs headings in its first line"),
        ("orders.csv", b"number,order\n", "needs headings in its first line"),
        ("orders.csv", b"to,order,order\n", "each once"),
        ("orders.csv", b"to,order\n+49,\xfc\n", "is not UTF-8"),
        ("orders.csv", b'to,order\n+49,"1\n' + b"x\n" * 80_000, "is no CSV after row 0"),
        ("orders.csv", b"to,order\n" + b"x" * 70_000, "a line of more than 65536 characters"),
        ("orders.jsonl", b'{"to": "x"}\n{"to": \n', "line 2 is no JSON"),
        ("orders.jsonl", b"x" * 70_000, "a line of more than 65536 characters"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(BadFile, match=said.replace(".", r"\.")):
        list(rows_in(file))


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_however_long_a_file_is_little_of_it_is_in_memory(tmp_path: Path, name: str) -> None:
    file, count = tmp_path / name, 5_000
    with file.open("w") as stream:
        if name.endswith("csv"):
            stream.write("to,order\n")
        for n in range(count):
            row = {"to": f"+49170{n:07}", "values": {"order": str(n)}}
            stream.write(f"{row['to']},{n}\n" if name.endswith("csv") else f"{json.dumps(row)}\n")
    tracemalloc.start()
    try:
        whole = Digest("t", "c")
        for raw in rows_in(file):
            checked = row_of(raw, TEMPLATE)
            assert isinstance(checked, Asked)
            whole.add(checked)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert whole.total == count
    assert peak < 250_000


def test_a_row_of_a_thousand_unknown_values_costs_no_thousand_sentences() -> None:
    row: dict[str, object] = {
        "to": "+49170123456",
        "values": {f"v{n}": "x" for n in range(1_000)},
        **{f"k{n}": 1 for n in range(1_000)},
    }
    problems = row_of(row, TEMPLATE)
    assert isinstance(problems, tuple)
    assert len(problems) == 12
    assert problems[10].cause == "has 1000 elements"
