"""How the reader of outreach stops it: by the button of a mail program (RFC 8058), by a mail (RFC 2369), or on a page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Final
from urllib.parse import quote

from aiohttp import web

from fernamt import Address, BadSignature, ConnectorContext, Consent, NotStored
from fernamt_email.identity import Identity

VALID: Final = timedelta(days=400)
SCOPE: Final = "marketing"

_PURPOSE: Final = "stop:"
_SUBJECT: Final = re.compile(r"(?i)\s*(?:(?:re|aw)\s*:\s*)?unsubscribe\s+(\S{1,500})\s*")
_PAGE: Final = """<!doctype html>
<meta charset="utf-8"><meta name="robots" content="noindex"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<p lang="de">{de}</p>
<p lang="en">{en}</p>
{form}
"""
_FORM: Final = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button><span lang="de">Abbestellen</span> / <span lang="en">Unsubscribe</span></button></form>'
)
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Unsubscribing:
    """Signs for each recipient where outreach is stopped, and takes their word when it comes back."""

    def __init__(self, identity: Identity, context: ConnectorContext, url: str) -> None:
        """*url* is the channel's public one; without https there is no button (RFC 8058, 3.1)."""
        self._identity = identity
        self._context = context
        self._url = url if url.startswith("https:") else ""

    def addresses(self, to: Address) -> tuple[str, ...]:
        """Return what ``List-Unsubscribe`` names for a recipient."""
        token = quote(self._context.sign(f"{_PURPOSE}{to}", valid=VALID), safe="")
        by_mail = f"mailto:{quote(self._identity.address, safe='@+')}?subject=unsubscribe%20{token}"
        return (f"{self._url}unsubscribe?token={token}", by_mail) if self._url else (by_mail,)

    def event_of(self, subject: str, *, key: str) -> Consent | None:
        """Return what a mail with this subject stops, if we gave its token out; whoever sends it."""
        found = _SUBJECT.fullmatch(subject)
        return self._consent(found[1], key) if found else None

    def routes(self) -> Sequence[web.RouteDef]:
        """See ``Serves``."""
        return (web.get("/unsubscribe", self._ask), web.post("/unsubscribe", self._stop))

    def _consent(self, token: str, key: str) -> Consent | None:
        try:
            purpose, _, to = self._context.unsign(token).partition(":")
            address = Address.parse(to)
        except (BadSignature, ValueError):
            return None
        return Consent(key=key, address=address, allowed=False, scope=SCOPE) if f"{purpose}:" == _PURPOSE else None

    def _asked(self, request: web.Request) -> Consent | None:
        token = request.query.get("token", "")
        minute = self._context.clock.now().isoformat(timespec="minutes")  # who allowed it again may stop it again
        return self._consent(token, f"unsubscribe:{hashlib.sha256(token.encode()).hexdigest()}:{minute}")

    async def _ask(self, request: web.Request) -> web.Response:
        """Show a page with a button: programs that look at links for their owners stop nothing."""
        consent = self._asked(request)
        if consent is None:
            return _page(404, "Dieser Link gilt nicht mehr.", "This link is not valid any more.")
        who = escape(consent.address.value)
        return _page(200, f"Keine Rundmails mehr an {who}?", f"No more bulk mails to {who}?", _FORM)

    async def _stop(self, request: web.Request) -> web.Response:
        consent = self._asked(request)
        if consent is None:
            return _page(404, "Dieser Link gilt nicht mehr.", "This link is not valid any more.")
        try:
            await self._context.intake.accept([consent])
        except NotStored as full:
            page = _page(503, "Bitte versuchen Sie es gleich noch einmal.", "Please try again in a moment.")
            page.headers["Retry-After"] = str(max(1, round(full.after_s)))
            return page
        return _page(200, "Sie bekommen keine Rundmails mehr von uns.", "You get no more bulk mails from us.")


def _page(status: int, de: str, en: str, form: str = "") -> web.Response:
    text = _PAGE.format(title="Abbestellen / Unsubscribe", de=de, en=en, form=form)
    return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)
