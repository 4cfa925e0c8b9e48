"""Whoever types what the tutorial says, from nothing, gets what it says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fernamt.testing import free_port
from tests.docs.blocks import ROOT, WrongBlock, blocks
from tests.docs.typist import changed, terminal
from tests.docs.wheelhouse import fill

PAGE = "docs/write-a-connector.md"
PORTS = ("8470", "8471")
KEPT = ("HOME", "LANG", "PATH", "TMPDIR")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tutorial_typed_into_an_empty_folder_gives_a_connector(tmp_path: Path) -> None:
    wheels, desk, tools = (tmp_path / name for name in ("wheels", "desk", "tools"))
    for folder in (wheels, desk, tools):
        folder.mkdir()
    fill(wheels, "pytest", "uv-build")
    (tools / "python3").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    environ = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
        "COLUMNS": "100",
        # What a registry is to the reader is this folder to us: nothing leaves the machine.
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    page = (ROOT / PAGE).read_text()
    # The page names ports, as a page must; nothing else in it is changed.
    for named in PORTS:
        assert named in page
        page = page.replace(named, str(free_port()))
    with terminal(desk, environ) as reader:
        reader.follow(blocks(PAGE, page))


def test_a_page_that_is_typed_is_told_where_it_is_wrong(tmp_path: Path) -> None:
    page = "```text words.txt\none\n```\n\n```console\n$ cat words.txt\none\n$ mkdir a && cd a\n$ pwd\n.../a\n$ false\n```\n"
    with terminal(tmp_path, os.environ) as reader, pytest.raises(WrongBlock, match="`false` ended with 1"):
        reader.follow(blocks("page.md", page))


def test_a_change_replaces_what_has_the_same_name() -> None:
    source = "from a import b\n\n\nclass C:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"

    assert changed(source, "    def f(self):\n        return 3\n") == source.replace("1", "3")
    assert changed(source, "    def f(self):\n        pass\n\n    def h(self):\n        pass\n").count("def") == 3
    assert changed(source, "from a import (\n    b,\n    c,\n)\n").startswith(
        "from a import (\n    b,\n    c,\n)\n\n\nclass"
    )
    with pytest.raises(AssertionError, match="there is no h"):
        changed(source, "def h(): ...")
