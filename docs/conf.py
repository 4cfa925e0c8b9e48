"""How Sphinx makes a site of these pages: ``make docs`` writes it to ``docs/_build/html``. A warning is an error.

The pages are Markdown that reads well without Sphinx, too. Two things are added here: a block that names its file
(```` ```toml fernamt.toml ````) is shown with that name, and a link to a file of the repository outside of ``docs`` gives it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_CORE: Final = Path(__file__).parents[1] / "core" / "pyproject.toml"

project = "Fernamt"
author = "the Fernamt project"
release = tomllib.loads(_CORE.read_text())["project"]["version"]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 4
pygments_style = "friendly"
# Two hyphens are an option, not a dash.
smartquotes = False
html_theme = "furo"
html_show_copyright = False
html_title = f"Fernamt {release}"
html_copy_source = False
html_show_sphinx = False

# What a block is for, beside being a file: see tests/docs/blocks.py.
_NAMED: Final = re.compile(r"(?m)^```(\w+) (?!output$|tests/)(\S+)$")


# The page of a plugin is its README, and this site is what the project's README is to a clone.
_README: Final = (
    (re.compile(r"\]\((?:\.\./)+(?:(?:plugins|examples)/)?(?:fernamt-)?(\w+)/README\.md"), r"](/plugins/\1.md"),
    (re.compile(r"\]\((?:\.\./)+README\.md"), "](/index.md"),
)


def _for_sphinx(_app: Sphinx, *read: object) -> None:
    text = read[-1]
    assert isinstance(text, list)
    text[0] = _NAMED.sub(r"```{code-block} \1\n:caption: \2\n", text[0])
    for link, ours in _README:
        text[0] = link.sub(ours, text[0])


def setup(app: Sphinx) -> None:
    """Tell Sphinx of what is added here."""
    app.connect("source-read", _for_sphinx)
    app.connect("include-read", _for_sphinx)
