"""`fernamt new`: a connector of one's own, as a distribution that works before a line of it is written."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import keyword
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Final, Literal, TypeAlias, get_args

from attrs import frozen
from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common
from fernamt.cli.outcome import DONE, USAGE, Failure

By: TypeAlias = Literal["webhook", "poll", "stream"]
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_NAME: Final = 30
_SOURCES: Final = "src/$package"
_PLACES: Final[Mapping[str, str]] = {
    "common/pyproject.toml": "pyproject.toml",
    "common/README.md": "README.md",
    "common/CHANGELOG.md": "CHANGELOG.md",
    "common/AGENTS.md": "AGENTS.md",
    "common/quality.toml": "quality.toml",
    "common/gitignore": ".gitignore",
    "common/ci.yml": ".github/workflows/ci.yml",
    "common/__init__.py": f"{_SOURCES}/__init__.py",
    "common/api.py": f"{_SOURCES}/api.py",
    "common/events.py": f"{_SOURCES}/events.py",
    "$by/settings.py": f"{_SOURCES}/settings.py",
    "$by/connector.py": f"{_SOURCES}/connector.py",
    "$by/test_conformance.py": "tests/test_conformance.py",
    "common/test_readme.py": "tests/test_readme.py",
    "common/0001-text.json": "tests/recordings/0001-text.json",
    "common/0002-batch.json": "tests/recordings/0002-batch.json",
    "common/text.txt": "tests/sent/text.txt",
}
_SERVED: Final[Mapping[str, str]] = {"$by/server.py": "tests/server.py"}
_WAYS: Final[Mapping[By, str]] = {
    "webhook": "the service calls us",
    "poll": "we ask it every few seconds",
    "stream": "it tells us over a connection that stays open",
}
_EXAMPLES: Final[Mapping[By, str]] = {
    "webhook": 'api = "https://api.example.org/v1"\ntoken = "env:$TOKEN"\nsigned_with = "env:$SIGNED_WITH"',
    "poll": 'api = "https://api.example.org/v1"\ntoken = "env:$TOKEN"',
    "stream": 'api = "https://api.example.org/v1"\nstream = "wss://stream.example.org/v1"\ntoken = "env:$TOKEN"',
}
_CAN: Final[Mapping[By, str]] = {
    "webhook": "In: the service calls `/in/<channel>/events`, signed with HMAC-SHA256 over time and body. Out: HTTP",
    "poll": "In: asked for every few seconds, from where the last page ended. Out: HTTP",
    "stream": "In: a WebSocket, acknowledged after the commit. Out: HTTP",
}
_EXTRA: Final[Mapping[By, Mapping[str, object]]] = {"webhook": {}, "poll": {"next": "3"}, "stream": {"number": 1}}


@frozen(kw_only=True)
class Wish:
    """What shall be made."""

    name: str
    by: By
    about: str
    author: str

    @property
    def distribution(self) -> str:
        """The name of the distribution."""
        return f"fernamt-{self.name}"

    @property
    def package(self) -> str:
        """The name of the package in it."""
        return self.distribution.replace("-", "_")


def connector(
    name: str,
    /,
    *,
    by: By | None = None,
    about: str = "",
    author: str = "",
    folder: Annotated[Path | None, Parameter(show_default=False)] = None,
    common: Common = COMMON,
) -> int:
    """Make a connector of your own: a distribution whose tests pass at once.

    What is not said by an option is asked on a terminal, three questions. The folder must not exist; nothing else is touched.

    Example: fernamt new connector acme --by webhook

    Args:
        name: Of the plugin, and of the kind of channel: small letters and digits, joined by hyphens.
        by: How messages come in: webhook (the service calls us), poll (we ask it) or stream (a connection that stays open).
        about: What it is, in one line for fernamt plugins.
        author: Who makes it.
        folder: Where to put it; without it fernamt-NAME in this folder.
        common: What every command takes.
    """
    from fernamt.cli.screen import say, show

    _check(name)
    wish = Wish(
        name=name,
        by=by or _by(_asked("How do messages come in? webhook, poll or stream", "webhook", "--by")),
        about=_plain(about or _asked("What is it, in one line", f"{_title(name)} messages", "--about", needed=False)),
        author=_plain(author or _asked("Who makes it", _login(), "--author", needed=False)),
    )
    target = folder or Path(wish.distribution)
    for path, text in rendered(wish).items():
        file = target / path
        if file == target / "pyproject.toml":
            _make(target)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    show(f"{target}: a connector of the kind {name}; {_WAYS[wish.by]}.")
    say(
        f"Next:\n  cd {target}\n  python -m pip install --editable '.[dev]'\n"
        "  fernamt dev     # talk to it as a customer\n  pytest          # every rule of the conformance kit"
    )
    return DONE


def rendered(wish: Wish) -> dict[str, str]:
    """Return every file of the distribution by its path."""
    words = _words(wish)
    places = _PLACES if wish.by == "webhook" else {**_PLACES, **_SERVED}
    made = {
        Template(place).substitute(words): _template(Template(name).substitute(words), words)
        for name, place in places.items()
    }
    made[f"src/{wish.package}/py.typed"] = ""
    readme = made["README.md"]
    made["README.md"] = readme.replace(
        "<!-- the table of settings -->", _table(made[f"src/{wish.package}/settings.py"])
    )
    return made


def _template(name: str, words: Mapping[str, str]) -> str:
    text = files("fernamt.cli").joinpath("templates", f"{name}.txt").read_text("utf-8")
    return Template(text).substitute(words)


def _words(wish: Wish) -> dict[str, str]:
    from packaging.version import Version

    ours = Version(importlib.metadata.version("fernamt"))
    title = _title(wish.name)
    shout = wish.name.replace("-", "_").upper()
    needed = {f"fernamt>={ours.major}.0.0{'.dev0' if ours.is_prerelease else ''},<{ours.major + 1}", "attrs>=25.4"}
    if wish.by == "stream":
        needed.add("aiohttp>=3.14.4")
    example = Template(_EXAMPLES[wish.by]).substitute(TOKEN=f"{shout}_TOKEN", SIGNED_WITH=f"{shout}_SIGNED_WITH")
    extra = "".join(f"{json.dumps(key)}:{json.dumps(value)}," for key, value in _EXTRA[wish.by].items())
    return {
        "name": wish.name,
        "by": wish.by,
        "about": wish.about,
        "author": wish.author,
        "title": title,
        "Class": title.replace(" ", ""),
        "distribution": wish.distribution,
        "package": wish.package,
        "dependencies": "\n".join(f'    "{one}",' for one in sorted(needed)),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "example": example,
        "can": _CAN[wish.by],
        "path": "events" if wish.by == "webhook" else "",
        "extra": extra.replace('"', '\\"'),
        "table": "<!-- the table of settings -->",
    }


def _table(source: str) -> str:
    """Return the table of the settings in *source*, which is our own template."""
    from fernamt.testing.readme import settings_table_of_source

    return settings_table_of_source(source)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME or keyword.iskeyword(name):
        raise Failure(
            f"{name!r} cannot be the name of a plugin: write small letters and digits, joined by hyphens, for instance acme-chat.",
            USAGE,
        )
    from fernamt._runtime.installed import discover

    if name.startswith("fernamt-"):
        raise Failure(f"Leave fernamt- away: fernamt new connector {name.removeprefix('fernamt-')}", USAGE)
    if taken := [one.distribution for one in discover() if one.name == name]:
        raise Failure(
            f"{taken[0]} has the name {name} already, and of two plugins with one name both are refused: choose another.",
            USAGE,
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Failure(
            f"{folder} is there already, and nothing in it was touched. Name another place: --folder"
        ) from None


def _asked(question: str, default: str, option: str, *, needed: bool = True) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        if needed:
            raise Failure(f"Say it with {option}: {question[0].lower()}{question[1:]}.", USAGE)
        return default
    sys.stderr.write(f"{question} [{default}]: ")
    sys.stderr.flush()
    return " ".join(sys.stdin.readline().split()) or default


def _by(word: str) -> By:
    for one in get_args(By):
        if one.startswith(word.lower()):
            by: By = one
            return by
    raise Failure(f"{word!r} is no way in: choose webhook, poll or stream.", USAGE)


def _plain(text: str) -> str:
    """Return a text that may stand between quotation marks in TOML and in Python."""
    return "".join(one for one in text.replace('"', "'").replace("\\", "/") if one.isprintable()).strip()


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split("-"))


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "somebody"
