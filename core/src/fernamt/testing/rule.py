"""What a rule is: something that is right or wrong about a connector, with a page that says why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import frozen

from fernamt.errors import FernamtError

if TYPE_CHECKING:
    from fernamt.testing.rig import Rig

Tier: TypeAlias = Literal["bronze", "silver"]
Need: TypeAlias = Callable[["Rig"], str]
"""Returns why a rule does not apply, ``""`` if it does."""
Check: TypeAlias = Callable[["Rig"], Awaitable[None]]
_PAGES: Final = Path(__file__).parent / "rules"


@frozen
class Can:
    """A need: the connector has an ability. Known beforehand, so that nothing is set up for a rule that cannot apply."""

    ability: type

    def __call__(self, rig: Rig) -> str:
        return "" if rig.has(self.ability) else self.lacking

    @property
    def lacking(self) -> str:
        """Say that it has not."""
        return f"the connector has not the ability {self.ability.__name__}"


class Broken(FernamtError):
    """A rule is broken; the text is one sentence that says what was seen, and what to do."""


class NotApplicable(FernamtError):
    """A rule turns out not to apply; the text says why."""


@frozen(kw_only=True)
class Rule:
    """One rule of the kit."""

    id: str
    tier: Tier
    about: str
    """What is asked for, in a sentence."""
    needs: tuple[Need, ...]
    """What has to be there for it to apply."""
    check: Check

    @property
    def page(self) -> str:
        """Why it is asked for, an example, and its exceptions, in Markdown."""
        return pages(self.id.partition(".")[0])[self.id]


class Rules:
    """Collects the rules of one area; used as a decorator."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.found: list[Rule] = []

    def __call__(self, name: str, tier: Tier, *needs: Need) -> Callable[[Check], Check]:
        """Make the function the rule ``<area>.<name>``; its docstring says what is asked for."""

        def add(check: Check) -> Check:
            about = " ".join((check.__doc__ or "").split())
            self.found.append(Rule(id=f"{self.area}.{name}", tier=tier, about=about, needs=needs, check=check))
            return check

        return add


@cache
def pages(area: str) -> Mapping[str, str]:
    """Return the pages of an area by rule: what stands below each ``## <id>`` of its file."""
    _, *parts = f"\n{(_PAGES / f'{area}.md').read_text('utf-8')}".split("\n## ")
    return {title.strip(): text.strip() for title, _, text in (part.partition("\n") for part in parts)}
