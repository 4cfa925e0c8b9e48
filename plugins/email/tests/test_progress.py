"""The line of text that says how far a folder is read and what became of its mails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Accepted,
    Address,
    Consent,
    ConversationId,
    DeliveryState,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Unparsed,
)
from fernamt_email.progress import Fate, Progress, expected_fate, fate_of

RECEIVED = Received(key="k", sender=Address("email", "ann@customer.test"))
ENTRY = Accepted(conversation=ConversationId("1"), n=1, repeat=False)
NO_ENTRY = Accepted(conversation=None, n=None, repeat=False)
AGAIN = Accepted(conversation=ConversationId("1"), n=1, repeat=True)

numbers = st.integers(0, 2**32)
progresses = st.builds(
    Progress,
    validity=numbers,
    uid=numbers,
    floor=numbers,
    left_s=numbers,
    seen=numbers,
    fates=st.dictionaries(st.sampled_from(list(Fate)), st.integers(1, 2**32)),
)


@given(progresses)
def test_what_is_written_is_read_again(progress: Progress) -> None:
    assert Progress.of(progress.text()) == progress


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    found = Progress.of(text)
    assert found is None or Progress.of(found.text()) == found


def test_a_cursor_of_an_earlier_version_is_read() -> None:
    assert Progress.of("7:12") == Progress(validity=7, uid=12)


@pytest.mark.parametrize(
    ("event", "accepted", "expected", "became"),
    [
        pytest.param(RECEIVED, ENTRY, Fate.STORED, Fate.STORED, id="stored"),
        pytest.param(RECEIVED, AGAIN, Fate.STORED, Fate.KNOWN, id="known"),
        pytest.param(RECEIVED, NO_ENTRY, Fate.STORED, Fate.QUARANTINED, id="the store refused it"),
        pytest.param(Unparsed(key="k", reason="r"), NO_ENTRY, Fate.QUARANTINED, Fate.QUARANTINED, id="unreadable"),
        pytest.param(Ignored(reason="r"), NO_ENTRY, Fate.IGNORED, Fate.IGNORED, id="ignored"),
        pytest.param(
            Receipt(key="k", state=DeliveryState.FAILED), NO_ENTRY, Fate.RECEIPT, Fate.RECEIPT, id="a report of failure"
        ),
        pytest.param(
            Consent(key="k", address=RECEIVED.sender, allowed=False), NO_ENTRY, Fate.CONSENT, Fate.CONSENT, id="no more"
        ),
    ],
)
def test_what_became_of_a_mail_is_what_the_store_says(
    event: InboundEvent, accepted: Accepted, expected: Fate, became: Fate
) -> None:
    assert (expected_fate([event]), fate_of([event], [accepted])) == (expected, became)


def test_the_count_adds_up_until_a_mail_is_forgotten() -> None:
    progress = Progress(validity=1)
    for seen, fate in enumerate((Fate.STORED, Fate.STORED, Fate.GONE), 1):
        progress = progress.at(seen * 10, seen).counted(fate)
    progress = progress.counted(Fate.KNOWN, instead_of=Fate.STORED)
    assert (progress.uid, progress.missing) == (30, 0)
    assert progress.said() == "3 mails: 1 stored, 1 known before, 1 gone"
    forgotten = progress.at(40, 4)
    assert forgotten.missing == 1
    assert forgotten.said().endswith("1 of unknown fate")
