"""The conformance suite: an author subclasses :class:`ConnectorConformance` and gets every rule that applies."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias, final

from attrs import frozen

from fernamt._runtime.installed import discover
from fernamt._runtime.loader import PluginFailed, PluginFailure, load
from fernamt.connector import Webhooks, abilities_of
from fernamt.inbound import Handshake, InboundEvent, Request
from fernamt.model import Address, Attachment, Button, Template
from fernamt.outbound import OutboundMessage
from fernamt.registry import ConnectorOffer
from fernamt.testing.guard import local_only
from fernamt.testing.provider import FaultyProvider
from fernamt.testing.quality import Quality
from fernamt.testing.recording import Recording
from fernamt.testing.rig import Rig, rigged
from fernamt.testing.rule import Broken, Can, NotApplicable, Rule
from fernamt.testing.trouble import FakeServer, Puts

State: TypeAlias = Literal["kept", "broken", "waived", "not applicable"]
_RULE_S: Final = 150.0


@frozen(kw_only=True)
class Verdict:
    """What became of one rule."""

    rule: Rule
    state: State
    said: str = ""
    """Why it is so, and what to do; empty if it is kept."""


@cache
def _offered(suite: type[Any]) -> ConnectorOffer | PluginFailure:
    """Return what the installed plugin offers. To load it takes longer than most rules, and they load it hundreds of times."""
    loaded = load([suite.kind.partition(".")[0]], discover())
    try:
        return loaded.connector(suite.kind)
    except PluginFailed as why:
        return why.failure


class ConnectorConformance:
    """Subclass it, name the *kind*, say how it is set up, and pytest runs every rule of the kit on your connector.

    ::

        class TestCourier(ConnectorConformance):
            kind = "courier"

            def settings(self, server: FaultyProvider) -> Mapping[str, object]:
                return {"api": server.url, "token": Secret("t0ken-of-the-test")}

    The connector's ``Webhook.sign`` signs the recordings; a kind that has none says it by :meth:`signed`.
    Recordings lie in the folder ``recordings`` beside the file, waivers in the ``quality.toml`` of the plugin.
    """

    kind: ClassVar[str]
    """The kind of channel, as a channel's section names it."""
    sends: ClassVar[bool] = True
    """Whether this kind sends at all."""
    signs_time_s: ClassVar[float | None] = None
    """How old a signed request may be; ``None``: the provider signs no time."""

    def __init_subclass__(cls) -> None:
        if replaced := {"test_rule", "test_recording", "test_waivers"} & {*vars(cls)}:
            raise TypeError(
                f"{cls.__name__} replaces {', '.join(sorted(replaced))}: waive a rule in quality.toml, with a sentence"
            )

    # ---- what an author says
    def settings(self, server: Any) -> Mapping[str, object]:
        """Return the keys of a right section of this kind, whose provider is *server*. A secret is a :class:`fernamt.Secret`."""
        return {}

    def server(self) -> FakeServer | None:
        """Return a new fake server, not entered; ``None`` if this kind calls nobody. By default: :class:`FaultyProvider`."""
        return FaultyProvider()

    def signed(self, request: Request) -> Request:
        """Return *request* with what the provider signs it with, where that needs more than ``Webhook.sign``."""
        return request

    def recipient(self) -> Address:
        """Return an address that this kind sends to."""
        return Address(self.kind.partition(".")[0], "ann")

    def recorded(self) -> Sequence[Recording]:
        """Return the recordings: by default those in the folder ``recordings`` beside the file of the class."""
        folder = self.folder / "recordings"
        return [Recording.load(file) for file in sorted(folder.glob("*.json"))]

    def messages(self, rig: Rig) -> Mapping[str, OutboundMessage]:
        """Return, by a short name, the messages whose way over the wire is recorded: by default one for each thing that it can do.

        Add what your channel makes something special of: ``{**super().messages(rig), "automatic": rig.message(automatic=True)}``.
        """
        can, found = rig.can, {"text": rig.message()} if rig.can.max_units > 1 else {}
        if can.html:
            found["html"] = rig.message("Größe 38", html="<p>Größe <b>38</b></p>")
        if can.subject:
            found["subject"] = rig.message(subject="Ihre Größe")
        if can.buttons:
            found["buttons"] = rig.message(
                "Welche Größe?", buttons=(Button("38", "s38"), Button("39", "s39"))[: can.buttons]
            )
        if can.templates:
            found["template"] = rig.message("", template=Template(name="paket", language="de", values=("Schrauben",)))
        if can.files:
            kind = can.files[0].media_types[0].replace("*/*", "image/png").replace("/*", "/png")
            content = rig.context.blobs.add(b"\x89PNG of the test")
            file = Attachment(name="Foto.png", media_type=kind, content=content)
            found["file"] = rig.message("Anbei", attachments=(file,))
        return found

    @property
    def sent_folder(self) -> Path:
        """The folder of what goes out for each of :meth:`messages`, a text each: by default ``sent`` beside the file of the class."""
        return self.folder / "sent"

    def sent(self) -> Mapping[str, str]:
        """Return what goes out, by the name of the message, as it was recorded."""
        return {file.stem: file.read_text("utf-8") for file in sorted(self.sent_folder.glob("*.txt"))}

    def record_sent(self, written: Mapping[str, str]) -> None:
        """Keep what goes out now, in place of what was recorded."""
        self.sent_folder.mkdir(exist_ok=True)
        for name, text in written.items():
            (self.sent_folder / f"{name}.txt").write_text(text, "utf-8")

    async def meaning(self, rig: Rig, recording: Recording) -> Sequence[InboundEvent] | str:
        """Return the events of a recording, or the answer to a handshake. *rig* is new: nothing came before.

        By default what the webhook makes of it; of a kind without webhooks what intake gets when the body waits at the fake
        server (:class:`Puts`) and the connector runs.
        """
        server: object = rig.server
        if rig.has(Webhooks) or not isinstance(server, Puts):
            found = rig.parsed(recording)
            return found.response.body.decode() if isinstance(found, Handshake) else found
        await server.put(recording.body)
        async with rig.running() as task:
            await rig.received(task, 1)
        return rig.context.intake.events

    def offer(self) -> ConnectorOffer | PluginFailure:
        """Return what is offered under *kind*: by default by the installed plugin, which is loaded once for all rules."""
        suite: Any = type(self)  # the type checker takes the hash of its instances for that of a class
        return _offered(suite)

    def distribution(self) -> Distribution | None:
        """Return the installed distribution of the plugin; ``None``: it is none."""
        name = self.kind.partition(".")[0]
        found = [getattr(one.entry_point, "dist", None) for one in discover() if one.name == name]
        return found[0] if found else None

    def environment(self) -> Mapping[str, str]:
        """Return the environment of a process that loads the plugin."""
        return os.environ

    # ---- what pytest runs
    @property
    def folder(self) -> Path:
        """The folder of the file in which the subclass stands."""
        return Path(inspect.getfile(type(self))).parent

    @cached_property
    def quality(self) -> Quality:
        """What ``quality.toml`` says: the nearest one at or above the folder of the test."""
        return Quality.above(self.folder)

    @final
    def test_rule(self, fernamt_rule: Rule, record_property: Any, pytestconfig: Any) -> None:
        """Judge one rule."""
        import pytest

        verdict = judge(self, fernamt_rule, records=bool(pytestconfig.getoption("--fernamt-record")))
        for name, value in (
            ("kind", self.kind),
            ("rule", fernamt_rule.id),
            ("tier", fernamt_rule.tier),
            ("about", fernamt_rule.about),
            ("state", verdict.state),
            ("said", verdict.said),
        ):
            record_property(f"fernamt_{name}", value)
        if verdict.state == "broken":
            more = f"fernamt plugins check --explain {fernamt_rule.id}"
            pytest.fail(f"{fernamt_rule.id} ({fernamt_rule.tier}): {verdict.said}\n({more})", pytrace=False)
        if verdict.state != "kept":
            pytest.skip(f"{verdict.state}: {verdict.said}")

    @final
    def test_waivers(self) -> None:
        """Let no waiver name a rule that there is not."""
        import pytest

        from fernamt.testing.rules import RULES

        if unknown := sorted({*self.quality.waivers()} - {one.id for one in RULES}):
            pytest.fail(
                f"{self.quality.file} waives {unknown[0]}, and there is no such rule: correct it", pytrace=False
            )

    @final
    def test_recording(self, fernamt_recording: Recording) -> None:
        """Compare what a recording means with what it is expected to mean."""
        import pytest

        if fernamt_recording.name not in {one.name for one in self.recorded()}:
            pytest.skip("there are no recordings")

        async def compare() -> list[str]:
            with local_only() as seen:
                async with rigged(self, seen) as rig:
                    return await mistaken(rig, fernamt_recording)

        if found := asyncio.run(compare()):
            pytest.fail("\n".join(found), pytrace=False)


async def mistaken(rig: Rig, recording: Recording) -> list[str]:
    """Return in what a recording means something else than it is expected to mean."""
    events = await rig.suite.meaning(rig, recording)
    if isinstance(events, str) or isinstance(recording.expect, str):
        return [] if events == recording.expect else [f"{recording.expect!r} is expected, and it is {events!r}"]
    found = recording.differences(events)
    if len(events) != len(recording.expect):
        found.append(f"{len(recording.expect)} events are expected, and there are {len(events)}")
    return found


def judge(suite: ConnectorConformance, rule: Rule, *, records: bool = False) -> Verdict:
    """Return what became of *rule* on the connector of *suite*; *records*: what goes out is written down, not compared."""
    waived = suite.quality.why(rule.id, suite.kind)
    if waived is not None:
        if not waived.strip():
            return Verdict(
                rule=rule, state="broken", said=f"it is waived in {suite.quality.file} without a sentence: write why"
            )
        return Verdict(rule=rule, state="waived", said=waived)
    kind: Any = type(suite)
    try:
        for need in rule.needs:
            if isinstance(need, Can) and need.ability not in _abilities(kind):
                raise NotApplicable(need.lacking)
        asyncio.run(_checked(suite, rule, records=records))
    except NotApplicable as why:
        return Verdict(rule=rule, state="not applicable", said=str(why))
    except Broken as why:
        return Verdict(rule=rule, state="broken", said=str(why))
    except Exception as why:  # noqa: BLE001 - a stranger's connector
        seen = (
            f"{type(why).__name__} ({why}) came out of the connector where nothing was wrong: see where it comes from"
        )
        return Verdict(rule=rule, state="broken", said=seen)
    return Verdict(rule=rule, state="kept")


@cache
def _abilities(suite: Any) -> frozenset[type]:
    """Return the abilities of the connector of a suite, a class: they are the same for every rule."""

    async def found() -> frozenset[type]:
        with local_only() as seen:
            async with rigged(suite(), seen) as rig:
                return abilities_of(rig.connector)

    return asyncio.run(found())


async def _checked(suite: ConnectorConformance, rule: Rule, *, records: bool) -> None:
    with local_only() as seen:
        async with asyncio.timeout(_RULE_S), rigged(suite, seen, records=records) as rig:
            for need in rule.needs:
                if why_not := need(rig):
                    raise NotApplicable(why_not)
            await rule.check(rig)
