"""A folder from which ``pip`` installs Fernamt without a network: its own wheel, and those of what is installed here already."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.docs.blocks import ROOT

_UV = Path(sys.executable).with_name("uv")
_NOT_OURS = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def fill(folder: Path, *wanted: str) -> None:
    """Put the wheel of the core into *folder*, and one of everything that it and *wanted* need."""
    source = shutil.copytree(ROOT / "core", folder / "source", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    build: list[str | Path] = [
        _UV,
        "build",
        "--quiet",
        "--wheel",
        "--offline",
        "--no-sources",
        "--out-dir",
        folder,
        source,
    ]
    if subprocess.run(build).returncode:
        build.remove("--offline")  # what builds it is not in uv's cache
        subprocess.run(build, check=True)
    for one in needed("fernamt", *wanted):
        if one.name != "fernamt":
            pack(one, folder)


def needed(*names: str) -> list[Distribution]:
    """Return the installed distributions of these names, and whatever they require here."""
    found: dict[str, Distribution] = {}
    open_names = list(names)
    while open_names:
        name = open_names.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise AssertionError(f"{name} is not installed here: call `make env`") from None
        requirements = [Requirement(text) for text in found[name].requires or ()]
        open_names += [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def pack(installed: Distribution, folder: Path) -> Path:
    """Make a wheel of what an installation left in the environment."""
    tags = [
        line.split(": ")[1].split("-") for line in str(installed.read_text("WHEEL")).splitlines() if "Tag: " in line
    ]
    tag = "-".join(".".join(sorted({one[place] for one in tags})) for place in range(3))
    name = f"{installed.name.replace('-', '_')}-{installed.version}"
    wheel = folder / f"{name}-{tag}.whl"
    commands = {one.name for one in installed.entry_points if one.group == "console_scripts"}
    record = ""
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in installed.files or ():
            place, path = file.as_posix(), Path(str(file.locate()))
            if file.name in _NOT_OURS or file.suffix == ".pyc" or (".." in file.parts and file.name in commands):
                continue
            if ".." in file.parts:
                place = f"{name}.data/scripts/{file.name}"
            content = path.read_bytes()
            archive.write(path, place)  # with its mode: a script stays executable
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record += f"{place},sha256={digest},{len(content)}\n"
        # The folder is called as the distribution calls itself, which need not be how we write its name.
        info = next(file.parent for file in installed.files or () if file.name == "METADATA")
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel
