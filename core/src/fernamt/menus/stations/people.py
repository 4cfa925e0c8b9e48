"""Stations behind which a person stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fernamt.effects import AddEntry, Reply
from fernamt.menus.heard import digits_of
from fernamt.menus.people import (
    CallbackNode,
    QueueNode,
    RouteNode,
    TextbackNode,
    TransferNode,
    VoicemailNode,
)
from fernamt.menus.questions import Place, PlaceQuestion
from fernamt.menus.stations.listening import Agreeing, Listening
from fernamt.menus.stations.station import Scope, Script, Station
from fernamt.menus.variables import taken
from fernamt.menus.walk import Walk
from fernamt.menus.wording import Miss
from fernamt.model import Button, ChannelId, Json
from fernamt.session import (
    Finished,
    Gather,
    HangUp,
    Happened,
    LookedUp,
    LookUp,
    LookUpFailed,
    Pressed,
    Record,
    Recorded,
    Said,
    Silence,
    Transfer,
    Transferred,
)

NUMBER_MIN = 5
"""So many digits has a telephone number at least."""
_ANSWERED = (HangUp("answered"),)


class Routing(Station):
    """Says who should take it."""

    node: RouteNode

    def link(self, scope: Scope) -> None:
        """Learn what comes next, and let all that follows know who should take it."""
        self._to = self.way(scope, "to")
        node = self.node
        route: dict[str, Json] = {"team": node.team, "skills": list(node.skills), "priority": node.priority}
        scope.plan.routes[self.name] = route
        self._noted = (AddEntry(kind="route", data=route),)

    def enter(self, walk: Walk) -> Station | None:
        """Note it."""
        walk.route = self.name
        if self.node.team:
            walk.put("team", self.node.team)
        walk.effects += self._noted
        return self._to


class Connecting(Station):
    """Connects with somebody."""

    is_person = True
    node: TransferNode

    def link(self, scope: Scope) -> None:
        """Learn where each outcome leads."""
        node = self.node
        self._script = Script(node.prompt, scope.plan)
        self._line = (Transfer(to=node.number, timeout_s=node.timeout_s),)
        self._failed = self.way(scope, "failed")
        self._exits = {"busy": self.way(scope, "busy"), "no-answer": self.way(scope, "no_answer")}

    def enter(self, walk: Walk) -> Station | None:
        """Let the agent know what was collected, and connect."""
        walk.stay(self.name)
        walk.tell()
        if self._script or not walk.written:
            walk.prompts += self._script.of(walk)
        else:
            walk.prompts += self._script.handed_over(walk)
        walk.line = self._line
        return None

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Go on where nobody was there."""
        if isinstance(event, Transferred):
            if event.outcome == "answered":
                walk.end, walk.line = "person", _ANSWERED
                return None
            return self._exits.get(event.outcome, self._failed)
        # The line asks for something else to do, so nobody is being connected any more.
        walk.errors += 1
        return self._failed


class Queueing(Station):
    """Waits for an agent."""

    is_person = True
    is_counted = False
    node: QueueNode

    def link(self, scope: Scope) -> None:
        """Learn where each outcome leads."""
        node = self.node
        self._script, self._offer = Script(node.prompt, scope.plan), Script(node.offer, scope.plan)
        self._exits = {name: self.way(scope, name) for name in ("callback", "overflow", "failed")}
        self._polls = int(node.longest_s / node.every_s) * 2 + 4

    def enter(self, walk: Walk) -> Station | None:
        """Take a place."""
        walk.stay(self.name)
        walk.tell()
        walk.stage = {"since": walk.now_ms, "polls": 0, "phase": "dial" if walk.written else "place"}
        if walk.written:
            walk.prompts += self._script.handed_over(walk)
            walk.line = (Transfer(to=f"queue:{self.node.queue}", timeout_s=self.node.timeout_s),)
            return None
        return self._place(walk)

    def _place(self, walk: Walk) -> Station | None:
        stage = walk.stage
        waited_s = (walk.now_ms - stage["since"]) / 1_000
        if waited_s >= self.node.longest_s or stage["polls"] >= self._polls:
            return self._exits["overflow"]
        walk.stage = {**stage, "polls": stage["polls"] + 1, "phase": "place"}
        route = walk.routed
        question = PlaceQuestion(
            queue=self.node.queue,
            ticket=str(walk.session or walk.began),
            since=walk.at if not stage["polls"] else self._since(walk),
            priority=self.node.priority + int(route.get("priority", 0)),
            skills=tuple(route.get("skills", ())),
        )
        walk.line = (LookUp(question=question),)
        return None

    def _since(self, walk: Walk) -> datetime:
        return datetime.fromtimestamp(walk.stage["since"] / 1_000, UTC)

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Tell the place, connect, or go on."""
        phase = walk.stage["phase"]
        if phase == "dial":
            if event == Transferred("answered"):
                walk.end, walk.line = "person", _ANSWERED
                return None
            return self._exits["overflow"] if walk.written else self._place(walk)
        if phase == "place":
            if isinstance(event, LookedUp) and isinstance(event.answer, Place):
                return self._told(walk, event.answer)
            if isinstance(event, LookedUp | LookUpFailed):
                walk.errors += 1
                return self._exits["failed"]
            return self._place(walk)
        keys = event.keys if isinstance(event, Pressed) else digits_of(event.text) if isinstance(event, Said) else ""
        return self._exits["callback"] if phase == "offer" and keys == "1" else self._place(walk)

    def _told(self, walk: Walk, place: Place) -> Station | None:
        if place.position <= 0 and place.agent:
            walk.stage = {**walk.stage, "phase": "dial"}
            walk.line = (Transfer(to=place.agent, timeout_s=self.node.timeout_s),)
            return None
        walk.put("position", max(1, place.position))
        walk.put("wait_minutes", None if place.wait_s is None else max(1, round(min(place.wait_s, 1e6) / 60)))
        waited_s = (walk.now_ms - walk.stage["since"]) / 1_000
        offers = bool(self._offer) and waited_s >= self.node.offer_after_s
        prompts = self._script.of(walk, "", walk.stage["polls"] - 1)
        buttons: tuple[Button, ...] = ()
        if offers:
            offered = self._offer.of(walk)
            prompts += offered
            buttons = (Button(offered[0].text[:20], "1"),) if offered else ()
        walk.stage = {**walk.stage, "phase": "offer" if offers else "wait"}
        walk.line = (Gather(prompts=prompts, max_keys=1, first_timeout_s=self.node.every_s, buttons=buttons),)
        return None


class Calling(Listening):
    """Takes a number to call back."""

    is_person = True
    node: CallbackNode

    def link(self, scope: Scope) -> None:
        """Learn what is asked, and where it leads."""
        super().link(scope)
        node = self.node
        self._to = self.way(scope, "to")
        self._done = Script(node.done, scope.plan)
        self._agreeing = agreed = Agreeing(scope.definition.languages)
        self._right = self.asking(
            scope, node.prompt, max_keys=1, speech=True, hints=agreed.hints, buttons=agreed.buttons
        )
        self._other = self.asking(scope, node.ask, max_keys=20, speech=True)

    def enter(self, walk: Walk) -> Station | None:
        """Ask whether the caller's number is right, or for one."""
        walk.stay(self.name)
        walk.stage = "right" if walk.value("number") else "other"
        self.ask(walk, "", 0)
        return None

    def helped(self, walk: Walk) -> Station | None:
        """Say the help, and ask."""
        self.ask(walk, "help")
        return None

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask."""
        (self._right if walk.stage == "right" else self._other).ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a key, or the number."""
        if walk.stage == "right":
            return self._agreed(walk, keys)
        number = taken(keys.strip("#"), "digits")
        return self._kept(walk, number) if number and len(str(number)) >= NUMBER_MIN else self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words, or a number in words."""
        if walk.stage == "right":
            return self._agreed(walk, self._agreeing.heard(walk, text) or "")
        plus = "+" if text.lstrip().startswith("+") else ""
        return self.pressed(walk, plus + digits_of(text))

    def _agreed(self, walk: Walk, answer: str) -> Station | None:
        if answer == "1":
            return self._kept(walk, walk.value("number"))
        if answer != "2":
            return self.missed(walk)
        walk.stage = "other"
        walk.silences = walk.misses = 0
        self.ask(walk)
        return None

    def exhausted(self, walk: Walk, by: Miss) -> Station | None:
        """Rather call a number that may be wrong than lose somebody."""
        number = walk.value("number")
        return self._kept(walk, number) if number else super().exhausted(walk, by)

    def _kept(self, walk: Walk, number: Any) -> Station | None:
        walk.put("number", number)
        data: dict[str, Json] = {
            "since_ms": walk.began,
            "team": walk.value("team") or "",
            "priority": walk.routed.get("priority", 0),
        }
        if self.node.slot:
            data["slot"] = walk.value(self.node.slot)
        walk.effects += (AddEntry(kind="callback", text=str(number), data=data),)
        walk.kept = "call-back"
        walk.prompts += self._done.of(walk)
        return self._to


class Recording(Station):
    """Takes a message."""

    is_person = True
    node: VoicemailNode

    def link(self, scope: Scope) -> None:
        """Learn what is said, and where it leads."""
        node = self.node
        self._script, self._done = Script(node.prompt, scope.plan), Script(node.done, scope.plan)
        self._to, self._failed = self.way(scope, "to"), self.way(scope, "failed")
        self._line = (Record(max_s=node.longest_s),)

    def enter(self, walk: Walk) -> Station | None:
        """Ask for it."""
        walk.stay(self.name)
        if walk.written:
            gather = Gather(prompts=self._script.of(walk), speech=True, first_timeout_s=self.node.longest_s)
            walk.line = (gather,)
        else:
            walk.prompts += self._script.of(walk)
            walk.line = self._line
        return None

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Keep it."""
        text = ""
        if isinstance(event, Said):
            text = event.text.strip()
        if not text and not isinstance(event, Recorded):
            if not isinstance(event, Silence | Finished | Pressed):
                walk.errors += 1
            return self._failed
        team = walk.value("team") or ""
        walk.effects += (AddEntry(kind="voicemail", text=text, data={"team": team}),)
        walk.kept = walk.kept or "message"
        walk.prompts += self._done.of(walk)
        return self._to


class Texting(Station):
    """Writes to the caller."""

    node: TextbackNode

    def link(self, scope: Scope) -> None:
        """Learn what is written, and where it leads."""
        node = self.node
        self._message, self._done = Script(node.message, scope.plan), Script(node.done, scope.plan)
        self._to, self._failed = self.way(scope, "to"), self.way(scope, "failed")

    def enter(self, walk: Walk) -> Station | None:
        """Write."""
        caller = walk.caller
        if caller is None:
            return self._failed
        text = "".join(one.text for one in self._message.of(walk))
        walk.effects += (Reply(text=text, to=caller, channel=ChannelId(self.node.channel)),)
        walk.prompts += self._done.of(walk)
        return self._to
