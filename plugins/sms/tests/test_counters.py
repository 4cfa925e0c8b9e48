"""Our parts beside those of two calculators that others wrote, for thousands of texts."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import regex

from fernamt_sms.alphabet import SEPTETS
from fernamt_sms.text import Encoding, Segments, segment, units_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]
PLAIN: Final = "".join(one for one in SEPTETS if one not in "\r\f")
EXTENDED: Final = "".join(one for one, septets in SEPTETS.items() if len(septets) == 2 and one != "\f")
WIDE: Final = "ßäжç“–\u00a0漢字かなعا\t"
EMOJI: Final = ("👋", "🐤", "𝒳")
CLUSTERS: Final = ("👨‍👩‍👧‍👦", "🇩🇪", "👋🏽", "e\u0301", "z\u0308\u0323", "❤️", "1️⃣", "🏳️‍🌈", "각", "กำ")
LENGTHS: Final = (0, 1, 5, 33, 34, 66, 67, 69, 70, 71, 75, 79, 80, 81, 133, 134, 152, 153, 160, 161, 306, 307, 400)


def texts() -> Iterator[str]:
    """Yield texts of every kind: of one character, around every edge, and mixed by chance."""
    chance = random.Random(6)
    yield from (chr(code) for code in (*range(0x20, 0x600), *range(0x1E00, 0x2200)))
    for kinds in ((PLAIN,), (EXTENDED,), (PLAIN, EXTENDED), (PLAIN, WIDE), (WIDE, EMOJI), (PLAIN, EMOJI, EXTENDED)):
        for length in LENGTHS:
            for _ in range(4):
                yield "".join(chance.choice(chance.choice(kinds)) for _ in range(length))
    for edge in range(60, 72):
        for cluster in (*EMOJI, *CLUSTERS):
            yield "ж" * edge + cluster + "ж" * 5
            yield "ж" * (67 + edge) + cluster * 3
    for _ in range(500):
        mixed: tuple[Sequence[str], ...] = (PLAIN, WIDE, EMOJI, CLUSTERS)
        yield "".join(chance.choice(chance.choice(mixed)) for _ in range(chance.randrange(1, 200)))


@pytest.fixture(scope="module")
def judged() -> Sequence[tuple[str, Segments, Any]]:
    """Every text, our parts, and what both calculators say: from one process."""
    script, node = ROOT / "scripts" / "servers", shutil.which("node")
    if node is None or not script.exists():
        pytest.skip("server: no node, or this is no checkout: the calculators of SMS parts are not here")
    done = subprocess.run([script, "counters"], capture_output=True, text=True)
    modules = ROOT / ".servers" / "counters" / "node_modules"
    if done.returncode or not modules.exists():
        pytest.skip(f"server: npm did not give the calculators of SMS parts: {done.stderr[-300:]}")
    asked = list(texts())
    answered = (
        subprocess.run(
            [node, Path(__file__).with_name("counters.js")],
            input="\n".join(map(json.dumps, asked)),
            env={**os.environ, "NODE_PATH": str(modules)},
            capture_output=True,
            text=True,
            check=True,
        )
        .stdout.rstrip("\n")
        .split("\n")
    )
    return [(text, segment(text), json.loads(said)) for text, said in zip(asked, answered, strict=True)]


def is_joined(text: str) -> bool:
    """Say whether something that is seen as one character has several code points: split-sms would split it."""
    return any(len(cluster) > 1 for cluster in regex.findall(r"\X", text))


def test_all_choose_the_same_encoding(judged: Sequence[tuple[str, Segments, Any]]) -> None:
    wrong = [
        (text, found.encoding)
        for text, found, said in judged
        if {found.encoding is Encoding.GSM} != {said["twilio"]["gsm"], said["split"]["gsm"]}
    ]

    assert len(judged) > 3_500
    assert wrong == []


def test_split_sms_splits_at_the_same_places_where_no_character_is_joined_of_several(
    judged: Sequence[tuple[str, Segments, Any]],
) -> None:
    compared = [(text, found, said["split"]) for text, found, said in judged if not is_joined(text)]
    wrong = [text for text, found, said in compared if [*found.parts] != said["parts"] or found.left != said["left"]]

    assert len(compared) > 2_800
    assert wrong == []


def test_where_characters_are_joined_we_never_have_fewer_parts_and_seldom_more(
    judged: Sequence[tuple[str, Segments, Any]],
) -> None:
    compared = [
        (text, len(found.parts), len(said["split"]["parts"])) for text, found, said in judged if is_joined(text)
    ]

    assert len(compared) > 600
    assert [text for text, ours, theirs in compared if not theirs <= ours <= theirs + 1] == []


def test_the_calculator_of_twilio_has_the_same_parts_where_it_sees_the_same_characters(
    judged: Sequence[tuple[str, Segments, Any]],
) -> None:
    # Its graphemes are those of an older Unicode: some families and flags are several characters to it.
    compared = [
        (text, found, said["twilio"])
        for text, found, said in judged
        if said["twilio"]["graphemes"] == regex.findall(r"\X", text)
    ]
    wrong = [
        (text, len(found.parts), said["parts"])
        for text, found, said in compared
        if len(found.parts) != said["parts"] or _bits(text, found) != said["bits"]
    ]

    assert len(compared) > 2_800
    assert wrong == []


def _bits(text: str, found: Segments) -> int:
    return units_of(text, found.encoding) * (7 if found.encoding is Encoding.GSM else 16)
