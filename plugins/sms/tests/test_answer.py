"""What an answer means that no provider wrote: a wrong address, a proxy, a page of somebody else's."""

from __future__ import annotations

import pytest

from fernamt import Rejected, Unreachable
from fernamt_sms.http.codes import Codes
from fernamt_sms.http.settings import ErrorSettings
from fernamt_sms.infobip.codes import of_answer as of_infobip
from fernamt_sms.outcome import Meaning, error
from fernamt_sms.sinch.codes import of_answer as of_sinch
from fernamt_sms.telnyx.codes import of_answer as of_telnyx
from fernamt_sms.twilio.codes import of_answer as of_twilio
from fernamt_sms.vonage.codes import of_answer as of_vonage


def meanings(status: int) -> dict[str, Meaning]:
    """Return what each provider's table makes of a status without a code."""
    return {
        "infobip": of_infobip(status, None)[0],
        "sinch": of_sinch(status, None)[0],
        "telnyx": of_telnyx(status, None)[0],
        "twilio": of_twilio(status, ""),
        "vonage": of_vonage(status, None)[0],
        "sms.http": Codes(ErrorSettings()).of_answer(status, ""),
    }


@pytest.mark.parametrize("status", [404, 405, 407])
@pytest.mark.parametrize("who", meanings(404))
def test_a_wrong_address_is_no_messages_fault_so_it_is_tried_again(who: str, status: int) -> None:
    found = error(meanings(status)[who], str(status))

    assert isinstance(found, Unreachable)
    assert found.certain


@pytest.mark.parametrize("who", meanings(400))
def test_what_a_provider_refuses_it_refuses(who: str) -> None:
    assert isinstance(error(meanings(400)[who], "400"), Rejected)
