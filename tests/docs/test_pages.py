"""Every page of the project is true: its blocks run, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Page, blocks

PAGES = sorted(
    page
    for pattern in ("*.md", "changelog.d/README.md", "docs/**/*.md", "core/*.md", "plugins/*/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
    if "_build" not in page.parts
)

TYPED = {"docs/write-a-connector.md"}
"""These are typed by test_tutorial.py."""

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
_MAKE = re.compile(r"(?m)(?:^\$ |^|`)make ([a-z]+)")
_TARGET = re.compile(r"(?m)^([a-z]+):")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", [page for page in PAGES if name(page) not in TYPED], ids=name)
def test_the_blocks_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    Page(tmp_path).prove(blocks(name(page), page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_of_a_page_lead_to_a_file(page: Path) -> None:
    targets = _LINK.findall(page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_calls_with_make_is_a_target(page: Path) -> None:
    called = {
        target
        for block in blocks(name(page), page.read_text())
        if block.language in {"console", "sh"}
        for target in _MAKE.findall(block.text)
    }

    assert called <= set(_TARGET.findall((ROOT / "Makefile").read_text()))
