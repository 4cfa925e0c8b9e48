"""What the page on gateways shows is what the plugin's tests try."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

GATEWAYS = ROOT / "plugins" / "sms" / "tests" / "http" / "gateways"


def test_every_gateway_that_is_tried_stands_on_the_page_as_it_is_tried() -> None:
    page = (ROOT / "docs" / "plugins" / "sms-http.md").read_text()
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)

    assert sorted(shown) == sorted(file.read_text() for file in GATEWAYS.glob("*.toml"))
