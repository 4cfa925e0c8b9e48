"""The durable work of one plugin: its subscribers are told, its timers ring, its jobs run; their effects commit with the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from fernamt._runtime.duties import eraser
from fernamt._runtime.effects import storable_effects
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.loader import Loaded
from fernamt._runtime.marking import reading
from fernamt._runtime.storable import storable_text
from fernamt._runtime.work import Ending, Handler, Worker
from fernamt._store.conversations import NEW
from fernamt._store.dialogues import HEARS, SUBSCRIBER
from fernamt._store.effects import Asking, apply_effects, route
from fernamt._store.engine import Store
from fernamt._store.reading import READ_BY, READER
from fernamt._store.subscriptions import Situation, Subscriptions, advance, situation
from fernamt._store.tasks import Errand, Task, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.connector import PluginContext
from fernamt.effects import Effect, Job, Told
from fernamt.errors import Unsupported
from fernamt.model import Entry
from fernamt.registry import Offers, SubscriberOffer

_AT_ONCE: Final = 100
_WORD_MAX: Final = 100


class Teller:
    """Handlers for the tasks of one plugin."""

    def __init__(self, offers: Offers, context: PluginContext[Any], store: Store) -> None:
        self._offers = offers
        self._context = context
        self._store = store
        self._author = f"plugin:{offers.plugin}"

    def handlers(self) -> Mapping[str, Handler]:
        """Return what carries out a task, by its kind."""
        return {"tell": self.tell, "timer": self.ring, "job": self.work}

    async def tell(self, task: Task) -> Ending:
        """Tell a subscriber of what is new, up to the first entry to which it has something to say."""
        offer = self._offer(task)
        if offer is None:
            return Ending()  # what was called so is not offered any more
        seen = await self._situation(task)
        effects: Sequence[Effect] = ()
        told = 0
        for entry in seen.entries:
            told = entry.n
            if entry.kind in offer.kinds and entry.author != self._author:
                effects = self._said(offer, seen, entry)
            if effects:
                break
        more = bool(seen.entries) and told < seen.conversation.last_n

        def also(tx: Transaction) -> None:
            if told:
                advance(tx, task.data["subscriber"], _conversation(task), told)
            apply_effects(tx, self._asking(task, told), effects)
            if more:
                plan_tasks(tx, [_again(task, told + 1, tx.now_us)], replace=True)

        return Ending(also)

    async def ring(self, task: Task) -> Ending:
        """Tell a subscriber that its time has come."""
        offer = self._offer(task)
        if offer is None:
            return Ending()
        seen = await self._situation(task, again=True)
        if not seen.entries:
            raise Unsupported("the entry that set this timer is not there")
        effects = self._said(offer, seen, seen.entries[0], timer=task.data["timer"])
        return Ending(lambda tx: apply_effects(tx, self._asking(task, task.n or 0), effects))

    async def work(self, task: Task) -> Ending:
        """Run a job."""
        name = task.data["job"]
        run = self._offers.jobs.get(name)
        if run is None:
            raise Unsupported(f"the plugin offers no job {name!r} any more")
        asked = await run(Job(name=name, data=task.data["data"]), self._context)
        effects = storable_effects(asked, self._offers.jobs)
        return Ending(lambda tx: apply_effects(tx, self._asking(task, task.n or 0), effects))

    def _offer(self, task: Task) -> SubscriberOffer | None:
        return self._offers.subscribers.get(task.data["subscriber"].partition(".")[2])

    async def _situation(self, task: Task, *, again: bool = False) -> Situation:
        return await asyncio.to_thread(self._read, task, again)

    def _read(self, task: Task, again: bool) -> Situation:
        with self._store.read() as connection:
            return situation(
                self._store.statements(connection),
                task.data["subscriber"],
                _conversation(task),
                first=task.n or 1,
                again=again,
                limit=1 if again else _AT_ONCE,
            )

    def _said(self, offer: SubscriberOffer, seen: Situation, entry: Entry, timer: str = "") -> tuple[Effect, ...]:
        told = Told(
            entry=entry,
            timer=timer,
            conversation=seen.conversation,
            customer=seen.customer,
            memory=seen.memory,
            settings=self._context.settings,
        )
        return storable_effects(offer.subscriber(told), self._offers.jobs)

    def _asking(self, task: Task, n: int) -> Asking:
        return Asking(
            plugin=self._offers.plugin,
            conversation=_conversation(task),
            n=n,
            subscriber=task.data["subscriber"],
        )


class Router:
    """Asks the plugins where a new conversation goes, once its first entry is committed."""

    def __init__(self, plugins: Plugins, store: Store) -> None:
        self._plugins = plugins
        self._store = store

    async def route(self, task: Task) -> Ending:
        """Ask, and note the answer in the conversation; nobody's opinion leaves it as it is."""
        conversation = _conversation(task)
        seen = await asyncio.to_thread(self._read, conversation, task.n or 1)
        if not seen.entries:
            return Ending()
        found = self._plugins.route(seen.entries[0], seen.conversation, seen.customer)
        if found is None:
            return Ending()
        kind, team = (storable_text(str(one))[:_WORD_MAX] for one in (found.kind, found.team))
        return Ending(lambda tx: route(tx, conversation, kind=kind, team=team))

    def _read(self, conversation: int, first: int) -> Situation:
        with self._store.read() as connection:
            return situation(self._store.statements(connection), "", conversation, first=first, again=True, limit=1)


def subscriptions_of(loaded: Loaded, marking: Collection[str] = (), *, menus: bool = False) -> Subscriptions:
    """Return who is to be told of what, as the plugins say that were loaded.

    *marking*: channels that say what was read; *menus*: there are channels on which a menu answers.
    """
    wanted = {
        f"{plugin}.{name}": offer.kinds
        for plugin, offers in loaded.offers.items()
        for name, offer in offers.subscribers.items()
    }
    if loaded.plugins.routing:
        wanted["core"] = frozenset({NEW})
    if marking:
        wanted[READER] = READ_BY
    if menus:
        wanted[SUBSCRIBER] = HEARS
    return Subscriptions(wanted=wanted, kept={failure.name for failure in loaded.failures})


def plugin_workers(
    loaded: Loaded,
    context_for: Callable[[str], PluginContext[Any]],
    *,
    store: Store,
    marking: Collection[str] = (),
    **more: Any,
) -> list[Worker]:
    """Return a worker for each plugin that has durable work, and the core's own; *more* is what every worker is given."""
    routing = {"route": Router(loaded.plugins, store).route} if loaded.plugins.routing else {}
    core = [Worker("core", routing, store=store, **more)] if routing else []
    if marking:
        core.append(Worker("work:core", {"tell": reading(marking)}, store=store, **more))
    return core + [
        Worker(f"work:{name}", _handlers(loaded, offers, context_for(name), store), store=store, **more)
        for name, offers in loaded.offers.items()
        if offers.subscribers or offers.jobs or name in loaded.plugins.erasing
    ]


def _handlers(loaded: Loaded, offers: Offers, context: PluginContext[Any], store: Store) -> Mapping[str, Handler]:
    return {**Teller(offers, context, store).handlers(), "duty": eraser(loaded.plugins, offers.plugin, context)}


def _conversation(task: Task) -> int:
    if task.conversation is None:
        raise Unsupported("the task names no conversation")
    return task.conversation


def _again(task: Task, n: int, now_us: int) -> Errand:
    return Errand(
        owner=task.owner,
        kind=task.kind,
        key=task.key,
        conversation=task.conversation,
        n=n,
        data=task.data,
        due_us=now_us,
    )
