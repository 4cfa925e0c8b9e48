"""Strangers' plugins for the stories: tiny installed distributions, healthy and broken in every way."""

from __future__ import annotations

from pathlib import Path

HEALTHY = """
from attrs import frozen
from fernamt import Address, Received, Sent, Webhook, hookimpl

@frozen
class Nothing:
    pass

class Line:
    def __init__(self, channel, context):
        self.sent = []
    def webhooks(self):
        def parse(request):
            key, _, text = request.body.decode().partition(" ")
            return [Received(key=key, id=key, sender=Address("test", "ann"), text=text)]
        return [Webhook(path="hook", verify=lambda request: None, parse=parse)]
    async def send(self, message):
        return Sent(ids=(message.key,))

@hookimpl
def fernamt_register(registry):
    registry.connector("healthy", settings=Nothing, factory=Line, about="it works")
"""


def install(folder: Path, name: str, source: str, *, requires: str = "fernamt", distribution: str = "") -> None:
    """Install a distribution with one module into *folder*; the plugin and the module are called *name*."""
    distribution = distribution or f"fernamt-{name}"
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\nRequires-Dist: {requires}\n"
    )
    (info / "entry_points.txt").write_text(f"[fernamt]\n{name} = {name}_plugin\n")
    (folder / f"{name}_plugin.py").write_text(source)
