"""`fernamt run` and `fernamt demo`: what stays up until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common
from fernamt.cli.outcome import Failure

if TYPE_CHECKING:
    import asyncio


def run(*, common: Common = COMMON) -> int:
    """Run the daemon until it is told to stop.

    SIGTERM and Ctrl-C let it finish what is under way, for up to 20 s.

    Example: fernamt run -c /etc/fernamt/fernamt.toml
    """
    import asyncio

    from fernamt._runtime.plan import checked
    from fernamt.app import App

    app = App.from_settings(checked(common.config))
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(app.run())


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:  # there is none for this system
        import asyncio

        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def demo(*words: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run the demo of a plugin.

    Of the one that is named, else of the first installed one that has a demo. What stands behind the name is the demo's own; fernamt demo email --help lists it.

    Example: fernamt demo email

    Args:
        words: The plugin, and what its demo takes.
    """
    from fernamt.cli.plugincommand import call, is_plugin, known, offered

    if words and is_plugin(words[0]):
        return call(words[0], ["demo", *words[1:]])
    from fernamt._runtime.loader import PluginFailed

    broken = []
    for name in dict.fromkeys(one.name for one in known()):
        try:
            commands = offered(name).commands
        except PluginFailed as why:
            broken.append(str(why))
            continue
        if "demo" in commands:
            return call(name, ["demo", *words])
    remedy = "No installed plugin has a demo. fernamt-email has one: pip install fernamt-email, then fernamt demo"
    raise Failure("\n".join([remedy, *broken]))
