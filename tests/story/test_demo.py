"""The demo, as whoever types `make run` meets it."""

import email
import email.policy
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks, resembles
from tests.story.daemon import until

PAGES = ("README.md", "docs/quickstart.md")
_PROVED_HERE = "tests/story/test_demo.py"
# What is different each time: the time, and the id of a mail.
_DIFFERENT = re.compile(r"\d\d:\d\d \(.*?\)|(?<=accepted as )<.*?>, .*")


def on_page(page: str) -> tuple[str, str]:
    """Return what a page says that the demo shows, and what answering shows."""
    found = [one.text for one in blocks(page, (ROOT / page).read_text()) if one.role == _PROVED_HERE]
    steps = [step.partition("\n") for text in found for step in f"\n{text}".split("\n$ ")[1:]]
    shown = {command: _DIFFERENT.sub("...", output) for command, _, output in steps}
    [demo] = [output for command, output in shown.items() if command.endswith(("run", "demo"))]
    [reply] = [output for command, output in shown.items() if " reply " in command]
    return demo, reply


pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_mail_comes_in_is_shown_and_the_answer_arrives_in_the_same_thread(tmp_path: Path) -> None:
    fernamt = Path(sys.executable).with_name("fernamt")
    output = tmp_path / "output"
    with output.open("wb") as shown:
        demo = subprocess.Popen([str(fernamt), "demo"], cwd=tmp_path, stdout=shown, stderr=subprocess.STDOUT)
    try:
        until(lambda: "Ctrl-C ends the demo" in output.read_text() or demo.poll() is not None)
        said = output.read_text()
        assert "Kaffeemühle beschädigt angekommen" in said
        assert "Riss am Gehäuse.png" in said
        [command] = re.findall(r"^ +(\S+ reply .*)$", said, re.MULTILINE)
        done = subprocess.run(f"{command} --wait", shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for page in PAGES:
            told, answered = on_page(page)
            assert resembles(told, said), f"{page} shows another demo than this:\n{said}"
            assert resembles(answered, done.stdout), f"{page} shows another answer than this:\n{done.stdout}"
        until(lambda: "Anna has got mail" in output.read_text())
        answer = email.message_from_bytes(
            (tmp_path / "demo/mailbox-of-anna/1.eml").read_bytes(), policy=email.policy.default
        )
        assert answer["subject"] == "Re: Kaffeemühle beschädigt angekommen – Bestellung 4711"
        assert answer["in-reply-to"].endswith("@example.org>")
        assert "Ersatz ist unterwegs" in answer.as_string()
    finally:
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(timeout=30) == 0, output.read_text()


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/mine").write_text("precious")

    done = subprocess.run(
        [str(Path(sys.executable).with_name("fernamt")), "demo"], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "Name another one" in done.stdout
    assert (tmp_path / "demo/mine").read_text() == "precious"
