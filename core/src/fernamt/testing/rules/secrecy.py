"""What nobody may read: secrets, and customers' words."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from fernamt.connector import Verifies, Webhooks
from fernamt.outbound import Sent
from fernamt.testing.rig import WORDS, Rig
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("secret")


class _Heard(logging.Handler):
    """Keeps what libraries log, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


@contextlib.contextmanager
def _listening() -> Iterator[list[str]]:
    root, heard = logging.getLogger(), _Heard()
    root.addHandler(heard)
    try:
        yield heard.lines
    finally:
        root.removeHandler(heard)


async def _said_at_work(rig: Rig) -> tuple[list[str], list[BaseException]]:
    """Let the connector do what it can, well and in trouble; return what it logged and what it raised."""
    errors: list[BaseException] = []
    with _listening() as lines:
        if rig.has(Webhooks):
            for one in rig.recordings:
                rig.parsed(one)
                with contextlib.suppress(Exception):
                    rig.hook(one).verify(rig.unsigned(one))
        troubles: list[Trouble | None] = [None, *(sorted(rig.provider.troubles) if rig.server else [])]
        for trouble in troubles:
            if rig.server is not None:
                await rig.meet(trouble)
            if rig.suite.sends:
                found = await rig.outcome(rig.message())
                errors += [] if isinstance(found, Sent) else [found]
            if isinstance(rig.connector, Verifies) and trouble in {None, Trouble.LOGIN}:
                try:
                    await rig.connector.verify()
                except Exception as why:  # noqa: BLE001 - it is what we look into
                    errors.append(why)
    return [*lines, *(f"{one}" for one in rig.context.logged if one.get("level") != "debug")], errors


def _secrets(rig: Rig) -> list[str]:
    if not (secrets := [one for one in rig.secrets if len(one) >= 4]):
        raise NotApplicable("there are no secrets in its settings")
    return secrets


@rule("not-in-repr", "bronze")
async def not_in_repr(rig: Rig) -> None:
    """No secret stands in a repr."""
    for secret in _secrets(rig):
        for what, shown in (("the settings", repr(rig.settings())), ("the connector", f"{rig.connector!r}")):
            if secret in shown:
                raise Broken(
                    f"the repr of {what} shows a secret: keep it as fernamt.Secret, and reveal() it where it is used"
                )


@rule("not-logged", "bronze")
async def not_logged(rig: Rig) -> None:
    """No secret is logged."""
    secrets = _secrets(rig)
    lines, _ = await _said_at_work(rig)
    for line in lines:
        if any(secret in line for secret in secrets):
            raise Broken(f"a secret is logged ({line[:60]} ...): log names and numbers, never what was revealed")


@rule("not-in-errors", "bronze")
async def not_in_errors(rig: Rig) -> None:
    """No secret stands in an error."""
    secrets = _secrets(rig)
    _, errors = await _said_at_work(rig)
    for why in errors:
        if any(secret in f"{why!s} {why!r}" for secret in secrets):
            raise Broken(
                f"{type(why).__name__} shows a secret: agents read the reason, so write it without what was revealed"
            )


@rule("words-not-logged", "bronze", needs.sends)
async def words_not_logged(rig: Rig) -> None:
    """Customers' words are not logged."""
    lines, _ = await _said_at_work(rig)
    for line in lines:
        if WORDS in line or "Kanarienvogel" in line:
            raise Broken("the text of a message is logged: log its key or its length instead")


@rule("words-not-in-errors", "bronze", needs.sends)
async def words_not_in_errors(rig: Rig) -> None:
    """Customers' words do not stand in errors."""
    _, errors = await _said_at_work(rig)
    for why in errors:
        if "Kanarienvogel" in f"{why!s} {why!r}":
            raise Broken(f"{type(why).__name__} repeats the text of the message: say what is wrong with it instead")
