"""`fernamt dev`: one plugin alone, a chat with it in the terminal, reloaded on every save."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common
from fernamt.cli.outcome import DONE, USAGE, Failure


def dev(
    path: Path = Path(),
    /,
    *,
    kind: str = "",
    port: Annotated[int, Parameter(show_default=True)] = 8090,
    echo: Annotated[bool, Parameter(negative="--no-echo")] = True,
    common: Common = COMMON,
) -> int:
    """Work on a plugin: talk to it as a customer, see what it does, and it is reloaded on every save.

    A daemon with a temporary store runs this plugin alone, against the fake server of its tests. What you type is written by
    the customer, and the desk answers with an echo. Each save begins with an empty store; while one is broken the last good
    version goes on. At /_dev/ a page shows what goes by, and saves it as a recording. No configuration is read.

    Example: fernamt dev

    Example: fernamt dev ../fernamt-acme --no-echo

    Args:
        path: The folder of the plugin: where its pyproject.toml is.
        kind: Which of its kinds, if there are several.
        port: Of the page; 0: any. It is served on 127.0.0.1 only.
        echo: Let the desk answer every message.
        common: What every command takes.
    """
    import asyncio
    import tempfile

    from fernamt.cli.dev.session import chatted

    folder = path.resolve()
    if not (folder / "pyproject.toml").is_file():
        raise Failure(
            f"{folder} is no plugin's folder: it has no pyproject.toml. Go into one, or name it: fernamt dev FOLDER. "
            "fernamt new connector makes one.",
            USAGE,
        )
    with tempfile.TemporaryDirectory(prefix="fernamt-dev-") as kept:
        try:
            return asyncio.run(chatted(folder, Path(kept), kind, port, echo=echo))
        except KeyboardInterrupt:
            return DONE
