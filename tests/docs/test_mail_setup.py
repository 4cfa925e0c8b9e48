"""What the pages on setting mail up say is what the plugin says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fernamt import Secret
from fernamt_email.explain import ADVICE, advice_on
from fernamt_email.language import Language
from fernamt_email.settings import ImapSettings, OAuthSettings, SmtpSettings
from tests.docs.blocks import ROOT

PAGES: dict[Language, Path] = {
    "en": ROOT / "docs" / "plugins" / "email-setup.md",
    "de": ROOT / "docs" / "plugins" / "email-einrichtung.md",
}


@pytest.mark.parametrize("tongue", PAGES)
def test_every_refusal_is_on_the_page_with_the_step_that_follows_it(tongue: Language) -> None:
    rows = re.findall(r"(?m)^\| (.+?) \| (.+) \|$", PAGES[tongue].read_text().partition('explain "..."')[2])
    told = {step: words for words, step in rows}
    for one in ADVICE:
        assert advice_on(told[one.says[tongue]]) is one


@pytest.mark.parametrize("tongue", PAGES)
def test_every_section_on_the_page_can_be_written_so(tongue: Language) -> None:
    found = re.findall(r"```toml\n(.*?)```", PAGES[tongue].read_text(), re.DOTALL)
    assert len(found) == 3
    for text in found:
        channel: dict[str, Any] = tomllib.loads(text)["channels"]["support-mail"]
        assert channel.pop("kind") == "email.imap"
        for section in (channel, channel["smtp"], channel.get("oauth", {})):
            section |= {name: Secret(section[name]) for name in ("password", "client_secret") if name in section}
        if oauth := channel.get("oauth"):
            if "token_file" in oauth:
                oauth["token_file"] = Path(oauth["token_file"])
            channel["oauth"] = OAuthSettings(**oauth)
        channel["smtp"] = SmtpSettings(**channel["smtp"])
        settings = ImapSettings(**channel)
        assert (settings.oauth is None) == (settings.password is not None)
