"""What goes wrong between us and any provider that answers in HTTP's own words, and what has to follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Final

import pytest

from fernamt import Address, NeedsLogin, Rejected, Throttled, Unreachable
from fernamt.testing import ProviderFault

from .lines import Given, message

FAULTS: Final[dict[str, tuple[ProviderFault, type[Exception], bool | None]]] = {
    "too fast": (ProviderFault.throttled(after_s=7), Throttled, None),
    "an old login": (ProviderFault.expired_login(), NeedsLogin, None),
    "no money": (ProviderFault.refused(402), NeedsLogin, None),
    "refused": (ProviderFault.refused(400), Rejected, None),
    "not done in time": (ProviderFault.refused(408), Unreachable, False),
    "failed": (ProviderFault.failed(503), Unreachable, False),
    "moved": (ProviderFault(acts=False, status=302, body=b""), Unreachable, False),
    "a lost answer": (ProviderFault.lost_answer(), Unreachable, False),
    "a lost question": (ProviderFault.lost_question(), Unreachable, False),
    "an answer cut short": (ProviderFault.cut_short(), Unreachable, False),
    "a page for people": (ProviderFault.html(), Unreachable, False),
    "an answer without an id": (ProviderFault(body=b"{}"), Unreachable, False),
    "an answer that is no object": (ProviderFault(body=b"[]"), Unreachable, False),
    "an empty answer": (ProviderFault(body=b""), Unreachable, False),
}
"""The fault, the error, and of ``Unreachable`` whether it is certain."""

NEVER_PASS: Final[dict[str, tuple[str, bool, str]]] = {
    "whoever wrote under a name": ("sms:Vodafone", False, "under a name"),
    "a mail address": ("email:ann@example.org", False, "an SMS goes to an address"),
    "a name that writes to the USA": ("phone:+12025550123", True, "networks in that country"),
}
"""To whom, whether from a name, and why not."""


class Outgoing:
    """What every line does with what it is to send: the tests of a provider have a ``Test`` class upon this."""

    from_a_name: ClassVar[Mapping[str, Any]] = {"sender": "Example"}
    """What a section says that sends from a name."""

    def line(self, **section: Any) -> AbstractAsyncContextManager[Given[Any, Any]]:
        """Give a line at a fake."""
        raise NotImplementedError

    @pytest.mark.parametrize(("fault", "kind", "certain"), FAULTS.values(), ids=FAULTS)
    async def test_trouble_is_said_in_the_words_of_the_retry_protocol(
        self, fault: ProviderFault, kind: type[Exception], certain: bool | None
    ) -> None:
        async with self.line() as it:
            it.there.next(fault)
            with pytest.raises(kind) as why:
                await it.line.send(message())
            assert getattr(why.value, "certain", None) == certain
            assert len(it.there.calls) == 1

    @pytest.mark.parametrize(("to", "named", "says"), NEVER_PASS.values(), ids=NEVER_PASS)
    async def test_what_can_never_pass_is_refused_before_the_provider_sees_it(
        self, to: str, named: bool, says: str
    ) -> None:
        async with self.line(**self.from_a_name if named else {}) as it:
            with pytest.raises(Rejected, match=says):
                await it.line.send(message(to=Address.parse(to)))
            assert it.there.calls == []
