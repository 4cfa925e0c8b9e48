"""Who may use the HTTP API: ``[api.tokens]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from fernamt.settings.secret import Secret

TOKEN_MIN: Final = 32
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def _tokens(_: object, __: object, tokens: Mapping[str, Secret]) -> None:
    for name, token in tokens.items():
        if not _NAME.fullmatch(name):
            raise ValueError("the name of a token is at most 31 small letters, digits and hyphens")
        if len(token.reveal()) < TOKEN_MIN or not token.reveal().isascii() or set(token.reveal()) & set(" \t\r\n,"):
            raise ValueError(
                f"the token {name!r} must be at least {TOKEN_MIN} letters and digits, for instance of: openssl rand -hex 32"
            )
    if len({token.reveal() for token in tokens.values()}) < len(tokens):
        raise ValueError("two tokens are the same: nobody could say who calls")


@frozen(kw_only=True)
class ApiSettings:
    """Without a token there is no API."""

    tokens: Mapping[str, Secret] = field(factory=dict, validator=_tokens)
    """By the name of the program that has it, as it is shown to people."""
