"""Every rule of the kit for every kind, for ``fernamt plugins check``; pytest finds them where they stand, beside each other."""

from __future__ import annotations

from .twilio.test_conformance import TestTwilio

__all__ = ("TestTwilio",)
