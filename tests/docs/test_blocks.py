"""The runner of the pages' blocks is itself able to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Page, WrongBlock, blocks, resembles

GOOD = [
    pytest.param("```python\nx = 1\n```\n```python\nassert x == 1\n```", id="blocks of a page share their names"),
    pytest.param("```python\nprint('a', 1)\n```\n```text output\na 1\n```", id="what was printed stands on the page"),
    pytest.param("```console\n$ echo one\none\n$ echo two\ntwo\n```", id="commands and their output"),
    pytest.param("```toml a/b.toml\nx = 1\n```\n```console\n$ cat a/b.toml\nx = 1\n```", id="a file for a command"),
    pytest.param("```console tests/docs/test_blocks.py\n$ make run\n```", id="proved by another test"),
    pytest.param("```json\n{}\n```\n```sh\nls | wc\n```\n```text\n- [\n```", id="parsed or left alone"),
    pytest.param("- a list\n\n  ```python\n  y = 2\n  ```", id="an indented block"),
    pytest.param("````text\n```unknown\n```\n````", id="a fence inside a longer fence"),
]

BAD = [
    pytest.param("```python\nprint('a')\n```\n```text output\nb\n```", "page.md:4: the code printed\na", id="output"),
    pytest.param("```console\n$ echo one\ntwo\n```", "page.md:1: `echo one` printed\none", id="a command's output"),
    pytest.param("```console tests/none.py\n$ x\n```", "tests/none.py should prove it", id="a proof that is not there"),
    pytest.param("```pyton\nx = 1\n```", "nothing is known about blocks of pyton", id="a slip in the language"),
    pytest.param("```sh\nif then\n```", "syntax error", id="a command that bash cannot read"),
    pytest.param("```python\nx = 1\n", "never closed", id="an open fence"),
]

ALIKE = [
    ("one\n", "one\n", True),
    ("one\n", "one  \n\n", True),
    ("took ... ms\n", "took 12.5 ms\n", True),
    ("a\n...\nz\n", "a\nb\nc\nz\n", True),
    ("a\n...\nz\n", "a\nz\n", True),
    ("a ... z\n", "a\nz\n", False),
    ("a.c\n", "abc\n", False),
    ("", "something\n", False),
]


@pytest.mark.parametrize("markdown", GOOD)
def test_a_page_that_speaks_the_truth_passes(markdown: str, tmp_path: Path) -> None:
    Page(tmp_path).prove(blocks("page.md", markdown))


@pytest.mark.parametrize(("markdown", "problem"), BAD)
def test_a_page_that_does_not_is_told_where(markdown: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(WrongBlock) as caught:
        Page(tmp_path).prove(blocks("page.md", markdown))

    assert problem in str(caught.value)


def test_an_error_in_python_points_at_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Page(tmp_path).prove(blocks("page.md", "# Title\n\n```python\nx = 1\n1 / 0\n```"))

    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == ("page.md", 5)


@pytest.mark.parametrize(("expected", "printed", "alike"), ALIKE)
def test_three_dots_stand_for_anything(expected: str, printed: str, alike: bool) -> None:
    assert resembles(expected, printed) is alike
