"""The benchmark's telephone: what a connector for a provider of TwiML does, and a menu of four nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import callers

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ConnectorContext,
    Gather,
    Handshake,
    HangUp,
    Happened,
    HungUp,
    InboundEvent,
    MenuState,
    OutboundMessage,
    Pressed,
    Prompt,
    Request,
    Response,
    Say,
    Sent,
    SessionEvent,
    Started,
    Step,
    Turn,
    Unsupported,
    Webhook,
)

NODES = ("sales", "service", "parts", "an agent")


class VoiceLine:
    """The connector."""

    def __init__(self, channel: Channel[Any], context: ConnectorContext) -> None:
        self._url = channel.url

    def webhooks(self) -> Sequence[Webhook]:
        return (Webhook(path="voice", verify=self._verify, parse=self._parse),)

    def _verify(self, request: Request) -> None:
        if not callers.verified(request.headers.get("X-Signature", ""), request.url, callers.form_of(request.body)):
            raise BadSignature("X-Signature does not fit address and form")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        form = dict(callers.form_of(request.body))
        call, turn = form["CallSid"], int(request.query.get("turn", "0"))
        what: Happened
        if form["CallStatus"] == "completed":
            what = HungUp("caller")
        elif "Digits" in form:
            what = Pressed(form["Digits"])
        else:
            what = Started(form["To"])
        return [
            SessionEvent(
                key=f"{type(what).__name__}:{turn}",
                session=call,
                turn=turn or None,
                address=Address("phone", form["From"]),
                at=request.at,
                what=what,
            )
        ]

    def answer(self, turn: Turn) -> Response:
        """Render the turn."""
        verbs = []
        for action in turn.actions:
            match action:
                case Say(prompts):
                    verbs += [_said(prompt) for prompt in prompts]
                case Gather():
                    spoken = "".join(_said(prompt) for prompt in action.prompts)
                    verbs.append(
                        f'<Gather action="{self._url}voice?turn={turn.n}" numDigits="{action.max_keys}">{spoken}</Gather>'
                    )
                case HangUp():
                    verbs.append("<Hangup/>")
                case _:
                    raise Unsupported(f"the benchmark's line cannot {type(action).__name__}")
        body = f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}</Response>'
        return Response(body=body.encode(), media_type="text/xml")

    async def send(self, message: OutboundMessage) -> Sent:
        raise Unsupported("a telephone takes no messages")


def _said(prompt: Prompt) -> str:
    return f'<Say language="{prompt.language}">{escape(prompt.text)}</Say>'


class Tree:
    """Walks in circles until the caller has had enough."""

    digest = "benchmark-1"

    def step(self, state: MenuState | None, event: Happened, *, at: datetime, language: str) -> Step:
        if isinstance(event, HungUp):
            return Step(state or {}, ())
        path: Sequence[object] = []
        if state is not None and isinstance(event, Pressed):
            path = [*_path(state), event.keys]
        node = NODES[len(path) % len(NODES)]
        said = Say((Prompt(text=f"You are with {node}.", language="en"),))
        asked = Prompt(text="For sales press 1, for service press 2, for parts press 3.", language="en")
        return Step({"node": node, "path": path}, (said, Gather(prompts=(asked,), max_keys=1)))  # type: ignore[dict-item]


def _path(state: Mapping[str, object]) -> list[object]:
    path = state["path"]
    assert isinstance(path, list)
    return path
