"""What goes over the wire for a message: recorded once, looked at by a person, and compared ever after."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final

from fernamt.testing.rig import Rig, rigged, said
from fernamt.testing.rule import Broken, Rules
from fernamt.testing.rules import needs

rule = RULES = Rules("out")
_DIFFERENCE_MAX: Final = 12
_HOW: Final = "pytest --fernamt-record -k out.as-recorded"


@rule("as-recorded", "bronze", needs.sends, needs.transcribes)
async def as_recorded(rig: Rig) -> None:
    """What goes out for a message is recorded, and is still what goes out."""
    written = await transcripts(rig)
    if rig.records:
        rig.suite.record_sent(written)
        return
    recorded = rig.suite.sent()
    for name, text in written.items():
        if name not in recorded:
            raise Broken(
                f"what goes out for {name!r} is not recorded: let {_HOW} write {rig.suite.sent_folder.name}/{name}.txt, and"
                " look whether it is what the provider's documentation says"
            )
        if text != recorded[name]:
            raise Broken(
                f"what goes out for {name!r} is not what {rig.suite.sent_folder.name}/{name}.txt holds: mend the connector, or,"
                f" if the difference is meant, record it anew by {_HOW}\n{_difference(recorded[name], text)}"
            )


async def transcripts(rig: Rig) -> Mapping[str, str]:
    """Return what goes out for each message of the suite, each sent by a connector of its own."""
    return {name: await _transcript(rig, name) for name in rig.suite.messages(rig)}


async def _transcript(rig: Rig, name: str) -> str:
    async with rigged(rig.suite, rig.seen) as fresh:
        for part in fresh.fitted(fresh.suite.messages(fresh)[name]):
            found = await fresh.outcome(part)
            if isinstance(found, BaseException):
                raise Broken(
                    f"send {said(found)} for {name!r} although the provider was well: correct messages(), or the connector"
                )
        text = "\n\n".join(fresh.transcribed())
    return f"{text.rstrip()}\n"


def _difference(was: str, now: str) -> str:
    lines = [*difflib.unified_diff(was.splitlines(), now.splitlines(), "recorded", "now", n=1, lineterm="")]
    more = len(lines) - _DIFFERENCE_MAX
    return "\n".join([*lines[:_DIFFERENCE_MAX], *([f"... and {more} lines more"] if more > 0 else [])])
