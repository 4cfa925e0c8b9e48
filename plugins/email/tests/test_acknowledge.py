"""Who writes for the first time hears that it arrived, in their language and without their words."""

from __future__ import annotations

import pytest

from fernamt import Acknowledgement, Received
from fernamt.testing import FakeContext
from fernamt_email.acknowledge import acknowledgement, language_in
from fernamt_email.identity import Identity
from fernamt_email.language import Language
from fernamt_email.reading import Reader
from fernamt_email.settings import LayoutSettings

from .given import CHANNEL


@pytest.mark.parametrize(
    ("text", "otherwise", "expected"),
    [
        ("Guten Tag,\n\nich habe mein Paket nicht bekommen.\n\nMit freundlichen Grüßen", "en", "de"),
        ("Hello,\n\nI did not receive my parcel. Can you please help?", "de", "en"),
        ("Où est mon colis ?", "de", "de"),
        ("", "en", "en"),
    ],
)
def test_a_text_says_its_language_by_its_small_words(text: str, otherwise: Language, expected: Language) -> None:
    assert language_in(text, otherwise) == expected


def test_nothing_of_the_visitors_words_is_in_it() -> None:
    said = acknowledgement("Guten Tag, bitte kaufen Sie {number} bei https://spam.test", LayoutSettings(), "en")
    assert said == Acknowledgement(
        text="Ihre Nachricht ist angekommen. Sie hat die Nummer #{number}. Wir melden uns bei Ihnen.",
        subject="Ihre Nachricht ist angekommen (#{number})",
    )


@pytest.mark.parametrize("layout", [None, LayoutSettings(received_en="Got it, #{number}.")])
async def test_only_a_channel_that_acknowledges_does(context: FakeContext, layout: LayoutSettings | None) -> None:
    us = Identity(channel=CHANNEL, address="support@example.org", aliases=frozenset(), delimiter="+")
    raw = b"From: ann@customer.test\r\nSubject: x\r\n\r\nHello, where is my parcel?\r\n"
    [found], _ = await Reader(us, context, "en", acknowledges=layout).read(raw)
    assert isinstance(found, Received)
    said = found.acknowledgement
    assert (said.text if said else "") == (layout.received_en if layout else "")
