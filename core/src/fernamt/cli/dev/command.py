"""`fernamt dev`: one plugin alone, a chat with it in the terminal, reloaded on every save."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common
from fernamt.cli.outcome import DONE, USAGE, Failure


def dev(
    path: Path = Path(),
    /,
    *,
    kind: str = "",
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = (),
    port: Annotated[int, Parameter(show_default=True)] = 8090,
    echo: Annotated[bool, Parameter(negative="--no-echo")] = True,
    common: Common = COMMON,
) -> int:
    """Work on a plugin: talk to it as a customer, see what it does, and it is reloaded on every save.

    A daemon with a temporary store runs this plugin alone, against the fake server of its tests. What you type is written by
    the customer, and the desk answers with an echo. Each save begins with an empty store; while one is broken the last good
    version goes on. At /_dev/ a page shows what goes by, and saves it as a recording. No configuration is read.

    Of a plugin of one file, which has no tests, the settings are made up: what --set does not say is the address of a fake
    provider, or a made-up secret.

    Example: fernamt dev

    Example: fernamt dev ../fernamt-acme --no-echo

    Example: fernamt dev plugins.d/courier.py --set api=https://sandbox.example.com --set token=env:TOKEN

    Args:
        path: The folder of the plugin, where its pyproject.toml is, or a single file for plugins.d.
        kind: Which of its kinds, if there are several.
        settings: A key of the channel's section and its value, KEY=VALUE; may be given more than once.
        port: Of the page, and of the webhooks; 0: any. It is served on 127.0.0.1 only.
        echo: Let the desk answer every message.
        common: What every command takes.
    """
    import asyncio
    import tempfile

    from fernamt.cli.dev.place import Place
    from fernamt.cli.dev.session import chatted

    place = Place(path.resolve())
    if not place.is_file and not (place.path / "pyproject.toml").is_file():
        why = "it has no pyproject.toml" if place.path.is_dir() else "there is no such folder or file"
        raise Failure(
            f"{place.path} is no plugin: {why}. Go into a plugin's folder, or name it, or a single file: fernamt dev FOLDER, "
            "fernamt dev FILE.py. fernamt new connector makes one.",
            USAGE,
        )
    section = dict(map(_setting, settings))
    with tempfile.TemporaryDirectory(prefix="fernamt-dev-") as kept:
        try:
            return asyncio.run(chatted(place, Path(kept), kind, port, section, echo=echo))
        except KeyboardInterrupt:
            return DONE


def _setting(said: str) -> tuple[str, Any]:
    """Return a key and its value: as TOML if it is some, as text otherwise."""
    key, equals, value = said.partition("=")
    if not equals or not key.strip():
        raise Failure(f"--set {said} says no key and value: write --set KEY=VALUE.", USAGE)
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value
