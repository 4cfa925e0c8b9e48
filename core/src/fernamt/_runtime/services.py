"""Questions that plugins ask each other: found by their type, answered in time, and with what the question promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

import structlog

from fernamt._runtime.claims import uncancelled
from fernamt.connector import PluginContext
from fernamt.errors import ChannelError, Unreachable, Unsupported
from fernamt.registry import Answer, Offers
from fernamt.services import Question

LOOK_UP_S: Final = 4.0
_A = TypeVar("_A")
_log = structlog.get_logger()


class Services:
    """Who answers which type of question."""

    def __init__(self, offers: Mapping[str, Offers], context_for: Callable[[str], PluginContext[Any]]) -> None:
        """*context_for* gives the context of a plugin by its name."""
        self._context_for = context_for
        self._answers: dict[type[Question[Any]], list[tuple[str, Answer]]] = {}
        for name in sorted(offers):
            for question, answer in offers[name].services.items():
                self._answers.setdefault(question, []).append((name, answer))
        for question, answers in self._answers.items():
            own = [(name, answer) for name, answer in answers if question not in offers[name].defaults]
            self._answers[question] = own or answers
        for question, answers in self._answers.items():
            if len(answers) > 1:
                _log.error("service_refused", question=question.__name__, plugins=[name for name, _ in answers])

    async def look_up(self, question: Question[_A], *, timeout_s: float = LOOK_UP_S) -> _A:
        """See :meth:`fernamt.PluginContext.look_up`."""
        kind = type(question)
        answers = self._answers.get(kind, [])
        if len(answers) != 1:
            several = " and ".join(name for name, _ in answers)
            raise Unsupported(
                f"both {several} answer a {kind.__name__}, so neither does: use one of them"
                if several
                else f"no plugin here answers a {kind.__name__}"
            )
        [(plugin, answer)] = answers
        try:
            async with asyncio.timeout(timeout_s):
                found: _A = await uncancelled(lambda: answer(question, self._context_for(plugin)))
        except ChannelError:
            raise
        except TimeoutError as why:
            raise Unreachable(f"plugin {plugin} gave no answer within {timeout_s:g} s", certain=True) from why
        except Exception as why:
            _log.error("service_failed", plugin=plugin, question=kind.__name__, exc_info=why)
            raise Unreachable(f"plugin {plugin} failed to answer: {type(why).__name__}", certain=True) from why
        wanted = _answer_type(kind)
        if wanted is not None and not isinstance(found, wanted):
            raise Unreachable(
                f"plugin {plugin} answered a {kind.__name__} with a {type(found).__name__}, no {wanted.__name__}",
                certain=True,
            )
        return found


def _answer_type(question: type[Question[Any]]) -> type[Any] | None:
    """Return the class of which an answer must be, ``None`` if the annotation names none."""
    for base in getattr(question, "__orig_bases__", ()):
        if get_origin(base) is Question:
            [annotation] = get_args(base)
            kind = get_origin(annotation) or annotation
            return kind if isinstance(kind, type) and not getattr(kind, "_is_protocol", False) else None
    return None
