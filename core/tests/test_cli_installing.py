"""`fernamt plugins info`, `add` and `remove`: an environment of its own, and plugins that cannot be imported."""

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fernamt
from fernamt.cli import main

UNIMPORTABLE = "raise SystemExit('imported')\n"
RANGE = "fernamt>=1.0.0.dev0,<2"


def metadata(name: str, requires: str) -> dict[str, str]:
    return {
        "METADATA": f"Metadata-Version: 2.1\nName: fernamt-{name}\nVersion: 1.2\nRequires-Dist: {requires}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[fernamt]\n{name} = unimportable_{name}\n{name}-too = unimportable_{name}\n",
        "RECORD": "",
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERNAMT_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def broken(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution with two plugins that end the program that imports them."""
    about = here / "site" / "fernamt_broken-1.2.dist-info"
    about.mkdir(parents=True)
    for file, text in metadata("broken", RANGE).items():
        (about / file).write_text(text)
    (here / "site" / "unimportable_broken.py").write_text(UNIMPORTABLE)
    monkeypatch.syspath_prepend(here / "site")
    importlib.invalidate_caches()
    return "fernamt-broken"


@pytest.mark.parametrize("name", ["broken", "fernamt-broken", "Fernamt.Broken"])
def test_a_plugin_that_cannot_be_imported_is_described(
    broken: str, here: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "fernamt.toml").write_text('nonsense = 1\n\n[channels.line]\nkind = "broken.x"\n')

    assert main(["plugins", "info", name, "--json"]) == 0

    first = json.loads(capsys.readouterr().out)[0]
    assert (first["name"], first["distribution"], first["version"], first["problem"]) == ("broken", broken, "1.2", "")
    assert first["place"] == str(here / "site")
    assert first["used_by"] == [{"file": "fernamt.toml", "line": 4, "key": "channels.line.kind"}]


@pytest.mark.parametrize(
    ("ours", "requires", "cause"),
    [
        ("2.0", "fernamt>=1,<2", "it was written for fernamt<2,>=1, and this is 2.0"),
        ("1.7", "fernamt>=2,<3", "it was written for fernamt<3,>=2, and this is 1.7"),
    ],
)
def test_a_plugin_of_another_contract_is_refused_by_name_and_can_be_removed(
    broken: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ours: str,
    requires: str,
    cause: str,
) -> None:
    (here / "site" / "fernamt_broken-1.2.dist-info" / "METADATA").write_text(metadata("broken", requires)["METADATA"])
    core = here / "site" / "fernamt-0.dist-info"
    core.mkdir()
    (core / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fernamt\nVersion: {ours}\n")
    (here / "fernamt.toml").write_text('[plugins]\nenabled = ["broken"]\n')

    assert main(["check"]) == 78
    assert f"fernamt-broken 1.2: {cause}" in capsys.readouterr().out
    assert main(["plugins", "info", "broken"]) == 1
    assert f"refused       {cause}" in capsys.readouterr().out
    (here / "fernamt.toml").unlink()
    assert main(["plugins", "remove", "broken", "--dry-run"]) == 0
    assert broken in capsys.readouterr().err


@pytest.mark.parametrize(
    ("configuration", "place"),
    [
        ('[channels.line]\nkind = "broken"\n', "fernamt.toml:2: channels.line.kind"),
        ('[channels.off]\nenabled = false\nkind = "broken.imap"\n', "fernamt.toml:3: channels.off.kind"),
        ('[channels.line]\nkind = "other"\nmenu = "broken-too.main"\n', "fernamt.toml:3: channels.line.menu"),
        ('[plugins]\nenabled = ["broken"]\n', "fernamt.toml:2: plugins.enabled"),
        ("[plugins.broken]\nkey = 1\n", "fernamt.toml:1: plugins.broken"),
    ],
)
def test_what_is_used_is_not_removed_and_it_is_said_by_whom(
    broken: str, here: Path, capsys: pytest.CaptureFixture[str], configuration: str, place: str
) -> None:
    (here / "fernamt.toml").write_text(configuration)

    assert main(["plugins", "remove", "broken"]) == 77

    said = capsys.readouterr().err
    assert f"{broken} stays: the configuration still uses it.\n  {place}\n" in said
    assert "$ " not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remove", "brokne"], "There is no plugin brokne here. Did you mean 'broken'?"),
        (["info", "nobody-has-this"], "There is no plugin nobody-has-this here."),
        (["add", "broken"], "Try fernamt plugins add fernamt-broken, or --exactly"),
    ],
)
def test_a_wrong_name_is_told_with_the_right_one(
    broken: str, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["plugins", *words]) in {1, 2}
    assert says in capsys.readouterr().err


def test_a_plugin_of_one_file_is_described_and_left_to_its_owner(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "plugins.d").mkdir()
    (here / "plugins.d" / "tryout.py").write_text(UNIMPORTABLE)

    assert main(["plugins", "info", "tryout"]) == 0
    assert f"place         {here}/plugins.d/tryout.py" in capsys.readouterr().out
    assert main(["plugins", "remove", "tryout"]) == 2
    assert "delete it yourself" in capsys.readouterr().err


class Environment:
    """A Python environment of its own that sees this one, and the command in it."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
        [site] = (folder / "env").glob("lib/python*/site-packages")
        paths = {str(Path(fernamt.__file__).parents[1]), *(path for path in sys.path if path.endswith("site-packages"))}
        (site / "outer.pth").write_text("\n".join(sorted(paths)))
        self.folder = folder
        self.site = site

    def wheel(self, name: str, requires: str = RANGE) -> str:
        file = self.folder / f"fernamt_{name}-1.2-py3-none-any.whl"
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(f"unimportable_{name}.py", UNIMPORTABLE)
            for part, text in metadata(name, requires).items():
                wheel.writestr(f"fernamt_{name}-1.2.dist-info/{part}", text)
        return str(file)

    def told(self, *words: str) -> tuple[int, dict[str, object], str]:
        python = self.folder / "env" / "bin" / "python"
        done = subprocess.run(
            [python, "-m", "fernamt", "plugins", *words],
            cwd=self.folder,
            env={**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_plugin_comes_and_goes_in_the_environment_of_the_program_and_nothing_imports_it(tmp_path: Path) -> None:
    environment = Environment(tmp_path)

    code, told, said = environment.told("add", environment.wheel("acme"), "--json")

    assert (code, told["plugins"], told["problem"]) == (0, ["acme", "acme-too"], ""), said
    assert said.startswith("$ ")
    assert "acme, acme-too is installed" in said
    assert (environment.site / "unimportable_acme.py").exists()

    code, told, said = environment.told("remove", "acme-too", "--json")

    assert (code, told["plugins"], told["problem"]) == (0, ["acme", "acme-too"], ""), said
    assert not (environment.site / "unimportable_acme.py").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_plugin_that_needs_another_core_is_not_installed_and_the_core_stays(tmp_path: Path) -> None:
    environment = Environment(tmp_path)

    code, told, said = environment.told("add", environment.wheel("later", "fernamt>=2,<3"), "--json")

    assert (code, told["plugins"]) == (1, [])
    assert "was not installed: the installer says why. The core stays at 1." in said
    assert not (environment.site / "unimportable_later.py").exists()
