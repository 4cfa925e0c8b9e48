"""Sinch's own library, to be imported by the test that asks it: it takes a second, and every worker collects every test.

Its sources warn when they are compiled, and that is no fault of ours.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from sinch.domains.authentication.sinch_events.v1.authentication_validation import calculate_sinch_event_signature
    from sinch.domains.sms.models.v1.shared import TextRequest
    from sinch.domains.sms.sinch_events.v1.sms_sinch_event import SmsSinchEvent

__all__ = ("SmsSinchEvent", "TextRequest", "calculate_sinch_event_signature")
