"""Questions between plugins: one answers, in time, with what the question promises; everybody else is told why not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import frozen
from structlog.testing import capture_logs

from fernamt._runtime.services import Services
from fernamt.errors import ChannelError, Rejected, Unreachable, Unsupported
from fernamt.registry import Draft, Offers
from fernamt.services import CustomerCard, FaqAnswer, FaqQuestion, Hours, HoursQuestion, Question

OPEN = Hours(is_open=True, reason="", changes_at=None)
WHEN = HoursQuestion(calendar="support", at=datetime(2026, 11, 23, 10, tzinfo=UTC))


@frozen
class Speech(Question[AsyncIterator[bytes]]):
    """A question whose answer is no class that can be checked with certainty."""


@frozen
class Loose(Question):  # type: ignore[type-arg]
    """A question that does not say what it is answered with."""


def answering(question: type[Question[Any]], answer: Any, *, plugin: str = "wiki") -> Offers:
    async def given(_question: Any, _context: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return await answer() if callable(answer) else answer

    draft = Draft(plugin)
    draft.service(question, given)
    return draft.finished()


def services(*offers: Offers) -> Services:
    return Services({one.plugin: one for one in offers}, lambda name: name)  # type: ignore[arg-type, return-value]


RIGHT: dict[str, tuple[Question[Any], Any]] = {
    "a class": (WHEN, OPEN),
    "a tuple": (FaqQuestion(text="?", language="de"), (FaqAnswer("so", 0.9, ""),)),
    "a mapping": (CustomerCard(addresses=()), {"plan": "gold"}),
    "without an annotation": (Loose(), object()),
}


@pytest.mark.parametrize(("question", "answer"), RIGHT.values(), ids=RIGHT)
async def test_whoever_answers_a_type_is_asked(question: Question[Any], answer: Any) -> None:
    assert await services(answering(type(question), answer)).look_up(question) is answer


async def test_the_answerer_gets_the_question_and_the_context_of_its_own_plugin() -> None:
    seen = []

    async def given(question: HoursQuestion, context: Any) -> Hours:
        seen.append((question, context))
        return OPEN

    draft = Draft("calendar")
    draft.service(HoursQuestion, given)
    await services(draft.finished()).look_up(WHEN)
    assert seen == [(WHEN, "calendar")]


async def test_a_question_that_nobody_answers_says_so() -> None:
    with pytest.raises(Unsupported, match="no plugin here answers a HoursQuestion"):
        await services().look_up(WHEN)


async def test_two_that_answer_the_same_are_both_refused_by_name_and_their_other_answers_count() -> None:
    both = Draft("b")
    for question in (HoursQuestion, FaqQuestion):

        async def given(_question: Any, _context: Any) -> Any:
            return ()

        both.service(question, given)
    with capture_logs() as logs:
        found = services(answering(HoursQuestion, OPEN, plugin="a"), both.finished())
    assert logs == [
        {"event": "service_refused", "log_level": "error", "question": "HoursQuestion", "plugins": ["a", "b"]}
    ]
    with pytest.raises(Unsupported, match="both a and b answer a HoursQuestion"):
        await found.look_up(WHEN)
    assert await found.look_up(FaqQuestion(text="?", language="de")) == ()


async def never() -> None:
    await asyncio.Event().wait()


WRONG: dict[str, tuple[Any, type[ChannelError], str]] = {  # answer -> error, what it says
    "another class": ({"is_open": True}, Unreachable, "wiki answered a HoursQuestion with a dict, no Hours"),
    "nothing": (None, Unreachable, "with a NoneType"),
    "a bug": (KeyError("secret"), Unreachable, "wiki failed to answer: KeyError"),
    "an exit": (SystemExit(1), Unreachable, "RuntimeError"),
    "a cancellation inside": (asyncio.CancelledError(), Unreachable, "RuntimeError"),
    "a no of its own": (Rejected("not this calendar"), Rejected, "not this calendar"),
    "too late": (never, Unreachable, "no answer within 0.01 s"),
}


@pytest.mark.parametrize(("answer", "error", "says"), WRONG.values(), ids=WRONG)
async def test_what_is_no_answer_is_an_error_that_names_the_plugin(
    answer: Any, error: type[ChannelError], says: str
) -> None:
    with capture_logs(), pytest.raises(error, match=says):
        await services(answering(HoursQuestion, answer)).look_up(WHEN, timeout_s=0.01)
