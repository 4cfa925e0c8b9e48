"""Every shipped menu, in both languages: callers see all of it, end where they should, and hear what was read once."""

from pathlib import Path

import attrs
import pytest

import fernamt_voice_ivr
from fernamt import read_menu
from fernamt.testing import Coverage, Exchange, read_calls

CALLS = Path(__file__).parent / "calls"
MENUS = Path(fernamt_voice_ivr.__file__).parent / "menus"


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("name", fernamt_voice_ivr.MENUS)
def test_callers_see_every_node_and_every_exit_and_hear_what_was_recorded(
    name: str, language: str, request: pytest.FixtureRequest
) -> None:
    coverage = Coverage(read_menu(MENUS / f"{name}.toml"))
    calls = [one for one in read_calls(CALLS / f"{name}.calls.toml") if one.language in ("", language)]
    played = [Exchange(coverage.menu, attrs.evolve(one, language=language)).play() for one in calls]
    heard = "\n".join(f"# {one.call.name}\n{one.transcript}" for one in played)
    recorded = CALLS / f"{name}.{language}.txt"
    if request.config.getoption("--fernamt-record"):
        recorded.write_text(heard)

    assert {one.call.name: one.problem for one in played if one.problem} == {}
    assert coverage.missed == ()
    assert heard == recorded.read_text()


@pytest.mark.parametrize("name", fernamt_voice_ivr.MENUS)
def test_who_reads_and_types_gets_there_too(name: str) -> None:
    menu = read_menu(MENUS / f"{name}.toml")
    calls = [one for one in read_calls(CALLS / f"{name}.calls.toml") if "record" not in one.does]
    written = [Exchange(menu, attrs.evolve(one, written=True)).play() for one in calls]

    assert {one.call.name: one.problem for one in written if one.problem} == {}
