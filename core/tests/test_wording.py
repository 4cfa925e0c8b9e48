"""Templates of notices: what they may hold, what a value must be, and what comes of both."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fernamt.settings import ConfigErrors, NoticeTemplate, Value, Words, read_settings

HEAD = """
[channels.shop-sms]
kind = "demo"
[notices.dispatched]
channel = "shop-sms"
[notices.dispatched.values]
order = { example = "4711", max = 20 }
day = { type = "date", example = "2026-12-03" }
"""
TEXT = """
[notices.dispatched.texts.de]
text = "Bestellung {order} kommt am {day}."
"""


def template(text: str, *, values: Mapping[str, Value] | None = None, **more: Any) -> NoticeTemplate:
    texts = {"de": Words(text=text), "en": Words(text=f"EN {text}")}
    return NoticeTemplate(name="t", texts=more.pop("texts", texts), values=values or {"a": Value(example="x")}, **more)


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("Hallo {a}!", "Ann", "Hallo Ann!"),
        ("Hallo {a}!", "", "Hallo!"),
        ("{{a}} ist {a}", "b", "{a} ist b"),
        ("{a}", "{a} {b} {{", "{a} {b} {{"),  # a value is no template
        ("{a}", "%s \\1 \\g<0> $a", "%s \\1 \\g<0> $a"),
    ],
)
def test_a_value_is_put_in_once_and_is_never_read_as_a_template(text: str, value: str, said: str) -> None:
    assert template(text, values={"a": Value(example="x", default="")}).filled({"a": value}).text == said


@pytest.mark.parametrize(
    ("kind", "value", "german", "english", "french"),
    [
        ("date", "2026-12-03", "3.12.2026", "3 December 2026", "2026-12-03"),
        ("number", "1234567.50", "1.234.567,50", "1,234,567.50", "1,234,567.50"),
        ("number", "-3", "-3", "-3", "-3"),
        ("link", "https://shop.example/t?a=1&b=2", *["https://shop.example/t?a=1&b=2"] * 3),
        ("text", "3.12.", "3.12.", "3.12.", "3.12."),
    ],
)
def test_a_type_is_shown_as_the_language_writes_it(
    kind: Any, value: str, german: str, english: str, french: str
) -> None:
    one = Value(type=kind, example=value)
    assert [one.shown(value, language) for language in ("de-AT", "en", "fr")] == [german, english, french]


def test_in_html_a_value_is_escaped_and_in_the_text_it_is_not() -> None:
    words = Words(text="{a}", html='<a title="{a}">{a}</a>', subject="Zu {a}")
    filled = template("", texts={"de": words}).filled({"a": '<b>"&'})
    assert filled.text == '<b>"&'
    assert filled.html == '<a title="&lt;b&gt;&quot;&amp;">&lt;b&gt;&quot;&amp;</a>'
    assert filled.subject == 'Zu <b>"&'


@pytest.mark.parametrize(
    ("wanted", "ours", "chosen"),
    [
        ("de", "", "de"),
        ("en-GB", "", "en"),
        ("fr", "", "de"),
        ("", "en", "en"),
        ("fr", "en", "en"),
        ("EN-us", "", "en"),
    ],
)
def test_a_customer_gets_their_language_or_its_family_or_ours(wanted: str, ours: str, chosen: str) -> None:
    assert template("{a}", language=ours).filled({"a": "1"}, wanted).language == chosen


@pytest.mark.parametrize(
    ("kind", "value", "cause"),
    [
        ("text", "x" * 101, "has 101 characters, 100 are the most"),
        ("text", "a\nb", "line break"),
        ("text", "a\x00b", "cannot be shown"),
        ("text", "a\ud800", "cannot be shown"),
        ("number", "1.234,50", "is no number"),
        ("number", "1e5", "is no number"),
        ("number", "NaN", "is no number"),
        ("number", "١٢", "is no number"),
        ("date", "3.12.2026", "is no day"),
        ("date", "2026-02-30", "is no day"),
        ("date", "20261203", "is no day"),
        ("link", "javascript:alert(1)", "is no link"),
        ("link", "https://a b", "is no link"),
        ("link", 'https://a"onload="', "is no link"),
    ],
)
def test_a_value_that_cannot_be_says_why_and_is_not_repeated(kind: Any, value: str, cause: str) -> None:
    [problem] = template("{a}", values={"a": Value(type=kind, example="x")}).problems({"a": value})
    assert cause in problem.cause
    assert problem.remedy
    assert value not in str(problem)


def test_a_missing_and_an_unknown_value_are_told_together() -> None:
    problems = template("{a}", values={"order": Value(example="4711")}).problems({"ordre": "1", "name": "Ann"})
    assert [str(one) for one in problems] == [
        "order: is missing. Give it, for instance '4711'",
        "ordre: t has no such value. Did you mean 'order'?",
    ]


# ---- in the configuration
def read(tmp_path: Path, text: str) -> Mapping[str, NoticeTemplate]:
    file = tmp_path / "fernamt.toml"
    file.write_text(text)
    return read_settings(file, environ={}).notices


def test_templates_stand_in_the_configuration_and_in_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text('[notices.delivered]\n[notices.delivered.texts.en]\ntext = "It is there."\n')
    found = read(tmp_path, f'{HEAD}{TEXT}[notices]\nfiles = ["more.toml"]\n'.replace("[notices]", "[notices]"))
    assert sorted(found) == ["delivered", "dispatched"]
    assert found["dispatched"].filled({"order": "1", "day": "2026-01-02"}).text == "Bestellung 1 kommt am 2.1.2026."


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            TEXT.replace("{day}", "{dya}"),
            "fernamt.toml:11: notices.dispatched.texts.de.text: the value 'dya' is not declared. Did you mean 'day'?",
        ),
        (TEXT.replace("{day}", "{day"), "a brace stands alone"),
        (TEXT.replace("{day}", "}"), "a brace stands alone"),
        (TEXT.replace("{day}", "{day.year}"), "a brace stands alone"),
        (TEXT.replace("{day}", "{day!r}"), "a brace stands alone"),
        ("", "texts: is missing"),
        (TEXT.replace("Bestellung {order} kommt am {day}.", " "), "text: is empty"),
        (f'{TEXT}[notices.dispatched.values.to]\nexample = "x"\n', "values.to: this cannot be the name of a value"),
        (
            f'{TEXT}[notices.dispatched.values.when]\ntype = "date"\nexample = "soon"\n',
            "values.when.example: is no day",
        ),
        (f'{TEXT}[notices.dispatched.values.when]\nexample = ""\n', "values.when.example: is empty"),
        (f'{TEXT}[notices.dispatched.values.when]\ntype = "time"\nexample = ""\n', "this is no choice"),
        (f'{TEXT}subject = "a\\nb"\n', "subject: has more than one line"),
        (f'{TEXT}approved_values = ["x"]\n', "there is no value 'x'"),
        (f"{TEXT}[notices.Bad]\n", "this cannot be the name of a notice"),
        (f'{TEXT}[notices]\nfiles = ["none.toml"]\n', "none.toml: there is no such file"),
        (f"{TEXT}[notices]\nkeep_days = -1\n", "notices.keep_days: must be a number from 0 to 36,500"),
        (f"{TEXT}[notices]\nkeep_days = 1.5\n", "notices.keep_days: must be a number from 0 to 36,500"),
        (f"{TEXT}[notices]\nkeep_days = true\n", "notices.keep_days: must be a number from 0 to 36,500"),
        (f'{TEXT}[notices]\nfiles = "none.toml"\n', "notices.files: must be a list of paths"),
        (f'{TEXT}[notices]\nfiles = ["twice.toml"]\n', "twice.toml:1: notices.dispatched: it is there twice"),
        (f'{TEXT}[notices]\nfiles = ["odd.toml"]\n', "odd.toml:1: store: unknown key"),
    ],
)
def test_a_template_that_cannot_work_stops_the_start_with_its_line_and_a_remedy(
    tmp_path: Path, more: str, said: str
) -> None:
    (tmp_path / "twice.toml").write_text(f"[notices.dispatched]\n{TEXT.replace('{order}', 'x').replace('{day}', 'y')}")
    (tmp_path / "odd.toml").write_text('store = "x"\n')
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, HEAD + more)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('channel = "shop-sms"', ""),
        ('channel = "shop"', "there is no channel 'shop'. Did you mean 'shop-sms'?"),
        ('language = "fr"', "language: there is no text in it"),
        ('purpose = "spam"', "this is no choice"),
        ('name = "x"', "name: unknown key"),
    ],
)
def test_the_keys_of_a_template_are_checked(tmp_path: Path, key: str, said: str) -> None:
    text = (HEAD + TEXT).replace('channel = "shop-sms"', key, 1)
    if not said:
        assert read(tmp_path, text)
        return
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kept"), [("", timedelta(days=90)), ("keep_days = 7\n", timedelta(days=7)), ("keep_days = 0\n", None)]
)
def test_runs_are_known_for_so_many_days_after_they_were_over(
    said: str, kept: timedelta | None, tmp_path: Path
) -> None:
    file = tmp_path / "fernamt.toml"
    file.write_text(f"{HEAD}{TEXT}[notices]\n{said}")
    assert read_settings(file, environ={}).notices_kept == kept
