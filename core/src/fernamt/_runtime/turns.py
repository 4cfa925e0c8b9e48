"""Turns of live exchanges: an event comes in, a menu says what follows, it is committed, and only then is it heard.

The menu is asked on the loop, never in a transaction. What it asked for beside the line is committed with the step; a look-up
is asked when that is on disk, and its answer comes back as an event.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, Final, Protocol

import structlog
from attrs import define, evolve, frozen

from fernamt._runtime.claims import stop_task
from fernamt._runtime.minutes import handover, is_secret, minutes
from fernamt._runtime.performing import Performing
from fernamt._runtime.script import Asked, Scribe, Script
from fernamt._runtime.storable import storable
from fernamt._runtime.walk import MenuFault, PinnedMenu, Walked, farewell, walk
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.sessions import Move, Moved, Outcome, Standing, event_hash, move, standing_of
from fernamt._store.transaction import RACES
from fernamt._store.writer import Writes
from fernamt.connector import Blobs, Clock, Connector, Performs
from fernamt.errors import ChannelError, NotStored, Unsupported
from fernamt.inbound import Accepted
from fernamt.model import ChannelId, ConversationId, moment
from fernamt.services import Question
from fernamt.session import (
    Finished,
    HangUp,
    Hold,
    HungUp,
    LineAction,
    LookedUp,
    LookUpFailed,
    Polled,
    Recorded,
    Say,
    Session,
    SessionEvent,
    Silence,
    Started,
    Turn,
)

PATIENCE_S: Final = 1.0
"""A request that waits while something is looked up gets the turn that it brings, if that is so quick."""
LIVE_MAX: Final = 4_096
"""So many exchanges of a channel are kept in memory: the store knows the others."""
_log = structlog.get_logger()


class LooksUp(Protocol):
    """Asks a service; raises ``ChannelError`` if that brings nothing."""

    def __call__(self, question: Question[Any], *, timeout_s: float) -> Awaitable[Any]: ...


@frozen
class _Live:
    """Where an exchange stands, with its script read; *current*: no later turn was committed when we looked."""

    outcome: Outcome
    standing: Standing
    script: Script
    current: bool = True


@define(eq=False)
class _Asking:
    """A look-up under way, for one turn."""

    turn: int
    answered: asyncio.Future[None]
    heard: bool
    """The turn went out to the line: what it says is not said again."""
    task: asyncio.Task[None] | None = None


@frozen
class _Planned:
    move: Move
    script: Script
    fault: MenuFault | None


class Turns:
    """The live exchanges of one channel."""

    def __init__(
        self,
        line: Line,
        *,
        menus: Mapping[str, PinnedMenu],
        menu: str,
        language: str,
        scribe: Scribe,
        store: Store,
        writer: Writes,
        blobs: Blobs,
        look_up: LooksUp,
        clock: Clock,
    ) -> None:
        """*menu* and *language* are those of a call that begins; *menus* holds every menu that was loaded."""
        self._line = line
        self._menus = menus
        self._menu = menu
        self._language = language
        self._scribe = scribe
        self._store = store
        self._writer = writer
        self._blobs = blobs
        self._look_up = look_up
        self._clock = clock
        self._log = _log.bind(channel=line.id)
        self._performing: Performing | None = None
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._asking: dict[str, _Asking] = {}
        self._warned = False

    @property
    def line(self) -> Line:
        """The channel, as far as the store needs to know it."""
        return self._line

    def equip(self, connector: Connector) -> None:
        """Bring turns that no request waits for through *connector*, if it can."""
        if isinstance(connector, Performs):
            self._performing = Performing(connector, self._clock, self._log)

    async def turn(self, event: SessionEvent) -> Turn:
        """Return what shall happen now, committed; see :meth:`fernamt.ConnectorContext.turn`.

        Raises:
            NotStored: Nothing is committed.
            ValueError: The event cannot be stored: it has no key, no session or no address.
        """
        event = await self._clean(event)
        key = event_hash(self._line, event.session, event.key)
        live = await self._take(event, key)
        asking = self._pending(event, key, live, heard=False)
        if asking is not None:
            await asyncio.wait({asking.answered}, timeout=PATIENCE_S)
            if asking.answered.done() and asking.task is not None:
                await asyncio.wait({asking.task})
                live = await self._take(event, key)
            else:
                asking.heard = True
        return self._turn_of(event, live)

    async def accept(self, event: SessionEvent) -> Accepted:
        """Take an event for whose turn no request waits: the connector performs it, if it can. Raises as :meth:`turn`."""
        event = await self._clean(event)
        key = event_hash(self._line, event.session, event.key)
        live = await self._take(event, key)
        self._pending(event, key, live, heard=True)
        self._bring(event, live)
        conversation = ConversationId(str(live.standing.conversation))
        return Accepted(conversation=conversation, n=None, repeat=live.outcome is not Outcome.MADE)

    async def stop(self) -> None:
        """End what is looked up and performed: the next event of the exchange finds it in the store."""
        for asking in list(self._asking.values()):
            if asking.task is not None:
                await stop_task(asking.task)
        if self._performing is not None:
            await self._performing.stop()

    async def _clean(self, event: SessionEvent) -> SessionEvent:
        event = storable(event)
        if isinstance(event.what, Recorded) and isinstance(content := event.what.recording.content, bytes):
            blob = await self._blobs.put(_once(content), max_bytes=len(content))
            event = evolve(event, what=Recorded(evolve(event.what.recording, content=blob)))
        return event

    # ---- one step, committed
    async def _take(
        self, event: SessionEvent, key: bytes, *, instead_of: bytes = b"", said: tuple[LineAction, ...] = ()
    ) -> _Live:
        """Return where the exchange stands after the event; *said* is what the new turn begins with."""
        live = self._live.get(event.session)
        if live is None and type(event.what) is not Started:
            live = await self._found(event, b"")
        refused: Exception | None = None
        for _ in range(RACES):
            if live is not None and self._rests(live, event):
                live = await self._found(event, key)
                if live is not None and (live.outcome is Outcome.REPEAT or self._rests(live, event)):
                    return live
            planned = self._planned(live, event, key, instead_of, said, refused)
            try:
                moved = await self._writer.write(move, planned.move)
            except Unsupported as why:
                # What the menu asked for beside the line cannot be done.
                refused = why
                continue
            if moved.outcome is Outcome.MADE:
                return self._made(event, planned, moved)
            live = self._known(event, moved)
            if moved.outcome is Outcome.REPEAT:
                return live
        raise NotStored("this call moved on again and again while its event was taken")

    def _rests(self, live: _Live, event: SessionEvent) -> bool:
        """Say whether the event makes no step: the current turn is all that there is to say."""
        actions, what = live.script.actions, event.what
        if isinstance(what, HungUp):
            return not actions
        if live.standing.ended or isinstance(what, Started | Polled):
            return True
        if event.turn is not None and event.turn != live.standing.turn:
            return True
        # On hold nothing is asked: that the music ended or nobody spoke is no answer.
        return isinstance(what, Finished | Silence) and bool(actions) and isinstance(actions[-1], Hold)

    async def _found(self, event: SessionEvent, key: bytes) -> _Live | None:
        """Read where an exchange stands, or stood when this event was taken."""

        def look() -> Moved | None:
            with self._store.read() as connection:
                return standing_of(self._store.statements(connection), self._line.number, event.session, key)

        found = await asyncio.to_thread(look)
        return None if found is None else self._known(event, found)

    def _known(self, event: SessionEvent, moved: Moved) -> _Live:
        live = _Live(moved.outcome, moved.standing, self._scribe.read(moved.standing.actions), moved.current)
        if moved.current:
            self._remember(event.session, live)
        return live

    def _made(self, event: SessionEvent, planned: _Planned, moved: Moved) -> _Live:
        live = _Live(Outcome.MADE, moved.standing, planned.script)
        self._remember(event.session, live)
        if planned.fault is not None:
            name = planned.move.menu
            if name:
                self._log.error("menu_failed", menu=name, reason=str(planned.fault), exc_info=planned.fault.__cause__)
            elif not self._warned:
                self._warned = True
                self._log.warning("channel_without_menu", fix='Set menu = "<plugin>.<name>" in its section')
        return live

    def _remember(self, call: str, live: _Live) -> None:
        self._live.pop(call, None)
        if not live.standing.ended:
            self._live[call] = live
            if len(self._live) > LIVE_MAX:
                self._live.popitem(last=False)

    # ---- what is committed
    def _planned(
        self,
        live: _Live | None,
        event: SessionEvent,
        key: bytes,
        instead_of: bytes,
        said: tuple[LineAction, ...],
        refused: Exception | None,
    ) -> _Planned:
        origin = None if live is None else live.standing
        name, language = (self._menu, self._language) if origin is None else (origin.menu, origin.language)
        secret = live is not None and is_secret(live.script, event.what)
        entries = minutes(event, begins=origin is None, secret=secret)
        pinned = self._menus.get(name)
        fault = None
        walked = Walked(state="null" if origin is None else origin.state, actions=(), script="[]")
        try:
            if refused is not None:
                raise MenuFault(str(refused)) from refused
            walked = self._walked(pinned, origin, event, language, secret=secret)
            if said:
                walked = evolve(walked, actions=(*said, *walked.actions))
                walked = evolve(walked, script=self._scribe.write(walked.actions, walked.look_up, secret=secret))
        except MenuFault as why:
            fault = why
            entries.append(handover(name, str(why)))
            if not isinstance(event.what, HungUp):
                actions = (*said, *farewell(language, answered=bool(name)))
                walked = evolve(walked, actions=actions, script=self._scribe.write(actions))
        actions = walked.actions
        asked = None if walked.look_up is None else Asked(walked.look_up.question, walked.look_up.timeout_s)
        whole = Move(
            line=self._line,
            key=key,
            call=event.session,
            address=event.address,
            origin=origin,
            language=language,
            menu=name,
            digest=(pinned.digest if pinned is not None else "") if origin is None else origin.digest,
            state=walked.state,
            actions=walked.script,
            ends=not actions or isinstance(actions[-1], HangUp),
            entries=tuple(entries),
            plugin=name.partition(".")[0],
            effects=walked.effects,
            instead_of=instead_of,
        )
        return _Planned(whole, Script(actions, asked), fault)

    def _walked(
        self, pinned: PinnedMenu | None, origin: Standing | None, event: SessionEvent, language: str, *, secret: bool
    ) -> Walked:
        """Ask the menu; one that is not what the session began with is not asked."""
        what = event.what
        if pinned is None:
            raise MenuFault("it is not loaded" if origin is not None or self._menu else "no menu answers this channel")
        if origin is None:
            if isinstance(what, HungUp):
                return Walked(state="null", actions=(), script="[]")
            # Whatever came first, a menu meets the beginning.
            what = what if isinstance(what, Started) else Started("")
            what = evolve(what, caller=event.address, channel=self._line.id, session=event.session)
        elif origin.digest != pinned.digest:
            raise MenuFault("it was changed while the call was under way")
        state = "null" if origin is None else origin.state
        return walk(pinned, state, what, at=event.at, language=language, scribe=self._scribe, secret=secret)

    def _turn_of(self, event: SessionEvent, live: _Live) -> Turn:
        standing = live.standing
        session = Session(
            id=str(standing.id),
            call_id=event.session,
            channel=ChannelId(self._line.id),
            address=event.address,
            language=standing.language,
            version=standing.turn,
        )
        return Turn(session=session, n=standing.turn, actions=live.script.actions)

    # ---- looking up
    def _pending(self, event: SessionEvent, key: bytes, live: _Live, *, heard: bool) -> _Asking | None:
        """Return the look-up that the turn waits for, and begin it where nobody is at it."""
        asked, standing = live.script.asked, live.standing
        if asked is None or standing.ended or not live.current:
            return None
        asking = self._asking.get(event.session)
        if asking is not None and asking.turn == standing.turn:
            return asking
        if live.outcome is not Outcome.MADE:
            # Another runner may be at it; if it is gone, it is not after that time.
            if (self._clock.now() - moment(standing.at_us)).total_seconds() < asked.timeout_s:
                return None
            heard = True
        asking = _Asking(standing.turn, asyncio.get_running_loop().create_future(), heard)
        self._asking[event.session] = asking
        asking.task = asyncio.create_task(self._asked(asking, asked, event, key, live), name=f"look-up-{standing.id}")
        return asking

    async def _asked(self, asking: _Asking, asked: Asked, event: SessionEvent, key: bytes, live: _Live) -> None:
        what = await self._answer(asked)
        asking.answered.set_result(None)
        own = f"\0look-up:{asking.turn}"  # no provider's key has a NUL: it would have been replaced
        brought = evolve(event, key=own, turn=asking.turn, at=self._clock.now(), what=what)
        said = () if asking.heard else tuple(action for action in live.script.actions if isinstance(action, Say))
        digest = event_hash(self._line, event.session, own)
        try:
            after = await self._take(brought, digest, instead_of=b"" if asking.heard else key, said=said)
        except NotStored as why:
            self._log.warning("look_up_not_stored", session=live.standing.id, reason=why.reason)
            return
        finally:
            del self._asking[event.session]
        self._pending(brought, digest, after, heard=True)
        if asking.heard:
            self._bring(brought, after)

    async def _answer(self, asked: Asked) -> LookedUp | LookUpFailed:
        if asked.question is None:
            return LookUpFailed("it was interrupted")
        try:
            async with asyncio.timeout(asked.timeout_s):
                return LookedUp(await self._look_up(asked.question, timeout_s=asked.timeout_s))
        except TimeoutError:
            return LookUpFailed(f"there was no answer within {asked.timeout_s:g} s")
        except ChannelError as why:
            return LookUpFailed(why.reason)

    def _bring(self, event: SessionEvent, live: _Live) -> None:
        if self._performing is not None and live.current:
            self._performing.bring(self._turn_of(event, live))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
