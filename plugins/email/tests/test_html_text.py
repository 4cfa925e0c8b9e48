"""HTML as text: what people see of it, and what hostile HTML costs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fernamt_email.html_text import text_of_html


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("<p>eins</p><p>zwei</p>", "eins\n\nzwei", id="paragraphs"),
        pytest.param("<div>eins<div>zwei</div>drei</div>", "eins\nzwei\ndrei", id="boxes"),
        pytest.param("eins<br>zwei<br><br>drei", "eins\nzwei\n\ndrei", id="breaks"),
        pytest.param("a  b\n c<b> d</b>e", "a b c de", id="spaces"),
        pytest.param("<pre>a  b\n  c</pre>", "a  b\n  c", id="verbatim"),
        pytest.param("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", "* a\n* b\n  * c\n* d", id="lists"),
        pytest.param("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b", id="numbers"),
        pytest.param("<table><tr><td>Summe<td>10 €<tr><th>a<td>b</table>", "Summe  10 €\na  b", id="table"),
        pytest.param("neu<blockquote>alt<blockquote>älter</blockquote></blockquote>", "neu\n\n> alt\n>\n> > älter", id="quotes"),
        pytest.param("a<hr>b", "a\n---\nb", id="rule"),
        pytest.param("Tom &amp; Jerry &lt;3 &euro;5", "Tom & Jerry <3 €5", id="entities"),
        pytest.param("<?xml version='1.0' encoding='latin-1'?><p>für</p>", "für", id="declared as something else"),
        pytest.param("<meta charset=latin-1><p>für</p>", "für", id="declared inside"),
        pytest.param("<head><title>x</title><style>p{}</style></head>ok<script>x()</script><!-- no -->", "ok", id="unseen"),
        pytest.param("<div style='display: none'>secret <p>words</p></div>ok", "ok", id="hidden"),
        pytest.param("<p>eins</p></p></div>zwei", "eins\n\nzwei", id="ends too many"),
        pytest.param("\x00<p>o\x00k</p>", "ok", id="control characters"),
        pytest.param("   ", "", id="blank"),
        pytest.param("<!---->", "", id="nothing in it"),
        pytest.param("<p>start</p>" + "<div>" * 5_000 + "words" + "</div>" * 5_000 + "end", "start\n\nwords\nend", id="deep"),
    ],
)  # fmt: skip
def test_a_page_is_read_as_a_person_sees_it(source: str, expected: str) -> None:
    assert text_of_html(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("<table><tr><td>" + "w<br>" * 100_000 + "</td>" + "<td>x</td>" * 20_000, id="tall and wide"),
        pytest.param("<table><tr><td>" * 150 + "w<br>" * 150_000, id="tables in tables"),
        pytest.param("<ul><li>" * 50_000 + "w<br>" * 100_000, id="lists in lists"),
        pytest.param("<blockquote>" * 50_000 + "w<br>" * 100_000, id="quotes in quotes"),
        pytest.param("<b>" * 300_000 + "w", id="bold"),
        pytest.param("<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">w", id="attributes"),
        pytest.param("<" * 300_000 + " w", id="brackets"),
        pytest.param("w" + "<!--" * 300_000, id="comments"),
        pytest.param("<p style='margin-top: 99999999em; padding-left: 99999em'>w", id="huge margins"),
    ],
)
def test_hostile_html_costs_no_more_than_other_html(source: str) -> None:
    start = time.process_time()
    text = text_of_html(source)
    assert time.process_time() - start < 3
    assert "w" in text
    assert len(text) < 30 * len(source)


@given(some.text(alphabet="<>/&;!-='\" \nabdipru", max_size=200))
def test_whatever_is_between_brackets_nothing_raises(source: str) -> None:
    assert "\r" not in text_of_html(source)
