"""Every rule of the kit for every kind, for ``fernamt plugins check``; pytest finds them where they stand, beside each other."""

from __future__ import annotations

from .http.test_conformance import TestHttp
from .infobip.test_conformance import TestInfobip
from .kannel.test_conformance import TestKannel
from .messagebird.test_conformance import TestMessageBird
from .sinch.test_conformance import TestSinch
from .smpp.test_conformance import TestSmpp
from .telnyx.test_conformance import TestTelnyx
from .twilio.test_conformance import TestTwilio
from .vonage.test_conformance import TestVonageMessages, TestVonageSms

__all__ = (
    "TestHttp",
    "TestInfobip",
    "TestKannel",
    "TestMessageBird",
    "TestSinch",
    "TestSmpp",
    "TestTelnyx",
    "TestTwilio",
    "TestVonageMessages",
    "TestVonageSms",
)
