"""A shop with one number at Twilio: what was missed, what comes twice, an answer that got lost, a picture, and STOP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.request_validator import RequestValidator

from fernamt.testing import ProviderFault
from plugins.sms.tests.lines import ANN, US
from plugins.sms.tests.twilio.fake import ACCOUNT, TOKEN, FakeTwilio
from tests.story.daemon import Daemon, post, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PUBLIC = "https://desk.example.org"
PICTURE = b"\x89PNG" * 1000
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def calls(daemon: Daemon, path: str, form: Mapping[str, str], *, token: str = TOKEN) -> int:
    """Call the daemon as Twilio does, which signs with its own library; return the status."""
    signature = RequestValidator(token).compute_signature(f"{PUBLIC}{path}", form)
    return post(f"{daemon.url}{path}", urlencode(form).encode(), {**FORM, "X-Twilio-Signature": signature})


def incoming(number: int, text: str, **more: str) -> dict[str, str]:
    return {"MessageSid": f"SM{number + 0xA000:032x}", "From": ANN, "To": US, "Body": text, "NumMedia": "0", **more}


def configuration(there: FakeTwilio) -> str:
    return (
        f'public_url = "{PUBLIC}"\n[http]\nallow_private = ["127.0.0.1:{there.port}"]\n[log]\nlevel = "debug"\n'
        f'[channels.shop]\nkind = "sms.twilio"\nname = "Shop"\naccount_sid = "{ACCOUNT}"\nauth_token = "file:token"\n'
        f'sender = "{US}"\nreconcile_s = 60\napi = "{there.url}"\n'
    )


async def test_a_shop_with_one_number(tmp_path: Path, free_port: int) -> None:
    async with FakeTwilio() as there:
        await there.hold("Ist mein Paket da?")
        url = await there.hold_media(PICTURE)
        (tmp_path / "token").write_text(TOKEN)
        daemon = Daemon(tmp_path, free_port, f'store = "sqlite:///{tmp_path}/shop.db"\n{configuration(there)}')
        await asyncio.to_thread(story, daemon, there, url)


def story(daemon: Daemon, there: FakeTwilio, url: str) -> None:
    with running(daemon):
        until(lambda: len(texts(daemon)) == 1)  # what came while nobody was there

        for _ in range(2):
            assert calls(daemon, "/in/shop/sms", incoming(1, "Es ist blau.")) == 200
        assert calls(daemon, "/in/shop/sms", incoming(2, "Ich bin jemand anders."), token="other") == 403
        assert texts(daemon) == ["Ist mein Paket da?", "Es ist blau."]

        answered(daemon, "Ja: es liegt bei der Post.")
        sent = there.messages[-1]
        assert (sent["to"], sent["from"], sent["body"]) == (ANN, US, "Ja: es liegt bei der Post.")
        assert calls(daemon, status_of(there), outcome(sent["sid"], "delivered")) == 200
        assert state(daemon) == "delivered"

        there.next(ProviderFault.lost_answer())
        answered(daemon, "Bis Freitag.")
        assert state(daemon) == "uncertain"
        assert calls(daemon, status_of(there), outcome(there.messages[-1]["sid"], "sent")) == 200
        assert state(daemon) == "sent"

        picture = {"NumMedia": "1", "MediaUrl0": url, "MediaContentType0": "image/png"}
        assert calls(daemon, "/in/shop/sms", incoming(3, "So sah es aus", **picture)) == 200
        until(lambda: [one["size"] for one in entries(daemon)[-1]["attachments"]] == [len(PICTURE)])

        assert calls(daemon, "/in/shop/sms", incoming(4, "STOP", OptOutType="STOP")) == 200
        before = len(there.messages)
        answered(daemon, "Schade.")
        assert state(daemon) == "refused"
        assert len(there.messages) == before
    for secret in (TOKEN, "Bis Freitag", "Es ist blau"):
        assert secret not in daemon.log()


def entries(daemon: Daemon) -> Any:
    return daemon.told("show", "1")["entries"] if daemon.told("inbox") else []


def texts(daemon: Daemon) -> list[str]:
    return [one["text"] for one in entries(daemon) if one["kind"] == "received"]


def answered(daemon: Daemon, text: str) -> None:
    daemon.here("reply", "1", text, "--as", "eva", "--wait")


def state(daemon: Daemon) -> str:
    return str(entries(daemon)[-1]["deliveries"][-1]["state"])


def status_of(there: FakeTwilio) -> str:
    """Return the path of the address for statuses that came along with the last message."""
    sent = [one for one in there.acted if one.method == "POST"][-1]
    return dict(parse_qsl(sent.body.decode()))["StatusCallback"].removeprefix(PUBLIC).partition("#")[0]


def outcome(sid: str, status: str) -> dict[str, str]:
    return {"MessageSid": sid, "MessageStatus": status, "To": ANN, "From": US}
