"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from attrs import frozen
from cyclopts import Parameter


@Parameter(name="*", group="Everywhere")
@frozen(kw_only=True)
class Common:
    """What every command takes."""

    config: Annotated[Path, Parameter(name=("--config", "-c"), env_var="FERNAMT_CONFIG", show_default=True)] = Path(
        "fernamt.toml"
    )
    """The configuration file."""
    verbose: Annotated[
        bool,
        Parameter(name=("--verbose", "-v"), negative=(), show_default=False, help="Show where an error came from."),
    ] = False


COMMON: Final = Common()

Json: TypeAlias = Annotated[bool, Parameter(name="--json")]
Limit: TypeAlias = Annotated[int, Parameter(name=("--limit", "-n"), show_default=True)]
As: TypeAlias = Annotated[str, Parameter(name="--as")]
