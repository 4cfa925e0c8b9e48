"""What a setting must be: each check raises ``ValueError`` with the key and the remedy. For attrs' ``validator=``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute

from fernamt import Secret
from fernamt_email.address import MAILBOX


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def security(instance: Any, attribute: Attribute[str], value: str) -> None:
    """``security``: in clear only to this machine itself."""
    if value not in ("tls", "starttls", "none"):
        raise ValueError(f"{attribute.name} is {value!r}; it must be 'tls', 'starttls' or 'none'")
    if value == "none" and not is_loopback(instance.host):
        raise ValueError(
            f"{attribute.name} = 'none' sends mail and password in clear, which is only allowed to this machine itself, "
            f"and host is {instance.host!r}; write 'starttls' or 'tls'"
        )


def login(instance: Any, attribute: Attribute[Any], value: Secret | None) -> None:
    """A password belongs to a user."""
    if value is not None and not instance.user:
        raise ValueError(f"user and {attribute.name} go together: write both or neither")


def one_way_in(instance: Any, _: Attribute[Any], value: object) -> None:
    """``oauth``: a mailbox is opened with a password or with tokens, never both."""
    if value is None and instance.smtp.user and instance.smtp.password is None:
        raise ValueError("smtp.user has no password: write smtp.password, or a table oauth for this channel")
    own = getattr(instance, "password", None)
    if hasattr(instance, "password") and (own is None) == (value is None):
        raise ValueError("a mailbox is opened with a password or with a table oauth: write one of them")


def client(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """``client_secret``: an app that nobody consents to needs one."""
    if instance.flow == "app" and value is None:
        raise ValueError(f"flow = 'app' needs a {attribute.name}")


def kept(instance: Any, attribute: Attribute[Any], value: Path | None) -> None:
    """``token_file``: a consent has to be kept somewhere."""
    if instance.flow != "app" and value is None:
        raise ValueError(f"{attribute.name} is missing: fernamt email connect writes the consent there")


def https(_: Any, attribute: Attribute[str], value: str) -> None:
    """An address that secrets are sent to."""
    url = urlsplit(value)
    if value and url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise ValueError(f"{attribute.name} must begin with https://")


def other(instance: Any, attribute: Attribute[str], value: str) -> None:
    """An address of a provider that we do not know."""
    https(instance, attribute, value)
    if instance.provider == "other" and not value:
        raise ValueError(f"provider = 'other' needs a {attribute.name}")


def known_flow(instance: Any, attribute: Attribute[str], value: str) -> None:
    """``flow``: one that the provider offers."""
    if instance.provider == "google" and value != "browser":
        raise ValueError(f"{attribute.name} must be 'browser': Google gives access to mail in no other way")


def not_empty(_: Any, attribute: Attribute[str], value: str) -> None:
    """A text that must be there."""
    if not value.strip():
        raise ValueError(f"{attribute.name} must not be empty")


def mail_address(_: Any, attribute: Attribute[str], value: str) -> None:
    """One mail address."""
    if not MAILBOX.fullmatch(value):
        raise ValueError(f"{attribute.name} is {value!r}; it must look like support@example.org")


def addresses_or_domains(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    """Mail addresses, or whole domains."""
    for one in value:
        if not MAILBOX.fullmatch(f"anybody{one}" if one.startswith("@") else one):
            raise ValueError(
                f"{attribute.name} has {one!r}; write an address such as info@example.org, or @example.org for a whole domain"
            )


def folders(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    """``folders``: at least one, none twice."""
    if not value or not all(one.strip() for one in value) or len(set(value)) < len(value):
        raise ValueError(f"{attribute.name} must name at least one folder, none of them empty and none twice")


def one_line(_: Any, attribute: Attribute[str], value: str) -> None:
    """A text that goes into a header field."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(f"{attribute.name} must be one line without control characters")


def delimiter(_: Any, attribute: Attribute[str], value: str) -> None:
    """``reply_delimiter``: one that mail servers know."""
    if value not in ("", "+", "-", "=", "_", "."):
        raise ValueError(f"{attribute.name} is {value!r}; it must be one of + - = _ . or empty")


def language(_: Any, attribute: Attribute[str], value: str) -> None:
    """One of our two languages."""
    if value not in ("en", "de"):
        raise ValueError(f"{attribute.name} is {value!r}; it must be 'en' or 'de'")


def port(_: Any, attribute: Attribute[Any], value: int | None) -> None:
    """A TCP port."""
    if value is not None and not 0 < value < 65_536:
        raise ValueError(f"{attribute.name} is {value}; it must be from 1 to 65535")


def at_least(lowest: float) -> Any:
    """Return a check for a number that has a lower bound."""

    def check(_: Any, attribute: Attribute[float], value: float) -> None:
        if value < lowest:
            raise ValueError(f"{attribute.name} is {value}; it must be at least {lowest}")

    return check


def within(lowest: float, highest: float) -> Any:
    """Return a check for a number between two bounds, both allowed."""

    def check(_: Any, attribute: Attribute[float], value: float) -> None:
        if not lowest <= value <= highest:
            raise ValueError(f"{attribute.name} is {value}; it must be from {lowest} to {highest}")

    return check
