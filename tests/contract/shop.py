"""Another stranger's menu for a shop, and its opening hours; it knows no telephone."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fernamt import (
    Action,
    AddEntry,
    Gather,
    HangUp,
    Happened,
    Hours,
    HoursQuestion,
    HungUp,
    LookedUp,
    LookUp,
    LookUpFailed,
    MenuState,
    PluginContext,
    Pressed,
    Prompt,
    Registry,
    Say,
    Started,
    Step,
    hookimpl,
)


class Main:
    digest = "shop-1"

    def step(self, state: MenuState | None, event: Happened, *, at: datetime, language: str) -> Step:
        node = "" if state is None else state["node"]
        match event:
            case HungUp():
                return Step({"node": "gone"}, ())
            case Started():
                return ask("1 opening hours, 2 call back, 3 order, 4 slow hours, 5 broken", language)
            case Pressed() if node == "order":
                return end("thank you", language)
            case Pressed(key):
                return self.chosen(key, at, language)
            case LookedUp(Hours(is_open=is_open)):
                return end("we are open" if is_open else "we are closed", language)
            case LookUpFailed():
                return end("nobody knows", language)
            case _:
                return ask("once more: 1, 2 or 3", language)

    def chosen(self, key: str, at: datetime, language: str) -> Step:
        match key:
            case "1" | "4":
                question = HoursQuestion(calendar="shop" if key == "1" else "slow", at=at)
                return Step({"node": "hours"}, (say("one moment", language), LookUp(question=question, timeout_s=20.0)))
            case "2":
                return end("we call you back", language, AddEntry(kind="note", text="wants to be called back"))
            case "3":
                return ask("your PIN", language, node="order", sensitive=True)
            case "5":
                raise RuntimeError("this menu is broken here")
            case _:
                return ask("once more: 1, 2 or 3", language)


def say(words: str, language: str) -> Say:
    return Say((Prompt(text=words, language=language),))


def ask(words: str, language: str, *, node: str = "main", sensitive: bool = False) -> Step:
    prompts = (Prompt(text=words, language=language),)
    return Step({"node": node}, (Gather(prompts=prompts, max_keys=1, sensitive=sensitive),))


def end(words: str, language: str, *effects: Action) -> Step:
    return Step({"node": "end"}, (*effects, say(words, language), HangUp()))


async def hours(question: HoursQuestion, context: PluginContext[Any]) -> Hours:
    if question.calendar == "slow":
        await asyncio.sleep(2.0)
    return Hours(is_open=True, reason="open", changes_at=None)


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.menu("main", Main())
    registry.service(HoursQuestion, hours)
