"""A plugin's command reads the settings of one of its channels."""

from pathlib import Path

import pytest
from attrs import frozen

from fernamt import Secret, channel_settings
from fernamt.settings import ConfigErrors


@frozen(kw_only=True)
class PostSettings:
    box: str
    key: Secret


KINDS = {"post": PostSettings}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEY", "hidden")
    file = tmp_path / "fernamt.toml"
    file.write_text('[channels.one]\nkind = "post"\nbox = "7"\nkey = "env:KEY"\n[channels.other]\nkind = "sms.smpp"\n')
    return file


def test_the_settings_of_a_channel_are_filled_and_its_secrets_resolved(config: Path) -> None:
    assert channel_settings(config, "one", KINDS) == PostSettings(box="7", key=Secret("hidden"))


@pytest.mark.parametrize(
    ("channel", "said"),
    [("ones", "there is no such channel"), ("other", "it is of the kind 'sms.smpp'")],
)
def test_a_channel_of_somebody_else_is_named(config: Path, channel: str, said: str) -> None:
    with pytest.raises(ConfigErrors, match=said):
        channel_settings(config, channel, KINDS)


def test_a_mistake_in_the_section_is_told_with_its_key(config: Path) -> None:
    config.write_text('[channels.one]\nkind = "post"\nboxx = "7"\nkey = "env:KEY"\n')
    with pytest.raises(ConfigErrors, match=r"channels\.one\.boxx"):
        channel_settings(config, "one", KINDS)
