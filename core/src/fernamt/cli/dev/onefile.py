"""A plugin of one file on the bench: it brings no tests, so what an author would say there is made up, and told."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from fernamt._runtime.installed import FOLDER, GROUP, OneFile, discover
from fernamt._runtime.loader import load
from fernamt.cli.outcome import USAGE, Failure
from fernamt.settings import Secret
from fernamt.testing import ConnectorConformance, FaultyProvider, Recording

_SECRET: Final = "made-up-by-fernamt-dev"  # noqa: S105 - of a channel that reaches nobody


class OneFileSuite(ConnectorConformance):
    """What ``fernamt dev`` has to know of a connector whose author has not written it down yet."""

    def __init__(self, file: Path, settings: type[Any]) -> None:
        """*settings*: the class that describes the section."""
        self._file = file
        self._settings = settings

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._file.parent

    def recorded(self) -> Sequence[Recording]:
        """Return the recordings beside the file, but those of its neighbours."""
        return [one for one in super().recorded() if one.kind in ("", self.kind)]

    def settings(self, server: FaultyProvider) -> Mapping[str, object]:
        """Return what has to be said: for every text the address of the pretended provider, for every secret a made-up one."""
        made_up: dict[str, object] = {}
        for one in attrs.fields(self._settings):
            if one.init and one.default is attrs.NOTHING:
                name = one.alias or one.name
                if one.type in (Secret, "Secret"):
                    made_up[name] = Secret(_SECRET)
                elif one.type in (str, "str"):
                    made_up[name] = server.url
        return made_up


def suite_of(file: Path, made_up: Path, kind: str) -> ConnectorConformance | None:
    """Make the plugin in *file* importable, and return how it is set up; ``None``: it is broken as it stands.

    *made_up* takes the metadata with which it is found. Raises ``Failure`` if there is nothing to work on.
    """
    name = file.stem
    if file.suffix != ".py" or not name.isidentifier():
        raise Failure(f"{file.name} is no plugin: a file of {FOLDER} is called like the plugin, NAME.py.", USAGE)
    if taken := [one for one in discover() if one.name == name]:
        said = f"{taken[0].distribution} {taken[0].version}".strip()
        raise Failure(
            f"{said} is installed and claims the name {name}: call the file otherwise, or uninstall it.", USAGE
        )
    module = OneFile(file).value
    room = made_up / module.partition(".")[0]
    room.mkdir(parents=True, exist_ok=True)
    (room / file.name).symlink_to(file)
    about = made_up / f"{name}-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\nRequires-Dist: fernamt\n", "utf-8"
    )
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n", "utf-8")
    sys.path.append(str(made_up))
    loaded = load([name])
    if loaded.failures:
        return None
    offers = loaded.offers[name].connectors
    chosen = kind or next(iter(offers), "")
    if chosen not in offers:
        known = (
            f"no kind {kind}. It offers {', '.join(offers)}"
            if offers
            else "no kind of channel, so nobody can talk to it"
        )
        raise Failure(f"{file.name} offers {known}.", USAGE)
    return _suite_class(chosen)(file, offers[chosen].settings)


def _suite_class(of_kind: str) -> type[OneFileSuite]:
    class Suite(OneFileSuite):
        kind = of_kind

    return Suite
