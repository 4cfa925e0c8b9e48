"""Settings: every mistake at once, by file, line and key, with a remedy; secrets only as references."""

from __future__ import annotations

import copy
import errno
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import field, frozen
from attrs.validators import ge, in_, le, min_len

from fernamt.settings import (
    ConfigErrors,
    Mistake,
    NoSettings,
    Secret,
    Settings,
    read_settings,
    secrets_in,
    structure_section,
)
from fernamt.settings.secret import HOW_TO_REFER
from fernamt.settings.source import scan
from fernamt.settings.structure import check_class, structure


class Security(Enum):
    TLS = "tls"
    STARTTLS = "starttls"


@frozen(kw_only=True)
class Login:
    user: str = field(validator=min_len(1))
    password: Secret
    scopes: tuple[str, ...] = ()


@frozen(kw_only=True)
class MailSettings:
    host: str
    port: int = field(default=993, validator=[ge(1), le(65_535)])
    security: Security = Security.TLS
    mode: Literal["idle", "poll"] = "idle"
    every_s: float = 60.0
    verify: bool = True
    login: Login | None = None
    token: Secret | None = None
    folders: tuple[str, ...] = ("INBOX",)
    labels: Mapping[str, str] = field(factory=dict)
    weight: int | str = 1
    spool: Path = Path("spool")
    until_s: float = field(default=0.0)

    @until_s.validator
    def _after(self, _: object, value: float) -> None:
        if value and value <= self.every_s:
            raise ValueError("until_s must be above every_s")


def written(folder: Path, text: str) -> Path:
    file = folder / "fernamt.toml"
    file.write_text(text)
    return file


def refused(file: Path, environ: Mapping[str, str] | None = None) -> list[tuple[int, str, str, str]]:
    with pytest.raises(ConfigErrors) as caught:
        read_settings(file, environ=environ or {})
    return [(m.line, m.key, m.problem, m.fix) for m in caught.value.mistakes]


def section(
    folder: Path, keys: str, *, cls: type[Any] = MailSettings, environ: Mapping[str, str] | None = None
) -> tuple[Any, list[str]]:
    """Return what the section is structured to, or the mistakes, each as ``line key: problem. fix``."""
    file = written(folder, f"[channels.support-mail]\nkind = 'email.imap'\n{keys}")
    settings = read_settings(file, environ={})
    try:
        value = structure_section(
            settings, "channels.support-mail", settings.channels[0].options, cls, environ=environ or {}
        )
    except ConfigErrors as why:
        return None, [str(mistake).removeprefix(f"{file}:") for mistake in why.mistakes]
    return value, []


# ---- the core's own sections
def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, ""), environ={})

    assert settings.store == f"sqlite:///{tmp_path}/fernamt.db"
    assert settings.address == ("127.0.0.1", 8080)
    assert (settings.channels, settings.plugins_enabled, settings.log.level) == ((), (), "info")


def test_every_core_key_is_read_and_every_other_key_of_a_channel_is_left_to_its_plugin(tmp_path: Path) -> None:
    text = """
        store = "sqlite:///data/desk.db"
        public_url = "https://service.example.org/"
        listen = "[::1]:9090"
        [log]
        format = "json"
        level = "debug"
        [http]
        allow_private = ["gateway.example.org:8443"]
        [plugins]
        enabled = ["csat"]
        [plugins.csat]
        scale = 5
        [channels.support-mail]
        kind = "email.imap"
        name = "Support"
        hold_s = 60
        retry_for_h = 24
        reopen_days = 0
        menu = "shop.main"
        language = "de"
        host = "mail.example.org"
        login = { user = "support" }
        [channels.support-mail.limits]
        per_day = 100
        [channels.spare]
        kind = "sms.smpp"
        enabled = false
    """
    settings = read_settings(written(tmp_path, text), environ={})
    (channel,) = settings.channels

    assert settings.store == f"sqlite:///{tmp_path}/data/desk.db"
    assert settings.public_url == "https://service.example.org"
    assert settings.address == ("::1", 9090)
    assert (settings.log.format, settings.log.level) == ("json", "debug")
    assert settings.http.allow_private == ("gateway.example.org:8443",)
    assert (settings.plugins_enabled, dict(settings.plugin_sections)) == (("csat",), {"csat": {"scale": 5}})
    assert (channel.id, channel.kind, channel.name) == ("support-mail", "email.imap", "Support")
    assert (channel.hold_s, channel.retry_for_h, channel.reopen_days) == (60.0, 24.0, 0.0)
    assert (channel.menu, channel.language) == ("shop.main", "de")
    assert channel.options == {
        "host": "mail.example.org",
        "login": {"user": "support"},
        "limits": {"per_day": 100},
    }


def test_a_channel_without_a_name_is_called_by_its_id(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, "[channels.a-1]\nkind = 'matrix'"), environ={})

    assert settings.channels[0].name == "a-1"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("stor = 'x'", (1, "stor", "unknown key", "Did you mean 'store'?")),
        ("\n[channel.a]\nkind = 'x'", (2, "channel", "unknown key", "Did you mean 'channels'?")),
        ("store = 3", (1, "store", "must be text", "Put it into quotes")),
        (
            "store = 'fernamt.db'",
            (1, "store", "this is no store", "Write 'sqlite:///fernamt.db' or 'postgresql://user@host/name'"),
        ),
        (
            "listen_url = 'sqlite:///a.db'",
            (1, "listen_url", "this is no PostgreSQL server", "Leave it away: only PostgreSQL needs it"),
        ),
        (
            "store = 'sqlite://'",
            (
                1,
                "store",
                "a store in memory would lose what was acknowledged",
                "Name a file: 'sqlite:///fernamt.db'",
            ),
        ),
        (
            "listen = 'localhost'",
            (1, "listen", "must be host:port, for instance 127.0.0.1:8080 or [::1]:8080", "Correct the value"),
        ),
        ("listen = 8080", (1, "listen", "must be text", "Put it into quotes")),
        (
            "public_url = 'service.example.org'",
            (
                1,
                "public_url",
                "must be the address under which providers reach us, for instance https://service.example.org",
                "Correct the value",
            ),
        ),
        ("log = 'json'", (1, "log", "must be a section", "Write it as a [section] of its own, or as { key = value }")),
        (
            "[log]\nlevel = 'loud'",
            (2, "log.level", "this is no choice", "Choose one of 'debug', 'info', 'warning', 'error'"),
        ),
        ("[log]\nlevle = 'info'", (2, "log.levle", "unknown key", "Did you mean 'level'?")),
        ("plugins = 1", (1, "plugins", "must be a section", "Write [plugins] and its keys below")),
        ("[plugins]\nenabled = 'csat'", (2, "plugins.enabled", "must be a list", "Put it into square brackets")),
        ("[plugins]\nenabled = ['a', 1]", (2, "plugins.enabled.1", "must be text", "Put it into quotes")),
        (
            "[plugins]\ncsat = 1\nenabled = ['csat']",
            (2, "plugins.csat", "must be a section", "Write [plugins.csat] and its keys below"),
        ),
        (
            "[plugins]\nenabled = ['csat']\n[plugins.cast]\nscale = 5",
            (3, "plugins.cast", "no channel uses this plugin, and it is not enabled", "Did you mean 'csat'?"),
        ),
        (
            "[channels.a]\nhost = 'x'",
            (1, "channels.a.kind", "is missing", "Say what it is, for instance kind = 'email.imap'"),
        ),
        ("[channels.a]\nknid = 'x'", (1, "channels.a.kind", "is missing", "Is 'knid' meant to be it?")),
        (
            "[channels.a]\nkind = 'E Mail'",
            (
                2,
                "channels.a.kind",
                "must be the name of a plugin, or that name, a dot and one more word, for instance email.imap",
                "Correct the value",
            ),
        ),
        (
            "[channels.Support]\nkind = 'email'",
            (
                1,
                "channels.Support",
                "this cannot be the id of a channel",
                "Write at most 63 small letters, digits and hyphens, for instance [channels.support-mail]",
            ),
        ),
        ("[channels]\na = 1", (2, "channels.a", "must be a section", "Write [channels.a] and its keys below")),
        (
            "[channels.a]\nkind = 'x'\nhold_s = -1",
            (3, "channels.a.hold_s", "'hold_s' must be >= 0: -1.0", "Correct the value"),
        ),
        (
            "[channels.a]\nkind = 'x'\nmenu = 'main'",
            (
                3,
                "channels.a.menu",
                "must be the name of a plugin, a dot and one of its menus, for instance shop.main",
                "Correct the value",
            ),
        ),
        (
            "[channels.a]\nkind = 'x'\nlanguage = 'Deutsch'",
            (3, "channels.a.language", "must be the tag of a language, for instance de or pt-BR", "Correct the value"),
        ),
        (
            "[channels.a]\nkind = 'x'\nretry_for_h = inf",
            (3, "channels.a.retry_for_h", "must be a number", "Infinity and nan are none"),
        ),
        (
            "[channels.a]\nkind = 'x'\nhold_s = true",
            (3, "channels.a.hold_s", "must be a number", "Write it without quotes"),
        ),
        (
            "[channels.a]\nkind = 'x'\nenabled = 'no'",
            (3, "channels.a.enabled", "must be true or false", "Write it without quotes"),
        ),
    ],
)
def test_a_mistake_is_named_by_line_key_problem_and_remedy(
    text: str, mistake: tuple[int, str, str, str], tmp_path: Path
) -> None:
    found = refused(written(tmp_path, text))

    assert mistake in found
    assert all(key == "channels.a.kind" or (line, key) == mistake[:2] for line, key, *_ in found)


def test_all_mistakes_of_a_file_come_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = "stor = 'x'\nlisten = ''\n[log]\nlevel = 1\n[channels.A]\nhold_s = 'x'\n[plugins]\nenabled = 1\n"

    assert [(line, key) for line, key, *_ in refused(written(tmp_path, text))] == [
        (1, "stor"),
        (2, "listen"),
        (4, "log.level"),
        (5, "channels.A"),
        (5, "channels.A.kind"),
        (6, "channels.A.hold_s"),
        (8, "plugins.enabled"),
    ]


def test_the_text_of_the_error_is_one_line_for_each_mistake() -> None:
    prot = Mistake(Path("fernamt.toml"), 12, "channels.support-mail.prot", "unknown key", "Did you mean 'port'?")
    gone = Mistake(Path("fernamt.toml"), 0, "", "there is no such file", "Make it")

    assert str(prot) == "fernamt.toml:12: channels.support-mail.prot: unknown key. Did you mean 'port'?"
    assert str(ConfigErrors([prot, gone])) == f"fernamt.toml: there is no such file. Make it\n{prot}"


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"store = 'a\n", 1, "this is no TOML"),
        (b"a = 1\n[log\n", 2, "this is no TOML"),
        (b"a = [1,\n2\n", 2, "this is no TOML"),
        (b"a = 1\na = 2\n", 2, "this is no TOML"),
        (b"store = '\xff'", 0, "it is not UTF-8 text"),
        (b"#" * 1_048_577, 0, "it is larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(
    content: bytes, line: int, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "fernamt.toml"
    file.write_bytes(content)
    [(at, key, said, fix)] = refused(file)

    assert (at, key) == (line, "")
    assert said.startswith(problem)
    assert fix


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [
        ("missing.toml", "there is no such file", "Make it (the page of each plugin begins with a section that works)"),
        (".", "it cannot be read: Is a directory", "Name another one with -c"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(name: str, problem: str, fix: str, tmp_path: Path) -> None:
    [(line, _, said, remedy)] = refused(tmp_path / name)

    assert (line, said) == (0, problem)
    assert remedy.startswith(fix)


def test_a_file_that_this_user_may_not_read_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    [(_, _, problem, fix)] = refused(tmp_path / "fernamt.toml")

    assert (problem, fix) == (
        "it cannot be read: Permission denied",
        "Let this user read it, or run this as the daemon's",
    )


def test_the_environment_overrides_the_file_and_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    file = written(tmp_path, "store = 'sqlite:///a.db'\nlisten = '127.0.0.1:1'")
    environ = {
        "FERNAMT_STORE": "postgresql://desk:hunter2@db.example.org/desk",
        "FERNAMT_LISTEN": "0.0.0.0:80",
        "FERNAMT_PUBLIC_URL": "https://desk.example.org",
    }
    settings = read_settings(file, environ=environ)

    assert (settings.store, settings.listen) == (environ["FERNAMT_STORE"], "0.0.0.0:80")
    assert settings.public_url == "https://desk.example.org"
    assert "hunter2" not in repr(settings)
    with pytest.raises(ConfigErrors, match=r"^environment: FERNAMT_LISTEN: must be host:port"):
        read_settings(file, environ={"FERNAMT_LISTEN": "nonsense"})


def test_a_password_of_the_store_is_referred_to_like_any_secret(tmp_path: Path) -> None:
    url = "postgresql://desk:hunter2@db.example.org/desk"
    [(line, key, problem, fix)] = refused(written(tmp_path, f"store = '{url}'"))

    assert (line, key) == (1, "store")
    assert "hunter2" not in problem + fix
    (tmp_path / "dsn").write_text(url + "\n")
    assert read_settings(written(tmp_path, "store = 'file:dsn'"), environ={}).store == url
    assert read_settings(written(tmp_path, "store = 'env:DSN'"), environ={"DSN": url}).store == url
    assert read_settings(written(tmp_path, "listen_url = 'env:DSN'"), environ={"DSN": url}).listen_url == url


def test_a_store_without_a_password_may_stand_in_the_file(tmp_path: Path) -> None:
    url = "postgresql+psycopg://desk@db.example.org:5432/desk"

    assert read_settings(written(tmp_path, f"store = '{url}'"), environ={}).store == url


# ---- a plugin's section
def test_a_section_becomes_its_class_with_secrets_resolved(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    keys = """
        host = "mail.example.org"
        security = "starttls"
        mode = "poll"
        every_s = 30
        folders = ["INBOX", "Spam"]
        labels = { vip = "red" }
        weight = "heavy"
        token = "env:TOKEN"
        spool = "var/spool"
        [channels.support-mail.login]
        user = "support"
        password = "file:password"
        scopes = ["read"]
    """
    value, mistakes = section(tmp_path, keys, environ={"TOKEN": "t0ken"})

    assert mistakes == []
    assert value == MailSettings(
        host="mail.example.org",
        security=Security.STARTTLS,
        mode="poll",
        every_s=30.0,
        folders=("INBOX", "Spam"),
        labels={"vip": "red"},
        weight="heavy",
        token=Secret("t0ken"),
        spool=tmp_path / "var/spool",
        login=Login(user="support", password=Secret("hunter2"), scopes=("read",)),
    )
    assert sorted(secrets_in(value)) == ["hunter2", "t0ken"]


@frozen
class Calendar:
    closed: tuple[date, ...]


def test_a_date_is_written_without_quotes_and_without_a_time() -> None:
    raw = tomllib.loads("closed = [2026-12-24, 2026-12-24T08:00:00, '2026-12-24', 2026]")["closed"]
    value, found = structure({"closed": raw}, Calendar, folder=Path(), environ={})

    assert structure({"closed": raw[:1]}, Calendar, folder=Path(), environ={}) == (Calendar((date(2026, 12, 24),)), [])
    assert value is None
    assert [(one.path, one.problem) for one in found] == [(("closed", str(at)), "must be a date") for at in (1, 2, 3)]


def test_all_mistakes_of_a_section_come_at_once(tmp_path: Path) -> None:
    keys = """
prot = 993
hold = 1
port = 70000
security = "ssl"
mode = "push"
every_s = "often"
verify = "yes"
folders = "INBOX"
weight = []
labels = { a = 1 }
token = "hunter2"
[channels.support-mail.login]
user = ""
pasword = "x"
scopes = ["read", 1]
"""
    _, mistakes = section(tmp_path, keys)

    assert [mistake.replace("channels.support-mail.", "") for mistake in mistakes] == [
        "1: host: is missing. Add it to this section",
        "4: prot: unknown key. Did you mean 'port'?",
        "5: hold: unknown key. Did you mean 'hold_s'?",
        "6: port: 'port' must be <= 65535: 70000. Correct the value",
        "7: security: this is no choice. Choose one of 'tls', 'starttls'",
        "8: mode: this is no choice. Choose one of 'idle', 'poll'",
        "9: every_s: must be a number. Write it without quotes",
        "10: verify: must be true or false. Write it without quotes",
        "11: folders: must be a list. Put it into square brackets",
        "12: weight: has the wrong type. It must be int | str",
        "13: labels.a: must be text. Put it into quotes",
        f"14: token: a secret does not stand in this file itself. {HOW_TO_REFER}",
        "15: login.password: is missing. Add it to this section",
        "16: login.user: Length of 'user' must be >= 1: 0. Correct the value",
        "17: login.pasword: unknown key. Did you mean 'password'?",
        "18: login.scopes.1: must be text. Put it into quotes",
    ]


@pytest.mark.parametrize("keys", ["host = 'x'\nlogin = 'me'", "host = 'x'\nlogin = ['me']", "host = 'x'\nlabels = 1"])
def test_a_value_where_a_section_belongs_is_refused(keys: str, tmp_path: Path) -> None:
    _, [mistake] = section(tmp_path, keys)

    assert "must be a section" in mistake


def test_a_validator_that_compares_two_fields_is_run_when_both_are_there(tmp_path: Path) -> None:
    _, mistakes = section(tmp_path, "host = 'x'\nuntil_s = 5")

    assert mistakes == ["1: channels.support-mail: until_s must be above every_s. Correct the value"]
    assert section(tmp_path, "host = 'x'\nuntil_s = 90")[0].until_s == 90.0


def test_a_plugin_without_settings_takes_no_keys(tmp_path: Path) -> None:
    assert section(tmp_path, "", cls=NoSettings) == (NoSettings(), [])
    assert "channels.support-mail.host: unknown key" in section(tmp_path, "host = 'x'", cls=NoSettings)[1][0]


def test_a_field_with_a_converter_is_validated_after_it(tmp_path: Path) -> None:
    def lowered(raw: str) -> str:
        return raw.lower()

    @frozen
    class Tuned:
        mode: str = field(converter=lowered, validator=in_(("fast",)))

    assert section(tmp_path, "mode = 'FAST'", cls=Tuned)[0] == Tuned("fast")


def test_a_class_that_no_section_can_fill_is_known_before_any_file_is_read() -> None:
    @frozen
    class Odd:
        when: Never  # type: ignore[name-defined]  # noqa: F821 - a name that does not exist is what is tried

    with pytest.raises(NameError, match="Never"):
        check_class(Odd)
    with pytest.raises(TypeError, match="no attrs class"):
        check_class(dict)
    check_class(MailSettings)


# ---- secrets
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("hunter2", "a secret does not stand in this file itself"),
        ("", "a secret does not stand in this file itself"),
        ("env:", "a secret does not stand in this file itself"),
        ("env:NOT_SET", "the environment has no NOT_SET. Set NOT_SET for the daemon"),
        ("env:EMPTY", "the environment has no EMPTY"),
        ("file:gone", "there is no file"),
        ("file:.", "there is no file"),
        ("file:/dev/zero", "there is no file"),
        ("file:empty", "is empty. Write the secret into it"),
        ("file:large", "is longer than 65536 bytes"),
        ("file:binary", "is not text"),
        ("credential:token", "Add LoadCredential=token:/path/of/the/secret to the systemd unit"),
        ("credential:../token", "a credential's name has no folder"),
    ],
)
def test_a_secret_that_cannot_be_resolved_is_refused_with_the_remedy(reference: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text("x" * 65_537)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    _, [mistake] = section(tmp_path, f"host = 'x'\ntoken = '{reference}'", environ={"EMPTY": ""})

    assert mistake.startswith("4: channels.support-mail.token: ")
    assert said in mistake
    assert "hunter2" not in mistake


def test_a_secret_that_is_no_text_is_refused_without_its_value(tmp_path: Path) -> None:
    _, [mistake] = section(tmp_path, "host = 'x'\ntoken = 1234567")

    assert "must be a reference to a secret" in mistake
    assert "1234567" not in mistake


def test_a_credential_of_systemd_is_read_from_its_directory(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"t0ken\r\n")
    value, _ = section(
        tmp_path, "host = 'x'\ntoken = 'credential:token'", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)}
    )

    assert value.token == Secret("t0ken")


def test_only_one_line_end_is_taken_off_a_secret(tmp_path: Path) -> None:
    (tmp_path / "two").write_text(" s\n\n")

    assert section(tmp_path, "host = 'x'\ntoken = 'file:two'")[0].token.reveal() == " s\n"


def test_a_secret_is_hidden_wherever_it_is_shown() -> None:
    login = Login(user="ann", password=Secret("hunter2"))
    shown = [repr(login), str(login.password), f"{login}", "%s" % login.password, str(attrs.asdict(login))]  # noqa: UP031

    assert [text for text in shown if "hunter2" in text] == []
    with pytest.raises(TypeError, match="reveal"):
        f"Bearer {login.password}"
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(login)
    with pytest.raises(AttributeError):
        login.password._value = "x"


def test_secrets_are_compared_by_value_and_survive_a_copy() -> None:
    one, same, other = Secret("a"), Secret("a"), Secret("b")

    assert one == same
    assert one != other
    assert one != "a"
    assert len({one, same, other}) == 2
    assert copy.deepcopy([one]) == [one]


# ---- lines
def test_lines_are_found_in_every_way_of_writing_toml() -> None:
    text = '''
# [comment]
a = 1
b.c = """
[not.a.table]
x = 1 """""
d = [ # [nor.this]
  { e = "]" },
  "\\"", '\\',
]
 "quoted key" . f = 'x = 1' # y = 2

[t]   # z = 3
g = { h = 1, i = [2] }
[t.'u v'.w]
j = 1
[[list]]
k = 1
[[list]]
k = 2
[list.sub]
l = """ \\""" """
last = true
'''
    assert scan(text) == {
        ("a",): 3,
        ("b",): 4,
        ("b", "c"): 4,
        ("d",): 7,
        ("quoted key",): 11,
        ("quoted key", "f"): 11,
        ("t",): 13,
        ("t", "g"): 14,
        ("t", "u v"): 15,
        ("t", "u v", "w"): 15,
        ("t", "u v", "w", "j"): 16,
        ("list",): 17,
        ("list", "0"): 17,
        ("list", "0", "k"): 18,
        ("list", "1"): 19,
        ("list", "1", "k"): 20,
        ("list", "1", "sub"): 21,
        ("list", "1", "sub", "l"): 22,
        ("list", "1", "sub", "last"): 23,
    }


@pytest.mark.parametrize("text", ["#" * 100_000, "# x \n" * 20_000, "a" * 100_000, '"' + "\\\\" * 50_000, "[" * 10_000])
def test_no_text_makes_the_scanner_slow(text: str) -> None:
    assert scan(text) == {}


def test_a_mistake_that_is_found_later_gets_its_line_from_the_settings(tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, "\n[channels.a]\nkind = 'emial'"), environ={})

    assert settings.mistake("channels.a.kind", "p", "f").line == 3
    assert Settings(file=Path("x")).mistake("channels.a.kind", "p", "f").line == 0


def test_reading_settings_imports_neither_the_store_nor_the_web() -> None:
    code = "import sys, fernamt.settings; print(sorted({'sqlalchemy', 'aiohttp', 'cattrs', 'structlog'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
