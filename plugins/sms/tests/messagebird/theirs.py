"""Bird's own library. One of its models has a field that its base class has, too, and that is no fault of ours."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    from bird import AsyncBird, Bird, ValidationError, WebhookVerificationError
    from bird._generated import (
        EventSMSDelivered,
        EventSMSFailed,
        EventSMSReceived,
        EventSMSSuppressionCreated,
        SMSErrorCode,
        SMSEventType,
        SMSMessage,
        SMSMessageStatus,
    )

__all__ = (
    "AsyncBird",
    "Bird",
    "EventSMSDelivered",
    "EventSMSFailed",
    "EventSMSReceived",
    "EventSMSSuppressionCreated",
    "SMSErrorCode",
    "SMSEventType",
    "SMSMessage",
    "SMSMessageStatus",
    "ValidationError",
    "WebhookVerificationError",
)
