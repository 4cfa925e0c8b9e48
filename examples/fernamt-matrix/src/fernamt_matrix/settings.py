"""The sections that an operator writes: ``[channels.<id>]``, and ``[plugins.matrix]`` for what all channels share."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute, field, frozen

from fernamt import Secret

_USER: Final = re.compile(r"@(?P<localpart>[a-z0-9._=/+-]+):(?P<server>[A-Za-z0-9.\-:\[\]]+)")


def _user(_: Any, attribute: Attribute[str], value: str) -> None:
    if not is_user(value):
        raise ValueError(f"{attribute.name} is {value!r}; it must look like @support:example.org")


def _is_base(_: Any, attribute: Attribute[str], value: str) -> None:
    if not re.fullmatch(r"https?://[^/?#\s]+/?", value):
        raise ValueError(f"{attribute.name} is {value!r}; it must look like https://matrix.example.org")


def _not_negative(_: Any, attribute: Attribute[Any], value: float) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} is {value}; it must not be negative")


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@frozen(kw_only=True)
class MatrixSettings:
    """A channel of kind ``matrix``."""

    homeserver: str = field(validator=_is_base, metadata=_help("Address of the homeserver's client API."))
    user: str = field(validator=_user, metadata=_help("Who we are in the rooms: @support:example.org."))
    display_name: str = field(default="", metadata=_help("The name that people see there; empty: it stays as it is."))
    as_token: Secret = field(metadata=_help("What we show to the homeserver: env:NAME, file:/path or credential:name."))
    hs_token: Secret = field(metadata=_help("What the homeserver shows to us, a reference too."))
    max_bytes: int = field(
        default=52_428_800, validator=_not_negative, metadata=_help("The largest file that we send.")
    )

    @property
    def localpart(self) -> str:
        """``support`` of ``@support:example.org``."""
        return self.user[1:].partition(":")[0]

    @property
    def server(self) -> str:
        """``example.org`` of ``@support:example.org``."""
        return self.user.partition(":")[2]

    @property
    def service(self) -> str:
        """The id under which the registration makes us known to the homeserver."""
        return service_id(self.user)


@frozen(kw_only=True)
class PluginSettings:
    """``[plugins.matrix]``."""

    leave: bool = field(default=True, metadata=_help("Leave a room when the conversation in it is solved."))
    leave_after_h: float = field(
        default=24.0, validator=_not_negative, metadata=_help("So many hours later, if it is still solved.")
    )


def service_id(user: str) -> str:
    """Return the id of the application service that is *user*."""
    return f"fernamt-{user[1:].partition(':')[0]}"


def is_user(text: str) -> bool:
    """Say whether it looks like ``@support:example.org``."""
    return _USER.fullmatch(text) is not None
