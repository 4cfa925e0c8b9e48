"""The hooks: synchronous, without I/O, never inside a transaction.

A plugin implements those that it needs with ``@hookimpl``. An implementation that raises is named in the log and counted;
the others still run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import pluggy
from attrs import frozen

from fernamt.connector import PluginContext
from fernamt.model import Address, Conversation, Customer, CustomerId, Entry, Json
from fernamt.outbound import OutboundMessage
from fernamt.registry import Registry

PROJECT = "fernamt"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@frozen(kw_only=True)
class Refusal:
    """Why a message may not be sent. *reason* is shown to the agent."""

    reason: str
    until: datetime | None = None
    """Asked again then; ``None``: refused for good."""


@frozen(kw_only=True)
class Route:
    """Where a new conversation goes; empty means: no opinion."""

    team: str = ""
    kind: str = "support"


@frozen(kw_only=True)
class Subject:
    """Whom an export or an erasure is about."""

    customer: CustomerId
    addresses: tuple[Address, ...]


Duty: TypeAlias = Callable[[PluginContext[Any]], Awaitable[Mapping[str, Json]]]
"""What a plugin has to do for an export or erasure; run by a durable job until it returns."""


@hookspec
def fernamt_register(registry: Registry) -> None:
    """Offer what the plugin has.

    When: once, after the plugin is imported, before any channel is built. Order: by entry-point name. The offers are taken
    whole or not at all: if this raises, the plugin is refused and the rest of the daemon runs.
    """


@hookspec
def fernamt_started(context: PluginContext[Any]) -> None:
    """Learn that the daemon is up. When: once, after the channels were started and before the daemon reports ready."""


@hookspec
def fernamt_stopping() -> None:
    """Learn that the daemon stops. When: once, on SIGTERM, before the channels are stopped."""


@hookspec
def fernamt_allow_send(
    message: OutboundMessage, conversation: Conversation, customer: Customer, now: datetime
) -> Refusal | None:
    """Refuse a message, with a reason that a person understands.

    When: before every attempt, before it is recorded. Every plugin is asked; any refusal counts, one for good before one
    with a time. Raising counts as no opinion and is logged.
    """


@hookspec(firstresult=True)
def fernamt_route(entry: Entry, conversation: Conversation, customer: Customer) -> Route | None:
    """Say where a new conversation goes.

    When: after the first entry of a conversation is committed, of one that began with notices the first answer, and again if the answer could not be. Order: by entry-point
    name; the first answer wins. It becomes an entry ``routed``, and the conversation is of that kind from then on.
    """


@hookspec
def fernamt_export(subject: Subject) -> Duty:  # type: ignore[empty-body]
    """Return the duty that collects what the plugin keeps of a person. When: on an export, once per plugin."""


@hookspec
def fernamt_erase(subject: Subject) -> Duty:  # type: ignore[empty-body]
    """Return the duty that erases what the plugin keeps of a person. When: on an erasure, once per plugin."""
