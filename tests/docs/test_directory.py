"""The directory of plugins says what is computed."""

from __future__ import annotations

import importlib
import json
import tomllib
from pathlib import Path

import pytest

from fernamt._runtime.loader import load
from fernamt.cli.plugincheck import Checked, RuleLine
from fernamt.testing import ConnectorConformance
from fernamt.testing.quality import Quality
from fernamt.testing.rules import RULES
from tests.docs.blocks import ROOT

TIERS = json.loads((ROOT / "docs" / "plugins" / "tiers.json").read_text())
# The kit judges channels: what offers none has no tier.
PROJECTS = {
    project["name"]: (file.parent, project)
    for kind in ("plugins", "examples")
    for file in sorted(ROOT.glob(f"{kind}/*/pyproject.toml"))
    if (project := tomllib.loads(file.read_text())["project"]).get("entry-points", {}).get("fernamt")
    and any(offers.connectors for offers in load(list(project["entry-points"]["fernamt"])).offers.values())
}


def suites(folder: Path) -> list[ConnectorConformance]:
    """Return the conformance classes of a plugin, one for each of its kinds, from the file that its quality.toml names."""
    file = folder.relative_to(ROOT) / Quality.above(folder).conformance
    tests = importlib.import_module(".".join(file.with_suffix("").parts))
    found = [one for name, one in vars(tests).items() if name.startswith("Test")]
    return [one() for one in found if isinstance(one, type) and issubclass(one, ConnectorConformance)]


def judged(suite: ConnectorConformance) -> list[RuleLine]:
    """Return what the kit says of each rule where a plugin's own tests are green: no rule is broken, some may be waived.

    They are run as its tests. To run all of them once more for the tier alone would take minutes.
    """
    waivers = {one.id: suite.quality.why(one.id, suite.kind) for one in RULES}
    return [
        RuleLine(
            kind=suite.kind,
            rule=one.id,
            tier=one.tier,
            about=one.about,
            state="kept" if waivers[one.id] is None else "waived",
            said=waivers[one.id] or "",
        )
        for one in RULES
    ]


@pytest.mark.parametrize("name", PROJECTS)
def test_a_plugin_has_the_tier_that_the_directory_says(name: str) -> None:
    folder, project = PROJECTS[name]
    lines = tuple(line for suite in suites(folder) for line in judged(suite))
    offered = {
        kind for offers in load(list(project["entry-points"]["fernamt"])).offers.values() for kind in offers.connectors
    }
    untested = tuple(sorted(offered - {line.kind for line in lines}))

    checked = Checked(distribution=name, folder=folder, rules=lines, untested=untested)

    assert checked.badge() == f"fernamt conformance: {TIERS.get(name)}", "call scripts/generate --tiers"


def test_the_directory_leaves_no_plugin_out() -> None:
    assert TIERS.keys() == PROJECTS.keys()
