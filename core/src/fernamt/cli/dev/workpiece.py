"""What an author works on, made importable, and its conformance class, which says how it is set up."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
import tomllib
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from fernamt._runtime.installed import discover
from fernamt._runtime.loader import PluginFailed, PluginFailure, load
from fernamt.cli.dev.onefile import suite_of
from fernamt.cli.dev.place import Place
from fernamt.cli.outcome import USAGE, Failure
from fernamt.testing import ConnectorConformance
from fernamt.testing.quality import Quality

_HOW: Final = "Go into the folder of a plugin, or name it: fernamt dev FOLDER. fernamt new connector makes one."


class NotWhole(Failure):
    """The plugin cannot be used as it stands; the text names the file and the line."""


def opened(place: Place, made_up: Path, kind: str = "") -> ConnectorConformance:
    """Make the plugin in *place* importable, and return its conformance class; *made_up* takes metadata if it is not installed.

    Raises:
        Failure: There is no plugin, or it has no conformance class.
        NotWhole: It is broken as it stands.
    """
    suite = suite_of(place.path, made_up, kind) if place.is_file else _of_folder(place.folder, made_up, kind)
    names = [place.path.stem] if suite is None else [suite.kind.partition(".")[0]]
    loaded = load(names)
    for failure in loaded.failures:
        raise NotWhole(_told(failure, place.folder))
    assert suite is not None
    offer = suite.offer()
    if isinstance(offer, PluginFailure):
        raise NotWhole(_told(offer, place.folder))
    try:
        loaded.factory(suite.kind)
    except PluginFailed as why:
        raise NotWhole(_told(why.failure, place.folder)) from why
    return suite


def _of_folder(folder: Path, made_up: Path, kind: str) -> ConnectorConformance:
    said = _project(folder)
    names = said.get("project", {}).get("entry-points", {}).get("fernamt", {})
    if not names:
        raise Failure(
            f"{folder}/pyproject.toml offers no plugin: it needs [project.entry-points.fernamt]. {_HOW}", USAGE
        )
    for place in (folder, folder / "src"):
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
    if not any(one.name in names for one in discover()):
        _pretend_to_install(said["project"], names, made_up)
    for failure in load(names).failures:
        raise NotWhole(_told(failure, folder))
    suites = _suites(folder)
    chosen = [one for one in suites if kind in ("", one.kind)]
    if not chosen:
        known = ", ".join(one.kind for one in suites) or "none"
        raise Failure(f"There is no conformance class of the kind {kind}. There are: {known}.", USAGE)
    return chosen[0]()


def place_of(why: BaseException, folder: Path) -> str:
    """Return ``file:line`` of the deepest frame of *why* in *folder*; empty: there is none."""
    if isinstance(why, SyntaxError) and why.filename:
        return f"{_short(Path(why.filename).resolve(), folder)}:{why.lineno}"
    # Resolved: a plugin of one file is imported by a link to it.
    frames = [(Path(one.filename).resolve(), one.lineno) for one in traceback.extract_tb(why.__traceback__)]
    ours = [(file, line) for file, line in frames if file.is_relative_to(folder)]
    return f"{_short(ours[-1][0], folder)}:{ours[-1][1]}" if ours else ""


def _short(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _told(failure: PluginFailure, folder: Path) -> str:
    why = failure.error
    place = place_of(why, folder) if why is not None else ""
    if why is None:
        return f"{failure.cause}. {failure.remedy}"
    return f"{place or failure.name}: {type(why).__name__}: {' '.join(str(why).split())}"


def _project(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise Failure(f"There is no {file}. {_HOW}", USAGE) from None
    except tomllib.TOMLDecodeError as why:
        raise NotWhole(f"pyproject.toml: {why}") from None


def _pretend_to_install(project: dict[str, Any], names: dict[str, str], made_up: Path) -> None:
    about = made_up / f"{project['name'].replace('-', '_')}-{project.get('version', '0')}.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project.get('version', '0')}"]
    lines += [f"Requires-Dist: {one}" for one in project.get("dependencies", ())]
    (about / "METADATA").write_text("\n".join(lines) + "\n", "utf-8")
    entries = "".join(f"{name} = {value}\n" for name, value in names.items())
    (about / "entry_points.txt").write_text(f"[fernamt]\n{entries}", "utf-8")
    sys.path.append(str(made_up))
    importlib.invalidate_caches()


def _suites(folder: Path) -> list[type[ConnectorConformance]]:
    quality = Quality.above(folder)
    file = folder / quality.conformance
    if not file.is_file():
        raise Failure(
            f"There is no {file}: it says how the connector is set up, in a class below ConnectorConformance. "
            "fernamt new connector shows one.",
            USAGE,
        )
    try:
        module = _module(file)
    except Exception as why:
        raise NotWhole(f"{place_of(why, folder) or file.name}: {type(why).__name__}: {why}") from why
    found = [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and issubclass(one, ConnectorConformance) and one.__module__ == module.__name__
    ]
    if not found:
        raise Failure(f"{file} has no class below ConnectorConformance.", USAGE)
    return found


def _module(file: Path) -> ModuleType:
    name = f"fernamt_dev_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
