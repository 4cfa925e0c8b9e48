"""The configuration: one TOML file, each section in a class, every mistake at once, secrets only as references."""

from fernamt.settings.api import ApiSettings
from fernamt.settings.file import (
    CORE_KEYS,
    ChannelSection,
    HttpSettings,
    LogSettings,
    NoSettings,
    Settings,
    channel_prices,
    channel_settings,
    read_settings,
    structure_section,
)
from fernamt.settings.mistake import ConfigErrors, Mistake, did_you_mean
from fernamt.settings.prices import Price, Prices
from fernamt.settings.quiet import QuietHours
from fernamt.settings.secret import Secret, secrets_in
from fernamt.settings.wording import Filled, NoticeTemplate, Problem, Value, Words

__all__ = (
    "ApiSettings",
    "CORE_KEYS",
    "ChannelSection",
    "ConfigErrors",
    "Filled",
    "HttpSettings",
    "LogSettings",
    "Mistake",
    "NoSettings",
    "NoticeTemplate",
    "Price",
    "Prices",
    "Problem",
    "QuietHours",
    "Secret",
    "Settings",
    "Value",
    "Words",
    "channel_prices",
    "channel_settings",
    "did_you_mean",
    "read_settings",
    "secrets_in",
    "structure_section",
)
