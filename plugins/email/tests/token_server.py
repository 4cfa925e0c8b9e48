"""A provider that gives out access tokens, and that Dovecot asks whether one is good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from attrs import define, field

from fernamt_email.settings import OAuthSettings


@define
class TokenServer:
    """Grants what it is told to grant; every token that it gave is good until it is taken back."""

    user: str
    """Whose mailbox the tokens open."""
    url: str = ""
    good: set[str] = field(factory=set)
    asked: list[dict[str, str]] = field(factory=list)
    """The forms that came to the token address, in order."""
    refuses: list[tuple[int, object]] = field(factory=list)
    """The next answers, instead of tokens."""
    life_s: float = 3600.0
    refresh: str = "first consent"
    rotates: bool = False
    code: str = "a code"
    given: int = 0

    def take_back(self) -> None:
        """End every access token, long before its time."""
        self.good.clear()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[TokenServer]:
        app = web.Application()
        app.router.add_get("/introspect", self._introspect)
        app.router.add_post("/token", self._token)
        app.router.add_post("/device", self._device)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _introspect(self, request: web.Request) -> web.Response:
        is_good = request.query["token"] in self.good
        return web.json_response({"active": "true", "email": self.user} if is_good else {"active": "false"})

    async def _device(self, request: web.Request) -> web.Response:
        await request.post()
        return web.json_response(
            {
                "device_code": "a device",
                "user_code": "ABCD-1234",
                "verification_uri": f"{self.url}/here",
                "interval": 0.01,
                "expires_in": 60,
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.refuses:
            status, body = self.refuses.pop(0)
            return web.json_response(body, status=status)
        wrong = {"refresh_token": self.refresh, "code": self.code, "device_code": "a device", "client_id": "our app"}
        if any(name in form and form[name] != right for name, right in wrong.items()):
            return web.json_response({"error": "invalid_grant", "error_description": "SECRET WORDS"}, status=400)
        self.given += 1
        access = f"access-token-{self.given}"
        self.good.add(access)
        if self.rotates:
            self.refresh = f"refresh-token-{self.given}"
        granted = {"access_token": access, "expires_in": self.life_s, "token_type": "Bearer"}
        return web.json_response(granted | ({"refresh_token": self.refresh} if "scope" not in form else {}))

    def settings(self, **changes: object) -> OAuthSettings:
        """Return what an operator would write."""
        values: dict[str, object] = {
            "provider": "other",
            "client_id": "our app",
            "token_url": f"{self.url}/token",
            "device_url": f"{self.url}/device",
            "authorize_url": f"{self.url}/authorize",
            "scope": "mail",
        }
        return OAuthSettings(**{**values, **changes})  # type: ignore[arg-type]  # of a table
