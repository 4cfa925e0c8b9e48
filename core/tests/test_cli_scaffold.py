"""`fernamt new connector`: what it makes works at once, by every measure that it brings along."""

import ast
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fernamt.cli import main, scaffold
from fernamt.cli.scaffold import By, Wish, rendered

WAYS: tuple[By, ...] = ("webhook", "poll", "stream")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def install(folder: Path) -> None:
    """Lay the distribution's metadata down beside it, as an installer would."""
    (folder / "installed").mkdir()
    make = "import uv_build; uv_build.prepare_metadata_for_build_wheel('installed')"
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": tools}
    subprocess.run([sys.executable, "-c", make], cwd=folder, env=environment, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("by", WAYS)
def test_its_tests_its_types_and_its_style_are_right_at_once(
    here: Path, by: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert main(["new", "connector", "acme-chat", "--by", by, "--author", "Ann"]) == 0
    folder = here / "fernamt-acme-chat"
    install(folder)
    tools = Path(sys.executable).parent

    def ran(*command: str | Path) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(("src", "installed"))}
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [str(one) for one in command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    ran(tools / "ruff", "check", "--no-cache")
    ran(tools / "ruff", "format", "--check", "--no-cache")
    # Most rules apply to a webhook: there the kit's command runs them, and they are not run twice.
    others = ("-k", "not test_rule") if by == "webhook" else ()
    said = ran(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *others)
    assert "failed" not in said
    assert "passed" in said
    # With --strict of its own pyproject.toml.
    assert "Success" in ran(sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path_factory.getbasetemp() / "mypy"))
    if by == "webhook":
        assert "silver" in ran(sys.executable, "-m", "fernamt", "plugins", "check", ".")


@pytest.mark.parametrize("by", WAYS)
def test_it_enters_by_the_public_doors_alone(by: By) -> None:
    made = rendered(Wish(name="acme-chat", by=by, about="Acme", author="Ann"))
    doors = {
        name
        for path, text in made.items()
        if path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if name.partition(".")[0] == "fernamt"
    }
    assert doors == {"fernamt", "fernamt.testing"}


@pytest.mark.parametrize("by", WAYS)
def test_nothing_is_left_of_the_templates(by: By) -> None:
    made = rendered(Wish(name="acme-chat", by=by, about="Acme", author="Ann"))
    workflow = ".github/workflows/ci.yml"
    assert [path for path, text in made.items() if "$" in text and path != workflow] == []
    assert "${{ matrix.python }}" in made[workflow]
    assert {"README.md", "CHANGELOG.md", "AGENTS.md", "quality.toml", "pyproject.toml", ".gitignore"} <= made.keys()
    assert "src/fernamt_acme_chat/py.typed" in made
    assert "| `token` | reference to a secret | required |" in made["README.md"]
    assert tomllib.loads(made["pyproject.toml"])["project"]["entry-points"]["fernamt"] == {
        "acme-chat": "fernamt_acme_chat"
    }


def test_words_with_quotes_and_dollars_do_not_break_what_is_made() -> None:
    wish = Wish(name="acme", by="poll", about=scaffold._plain('the "best" \\ for 5 $'), author=scaffold._plain("A\nB"))
    made = rendered(wish)
    ast.parse(made["src/fernamt_acme/__init__.py"])
    assert tomllib.loads(made["pyproject.toml"])["project"]["authors"] == [{"name": "AB"}]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Acme", "--by", "poll"], "'Acme' cannot be the name of a plugin: write small letters"),
        (["import", "--by", "poll"], "'import' cannot be the name of a plugin"),
        (["fernamt-acme", "--by", "poll"], "Leave fernamt- away: fernamt new connector acme"),
        (["acme"], "Say it with --by: how do messages come in?"),
        (["acme", "--by", "post"], "--by"),
        (["taken", "--by", "poll"], "strange-taken has the name taken already"),
    ],
)
def test_what_cannot_be_made_is_said_with_the_remedy(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    about = here / "site" / "strange_taken-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-taken\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[fernamt]\ntaken = strange\n")
    monkeypatch.syspath_prepend(here / "site")
    importlib.invalidate_caches()

    assert main(["new", "connector", *words]) == 2
    assert says in capsys.readouterr().err
    assert [one.name for one in here.iterdir()] == ["site"]


def test_a_folder_that_is_there_is_not_touched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()

    assert main(["new", "connector", "acme", "--by", "poll", "--folder", "mine"]) == 1
    assert "mine is there already, and nothing in it was touched" in capsys.readouterr().err
    assert list((here / "mine").iterdir()) == []


def test_on_a_terminal_three_questions_are_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(question: str, default: str, option: str, *, needed: bool = True) -> str:
        asked.append(option)
        return "str" if option == "--by" else default

    monkeypatch.setattr(scaffold, "_asked", answer)
    assert main(["new", "connector", "acme"]) == 0
    assert asked == ["--by", "--about", "--author"]
    assert "stream" in (here / "fernamt-acme" / "src" / "fernamt_acme" / "settings.py").read_text()
