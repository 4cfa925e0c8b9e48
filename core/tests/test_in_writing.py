"""What a menu says as a text, sent back to it in every way that mailers know: it is no answer."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fernamt._runtime.in_writing import answered, is_number, repeats, written_out
from fernamt.model import Button, ChannelId, ConversationId, Entry
from fernamt.outbound import Capabilities
from fernamt.session import Gather, Pressed, Prompt, Said

words = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() and "\0" not in text)
marks = st.sampled_from(["> ", ">> ", ">", "| ", "", "  "])
heads = st.sampled_from(
    ["", "Am 30.11.2026 um 10:00 schrieb Laden:\n", "-----Original Message-----\nFrom: Laden\nSubject: 1\n\n"]
)


@st.composite
def questions(draw: Any) -> Gather:
    labels = draw(st.lists(words, min_size=2, max_size=6))
    buttons = tuple(Button(label, str(at)) for at, label in enumerate(labels, 1))
    return Gather(prompts=(Prompt(text=draw(words), language="de"),), max_keys=1, speech=True, buttons=buttons)


def entry(text: str, **data: Any) -> Entry:
    return Entry(
        conversation=ConversationId("1"), n=1, kind="received", at=datetime(2026, 11, 30, tzinfo=UTC), author="a:b",
        channel=ChannelId("chat"), text=text, data=data,
    )  # fmt: skip


@given(questions(), heads, marks, st.sampled_from([60, 76, 10_000]))
def test_a_question_sent_back_is_no_answer_and_a_key_above_it_is(
    asked: Gather, head: str, mark: str, width: int
) -> None:
    text = written_out((asked,), Capabilities(), "1.1").text
    lines = [piece for line in text.split("\n") for piece in textwrap.wrap(line, width) or [""]]
    back = head + "\n".join(f"{mark}{line}" for line in lines)

    assert repeats(back, asked)
    if not is_number(back):
        assert answered(entry(back), asked) == Said("")
    assert answered(entry(f"2\n\n{back}"), asked) == Pressed("2")


@given(st.text(max_size=600), questions())
def test_whatever_somebody_writes_is_keys_or_words(text: str, asked: Gather) -> None:
    found = answered(entry(text), asked)

    assert isinstance(found, Pressed | Said)
    assert not isinstance(found, Pressed) or is_number(text.strip())
