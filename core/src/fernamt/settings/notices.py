"""The templates of notices: ``[notices.<name>]`` in the configuration itself, and in the files that ``[notices] files`` names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from fernamt.settings.mistake import ConfigErrors, Finding, Mistake, did_you_mean
from fernamt.settings.source import Source, read_source
from fernamt.settings.structure import structure
from fernamt.settings.wording import NoticeTemplate

_OWN: Final = frozenset({"files", "keep_days"})
"""The keys of the section that are no templates."""
_KEEP_DAYS: Final = 90
_MOST_DAYS: Final = 36_500
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class NoticeReading:
    """The templates of one configuration. What is wrong is collected, by the file that it stands in."""

    def __init__(self, source: Source, channels: Collection[str]) -> None:
        """*channels* are the ids of those that the configuration has."""
        self.templates: dict[str, NoticeTemplate] = {}
        self.found: list[Finding] = []
        """In the configuration itself."""
        self.mistakes: list[Mistake] = []
        """In other files."""
        self.kept: timedelta | None = timedelta(days=_KEEP_DAYS)
        """Runs that were over so long ago are forgotten; ``None``: none is."""
        self._source = source
        self._channels = channels

    def read(self, raw: object) -> None:
        """Read the section ``notices``, and the files that it names."""
        if not isinstance(raw, Mapping):
            self.found.append(Finding(("notices",), "must be a section", "Write [notices.order-confirmed]"))
            return
        named = raw.get("files", [])
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            self.found.append(Finding(("notices", "files"), "must be a list of paths", "Write ['notices.toml']"))
            named = []
        self._keep(raw.get("keep_days", _KEEP_DAYS))
        self.found += self._templates({key: value for key, value in raw.items() if key not in _OWN})
        for one in named:
            self._file(self._source.file.absolute().parent / one)

    def _keep(self, days: object) -> None:
        if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _MOST_DAYS:
            fix = "Write how many days a run is known after it was over, or 0 to forget none"
            self.found.append(Finding(("notices", "keep_days"), f"must be a number from 0 to {_MOST_DAYS:,}", fix))
            return
        self.kept = timedelta(days=days) if days else None

    def _file(self, path: Path) -> None:
        try:
            source = read_source(path)
        except ConfigErrors as why:
            self.mistakes += [evolve(one, fix="Correct [notices] files, or make it") for one in why.mistakes[:1]]
            return
        found = [
            Finding((key,), "unknown key", "Only [notices.<name>] stands here")
            for key in source.data.keys() - {"notices"}
        ]
        section = source.data.get("notices", {})
        if isinstance(section, Mapping):
            found += self._templates(section)
        else:
            found.append(Finding(("notices",), "must be a section", "Write [notices.order-confirmed]"))
        self.mistakes += map(source.mistake, found)

    def _templates(self, section: Mapping[str, Any]) -> Iterator[Finding]:
        for name, table in section.items():
            for finding in self._template(name, table):
                yield evolve(finding, path=("notices", name, *finding.path))

    def _template(self, name: str, table: object) -> Iterator[Finding]:
        if not _NAME.fullmatch(name):
            yield Finding(
                (), "this cannot be the name of a notice", "Write at most 63 small letters, digits and hyphens"
            )
        if name in self.templates:
            yield Finding((), "it is there twice", "Rename one of them")
        if not isinstance(table, Mapping):
            yield Finding((), "must be a section", f"Write [notices.{name}] and its keys below")
            return
        own = {key: value for key, value in table.items() if key != "name"}
        if "name" in table:
            yield Finding(("name",), "unknown key", "Its name is that of the section")
        template, found = structure({**own, "name": name}, NoticeTemplate, folder=Path(), environ={})
        yield from found
        if template is None:
            return
        yield from template.findings()
        if template.channel and template.channel not in self._channels:
            fix = did_you_mean(template.channel, self._channels) or "Add a section [channels.<id>]"
            yield Finding(("channel",), f"there is no channel {template.channel!r}", fix)
        self.templates[name] = template
