"""The hooks as typed methods: the one place that calls a plugin's implementations, singly, so that each can fail alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from datetime import datetime
from typing import Any, Final, TypeVar

import pluggy
import structlog
from attrs import frozen

from fernamt.connector import PluginContext
from fernamt.hookspecs import Duty, Refusal, Route, Subject
from fernamt.model import Conversation, Customer, Entry, Json
from fernamt.outbound import OutboundMessage

_T = TypeVar("_T")
_log = structlog.get_logger()
_NONE: Final = object()
_ASKED: Final = tuple(f"fernamt_{it}" for it in ("started", "stopping", "allow_send", "route", "export", "erase"))


@frozen
class _Implementation:
    hook: str
    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def asked(self, values: Mapping[str, Any]) -> Any:
        return self.function(*[values[name] for name in self.arguments])


class Plugins:
    """The plugins that were loaded, asked through their hooks in the order of their entry-point names.

    An implementation that raises, or returns what the hook does not want, is logged and counted in *failures* by (plugin,
    hook) and counts as having no opinion; the others are asked all the same.
    """

    def __init__(self, registered: pluggy.PluginManager) -> None:
        self.names = tuple(sorted(name for name, _ in registered.list_name_plugin()))
        self.failures: Counter[tuple[str, str]] = Counter()
        self.by_hook = {hook: _implementations(getattr(registered.hook, hook)) for hook in _ASKED}
        """What is asked through each hook, in this order."""

    def without(self, name: str) -> Plugins:
        """Return the others: *name* is asked nothing any more."""
        left = copy(self)
        left.names = tuple(other for other in self.names if other != name)
        left.by_hook = {hook: tuple(it for it in found if it.plugin != name) for hook, found in self.by_hook.items()}
        return left

    @property
    def erasing(self) -> tuple[str, ...]:
        """The plugins that have a duty when somebody is erased."""
        return tuple(one.plugin for one in self.by_hook["fernamt_erase"])

    def started(self, context_for: Callable[[str], PluginContext[Any]]) -> None:
        """Tell every plugin that the daemon is up; *context_for* gives the context of a plugin by its name."""
        for implementation in self.by_hook["fernamt_started"]:
            self._call(implementation, {"context": context_for(implementation.plugin)})

    def stopping(self) -> None:
        """Tell every plugin that the daemon stops."""
        for implementation in self.by_hook["fernamt_stopping"]:
            self._call(implementation, {})

    @property
    def judging(self) -> bool:
        """Whether any plugin says what may be sent."""
        return bool(self.by_hook["fernamt_allow_send"])

    def allow_send(
        self, message: OutboundMessage, conversation: Conversation, customer: Customer, now: datetime
    ) -> Refusal | None:
        """Return why the message may not be sent: a refusal for good before one with a time, of these the latest."""
        values = {"message": message, "conversation": conversation, "customer": customer, "now": now}
        refusals = self._answers("fernamt_allow_send", values, Refusal)
        return max(refusals, key=lambda it: (it.until is None, it.until or now), default=None)

    @property
    def routing(self) -> bool:
        """Whether any plugin says where new conversations go."""
        return bool(self.by_hook["fernamt_route"])

    def route(self, entry: Entry, conversation: Conversation, customer: Customer) -> Route | None:
        """Return the first answer; the plugins after it are not asked."""
        values = {"entry": entry, "conversation": conversation, "customer": customer}
        return next(self._answers("fernamt_route", values, Route), None)

    def export(self, subject: Subject) -> Mapping[str, Duty]:
        """Return by plugin what is to be done for an export; see :meth:`erase`."""
        return self._duties("fernamt_export", subject)

    def erase(self, subject: Subject) -> Mapping[str, Duty]:
        """Return by plugin what is to be done for an erasure.

        A plugin that fails when it is asked is not left out: its duty is to ask it again, so the durable job that runs it
        fails visibly until the plugin is repaired.
        """
        return self._duties("fernamt_erase", subject)

    def _duties(self, hook: str, subject: Subject) -> dict[str, Duty]:
        duties: dict[str, Duty] = {}
        for implementation in self.by_hook[hook]:
            duty = self._call(implementation, {"subject": subject})
            if callable(duty):
                duties[implementation.plugin] = duty
            elif duty is not None:
                duties[implementation.plugin] = _asked_again(implementation, subject)
        return duties

    def _answers(self, hook: str, values: Mapping[str, Any], kind: type[_T]) -> Iterator[_T]:
        for implementation in self.by_hook[hook]:
            answer = self._call(implementation, values)
            if isinstance(answer, kind):
                yield answer
            elif answer is not None and answer is not _NONE:
                self._failed(implementation, TypeError(f"it returned a {type(answer).__name__}, no {kind.__name__}"))

    def _call(self, implementation: _Implementation, values: Mapping[str, Any]) -> Any:
        try:
            answer = implementation.asked(values)
            if isinstance(answer, Refusal) and answer.until is not None and answer.until.utcoffset() is None:
                raise TypeError("Refusal.until has no time zone")
        except (Exception, SystemExit) as why:  # noqa: BLE001 - a plugin's border
            self._failed(implementation, why)
            return _NONE
        return answer

    def _failed(self, implementation: _Implementation, why: BaseException) -> None:
        self.failures[implementation.plugin, implementation.hook] += 1
        _log.error("hook_failed", plugin=implementation.plugin, hook=implementation.hook, exc_info=why)


def _implementations(caller: pluggy.HookCaller) -> tuple[_Implementation, ...]:
    # pluggy keeps them in the reverse of the order in which it calls them.
    return tuple(
        _Implementation(caller.name, found.plugin_name, found.function, tuple(found.argnames))
        for found in reversed(caller.get_hookimpls())
    )


def _asked_again(implementation: _Implementation, subject: Subject) -> Duty:
    async def duty(context: PluginContext[Any]) -> Mapping[str, Json]:
        found = implementation.asked({"subject": subject})
        done: Mapping[str, Json] = {} if found is None else await found(context)
        return done

    return duty
