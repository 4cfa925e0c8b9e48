"""The conformance kit for menus: a subclass of a few lines proves one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import attrs

from fernamt.menus import BuiltMenu
from fernamt.menus.linting import flaws, unable
from fernamt.testing.calls import Call, Coverage, Exchange, Played, read_calls


class MenuConformance:
    """Proves a menu, in every language that it speaks.

    Name the subclass ``Test...``, give it *calls*, and let :meth:`menu` return the menu. A caller without a language calls in each;
    transcripts lie beside the callers, ``reception.de.txt``, and are written by ``pytest --fernamt-record``.
    """

    calls: ClassVar[Path]
    """The file of the callers, ``reception.calls.toml``."""
    is_read: ClassVar[bool] = True
    """It may stand on a channel where people read and type; ``False``: only on a telephone."""

    def menu(self) -> BuiltMenu:
        """Return the menu."""
        raise NotImplementedError

    def test_no_rule_finds_a_flaw(self) -> None:
        """As ``fernamt menu check``."""
        menu = self.menu()

        assert [str(one) for one in flaws(menu.definition, menu.menus, menu.questions)] == []

    def test_who_reads_is_not_told_to_press_or_to_listen(self) -> None:
        """As ``fernamt menu check --written``."""
        menu = self.menu()
        read = [menu.definition, *menu.menus.values()] if self.is_read else []

        assert [str(flaw) for one in read for flaw in unable(one, one.id, None)] == []

    def test_in_every_language_callers_end_where_they_should(self) -> None:
        """As ``fernamt menu test``."""
        problems = [
            f"{language}, {one.call.name}: {one.problem}"
            for language in self.menu().definition.languages
            for one in self._played(Coverage(self.menu()), language)
            if one.problem
        ]

        assert problems == []

    def test_in_every_language_callers_see_every_node_and_every_exit(self) -> None:
        """As ``fernamt menu test --whole``."""
        for language in self.menu().definition.languages:
            coverage = Coverage(self.menu())
            self._played(coverage, language)

            assert (language, coverage.missed) == (language, ())

    def test_callers_hear_what_was_recorded(self, pytestconfig: Any) -> None:
        """The transcripts are to be read by a person once, and compared from then on."""
        for language in self.menu().definition.languages:
            played = self._played(Coverage(self.menu()), language)
            heard = "\n".join(f"# {one.call.name}\n{one.transcript}" for one in played)
            recorded = self.calls.with_name(self.calls.name.removesuffix(".calls.toml") + f".{language}.txt")
            if pytestconfig.getoption("--fernamt-record"):
                recorded.write_text(heard, "utf-8")

            assert heard == recorded.read_text("utf-8")

    def _played(self, coverage: Coverage, language: str) -> list[Played]:
        calls = [one for one in read_calls(self.calls) if one.language in ("", language)]
        return played(coverage.menu, [attrs.evolve(one, language=language) for one in calls])


def played(menu: BuiltMenu, calls: list[Call]) -> list[Played]:
    """Play every caller."""
    return [Exchange(menu, one).play() for one in calls]
