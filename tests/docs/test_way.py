"""The page that leads through the code names what is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT

PAGE = ROOT / "docs" / "explanation" / "way-of-a-message.md"
STEPS = re.findall(r"\]\(([^)]+\.py)\) `([\w.]+)`", PAGE.read_text())


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_a_step_stands_where_the_page_says(file: str, name: str) -> None:
    code = (PAGE.parent / file).read_text()

    for one in name.split("."):
        assert re.search(rf"(?m)^ *(class|def|async def) {one}\b", code)
