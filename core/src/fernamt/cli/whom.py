"""Whom a person means who types an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fernamt.cli.outcome import USAGE, Failure

if TYPE_CHECKING:
    from fernamt.model import Address


def whom(text: str) -> Address:
    """Return the address. A telephone number may be typed as people write it: with blanks it would be somebody else.

    Raises:
        Failure: It means nobody.
    """
    from fernamt._runtime.notice_rows import address_of
    from fernamt._runtime.storable import storable_text
    from fernamt.model import Address

    typed = storable_text(text.strip())
    try:
        return address_of(typed) if typed.removeprefix("phone:").startswith("+") else Address.parse(typed)
    except ValueError as why:
        said = f"{why}." if typed in str(why) else f"{typed!r} {why}: write it like phone:+4917012345678."
        raise Failure(said, USAGE) from why
