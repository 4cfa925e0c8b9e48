"""The channels that a configuration binds to a menu, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fernamt.cli.menus.finding import is_file
from fernamt.outbound import Voice


def bound(menu: str, configuration: Path) -> Iterator[tuple[str, Voice | None]]:
    """Yield the channels that choose this menu, with what their lines can do.

    Nothing is started. A configuration that is not there, or has mistakes, binds nothing: ``fernamt check`` tells what is wrong.
    """
    from fernamt._runtime.plan import plan
    from fernamt.connector import Describes
    from fernamt.settings import ConfigErrors, read_settings
    from fernamt.testing import FakeContext

    try:
        planned = plan(read_settings(configuration)) if configuration.is_file() else None
    except ConfigErrors:
        return
    for one in planned.channels if planned is not None else ():
        if one.section.menu != _name(menu, configuration) or one.factory is None or one.channel is None:
            continue
        try:
            connector = one.factory(one.channel, FakeContext(settings=one.channel.settings))
            can = connector.capabilities() if isinstance(connector, Describes) else None
        except Exception:  # noqa: BLE001, S112 - a plugin's border: fernamt check is where it is told
            continue
        if can is not None:
            yield one.section.id, can.voice


def _name(menu: str, configuration: Path) -> str:
    """Return how a channel names it: a file in ``menus.d`` has the name that it is offered by."""
    if not is_file(menu):
        return menu
    folder = configuration.absolute().parent / "menus.d"
    return f"menus.{Path(menu).stem}" if Path(menu).absolute().parent == folder else ""
