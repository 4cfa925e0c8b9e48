"""`fernamt new menu`: a menu of one's own that works before a line of it is written."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Final

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common
from fernamt.cli.outcome import DONE, USAGE, Failure

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def new_menu(
    name: str, /, *, folder: Annotated[Path, Parameter(show_default=False)] = Path(), common: Common = COMMON
) -> int:
    """Make a menu of your own: German and English, with callers that test it.

    Two files: NAME.toml and NAME.calls.toml. Neither may exist; nothing else is touched.

    Example: fernamt new menu reception

    Args:
        name: Of the menu: small letters and digits, joined by hyphens.
        folder: Where to put them; without it this one. The daemon looks into menus.d beside its configuration.
        common: What every command takes.
    """
    from fernamt.cli.screen import say, show

    if not _NAME.fullmatch(name):
        raise Failure(
            f"{name!r} cannot be the name of a menu: write small letters and digits, joined by hyphens.", USAGE
        )
    menu, calls = folder / f"{name}.toml", folder / f"{name}.calls.toml"
    for file in (menu, calls):
        if file.exists():
            raise Failure(
                f"{file} is there already, and nothing was touched. Choose another name, or a folder: --folder"
            )
    templates = files("fernamt.cli").joinpath("templates", "menu")
    folder.mkdir(parents=True, exist_ok=True)
    for file, template in ((menu, "menu.toml.txt"), (calls, "calls.toml.txt")):
        file.write_text(Template(templates.joinpath(template).read_text("utf-8")).substitute(name=name), "utf-8")
    show(f"{menu}: a menu in German and English; {calls}: who calls it.")
    say(f"Next:\n  fernamt menu try {menu}\n  fernamt menu check {menu}\n  fernamt menu test {menu}")
    return DONE
