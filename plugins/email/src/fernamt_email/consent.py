"""How a person gives access to a mailbox: with a code on any device (RFC 8628), or in a browser of this machine (RFC 8252)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson

from fernamt import HttpReply, NeedsLogin, Unreachable
from fernamt_email.oauth import REQUEST_S, Granted, Posts, client_of, endpoints, error_in, granted_by
from fernamt_email.settings import OAuthSettings

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
BROWSER_S: Final = 600.0
_LINE: Final = 16_384
_PAGE: Final = (
    "<!doctype html><meta charset=utf-8><title>Fernamt</title>"
    "<p>Fertig: dieses Fenster kann geschlossen werden.<p>Done: you may close this window."
)


async def by_device(settings: OAuthSettings, http: Posts, shown: Callable[[str, str], None]) -> Granted:
    """Let somebody consent elsewhere. *shown* is told the address to open there, and the code to type.

    Raises:
        NeedsLogin: They refused, or the code ran out.
        Unreachable: The provider does not answer.
    """
    known = endpoints(settings)
    if not known.device:
        raise NeedsLogin("this provider has no codes for devices: write flow = 'browser'")
    asked = {"client_id": settings.client_id, "scope": known.scope}
    told = _told(await http.request("POST", known.device, form=asked, timeout_s=REQUEST_S))
    shown(str(told.get("verification_uri") or told.get("verification_url")), str(told["user_code"]))
    interval = _number(told.get("interval"), 5.0)
    until = time.monotonic() + _number(told.get("expires_in"), 900.0)
    form = {**client_of(settings), "grant_type": DEVICE_GRANT, "device_code": str(told["device_code"])}
    while time.monotonic() < until:
        await asyncio.sleep(interval)
        try:
            reply = await http.request("POST", known.token, form=form, timeout_s=REQUEST_S)
        except Unreachable:  # the person is typing the code meanwhile: asked again, less often (RFC 8628, 3.5)
            interval *= 2
            continue
        error = error_in(reply.body) if reply.status != 200 else ""
        if error == "slow_down":
            interval += 5.0
        elif error != "authorization_pending":
            return granted_by(reply.status, reply.body)
    raise NeedsLogin("the code ran out before anybody typed it: begin again")


async def by_browser(settings: OAuthSettings, http: Posts, shown: Callable[[str], None], *, user: str) -> Granted:
    """Let somebody consent in a browser of this machine. *shown* is told the address to open.

    Raises:
        NeedsLogin: They refused, or did nothing for ten minutes.
        Unreachable: The provider does not answer.
    """
    known = endpoints(settings)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    async with _listening(state) as (port, answer):
        # Microsoft knows this machine by its name and Google by its number; both then take any port.
        here = f"http://{'localhost' if settings.provider == 'microsoft' else '127.0.0.1'}:{port}/"
        asked = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": here,
            "scope": known.scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "login_hint": user,
            **({"access_type": "offline", "prompt": "consent"} if settings.provider == "google" else {}),
        }
        shown(f"{known.authorize}?{urlencode(asked)}")
        try:
            code = await asyncio.wait_for(answer, BROWSER_S)
        except TimeoutError as why:
            raise NeedsLogin("nobody consented within ten minutes: begin again") from why
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": here, "code_verifier": verifier}
    reply = await http.request("POST", known.token, form={**client_of(settings), **form}, timeout_s=REQUEST_S)
    return granted_by(reply.status, reply.body)


@asynccontextmanager
async def _listening(state: str) -> AsyncIterator[tuple[int, asyncio.Future[str]]]:
    """Wait on loopback for the browser to come back, and yield the port and what will be the code."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            words = (await reader.readline()).decode("ascii", "replace").split()
            query = parse_qs(urlsplit(words[1]).query) if len(words) > 1 else {}
            given = query.get("state", [""])[0]
            is_ours = hmac.compare_digest(given.encode(), state.encode())  # else another page sent the browser here
            page = _PAGE.encode() if is_ours else b""
            writer.write(
                f"HTTP/1.1 {200 if is_ours else 404} -\r\nContent-Type: text/html; charset=utf-8\r\n"
                f"Content-Length: {len(page)}\r\nConnection: close\r\n\r\n".encode()
                + page
            )
            await writer.drain()
            if is_ours and not answer.done():
                if code := query.get("code", [""])[0]:
                    answer.set_result(code)
                else:
                    error = query.get("error", ["no code"])[0][:64]
                    answer.set_exception(NeedsLogin(f"the consent was not given ({error})"))
        except (OSError, ValueError):
            pass  # no browser: whoever it was may try again
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_LINE)
    try:
        yield server.sockets[0].getsockname()[1], answer
    finally:
        server.close()
        if answer.done() and not answer.cancelled():
            answer.exception()


def _told(reply: HttpReply) -> Mapping[str, object]:
    """Return what the provider says of a code for devices."""
    try:
        told = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        told = None
    if reply.status == 200 and isinstance(told, dict) and {"device_code", "user_code"} <= told.keys():
        return told
    if error := error_in(reply.body):
        raise NeedsLogin(f"the provider gives no code ({error}): is the app allowed to be a public client?", code=error)
    raise Unreachable(f"the provider gave no code: it said {reply.status}", certain=True)


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else otherwise
