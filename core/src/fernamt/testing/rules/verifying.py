"""The round trip that proves the settings."""

from __future__ import annotations

import asyncio

from fernamt.connector import Verifies
from fernamt.errors import NeedsLogin, Unreachable
from fernamt.testing.rig import PATIENCE_S, Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("verify")
_VERIFIES = (needs.server, needs.can(Verifies))


async def _verified(rig: Rig, trouble: Trouble | None = None) -> object:
    """Return what verify returned or raised."""
    if trouble is not None:
        if trouble not in rig.provider.troubles:
            raise NotApplicable(f"the fake server knows no trouble {trouble.value!r}")
        await rig.meet(trouble)
    assert isinstance(rig.connector, Verifies)
    waiting = asyncio.timeout(PATIENCE_S)
    try:
        async with waiting:
            return await rig.connector.verify()
    except Exception as why:  # noqa: BLE001 - a stranger's connector: what it raises is what is judged
        if waiting.expired():
            raise Broken(f"verify was still waiting after {PATIENCE_S:g} s: give whatever waits a time-out") from None
        return why


@rule("offered", "bronze", needs.server)
async def offered(rig: Rig) -> None:
    """An operator can ask whether the settings are right, before a customer finds out."""
    if not rig.has(Verifies):
        raise Broken("there is no verify(): ask the provider who we are, so that fernamt check --online can tell")


@rule("round-trip", "bronze", *_VERIFIES)
async def round_trip(rig: Rig) -> None:
    """It asks the provider, and says who we are there."""
    found = await _verified(rig)
    if not isinstance(found, str) or not found.strip():
        raise Broken(f"verify {said(found)} although the provider was well: return whom the provider says that we are")
    if not rig.provider.asked:
        raise Broken("verify returned without asking the provider: make a real round trip")


@rule("login-is-told", "bronze", *_VERIFIES)
async def login_is_told(rig: Rig) -> None:
    """A wrong credential is said to be that."""
    found = await _verified(rig, Trouble.LOGIN)
    if not isinstance(found, NeedsLogin):
        raise Broken(f"the provider did not accept the login, and verify {said(found)}: raise NeedsLogin")


@rule("outage-is-told", "silver", *_VERIFIES)
async def outage_is_told(rig: Rig) -> None:
    """A provider that is not there is no wrong credential."""
    found = await _verified(rig, Trouble.NOT_THERE)
    if not isinstance(found, Unreachable):
        raise Broken(f"nobody listened at the provider, and verify {said(found)}: raise Unreachable")


@rule("sends-nothing", "bronze", *_VERIFIES)
async def sends_nothing(rig: Rig) -> None:
    """It writes to nobody."""
    await _verified(rig)
    if rig.provider.arrived:
        raise Broken("verify sent something to a customer: ask the provider for the account instead")
