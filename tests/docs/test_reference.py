"""The reference leaves nothing out that a plugin may use."""

from __future__ import annotations

import re

import fernamt
from tests.docs.blocks import ROOT


def test_every_name_that_a_plugin_may_import_is_explained() -> None:
    reference = "".join((ROOT / "docs" / page).read_text() for page in ("hooks.md", "values.md"))

    assert [name for name in fernamt.__all__ if not re.search(rf"(?m)(`@?|─ |^){name}\b", reference)] == []
