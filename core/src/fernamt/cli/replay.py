"""`fernamt replay`: a recording once more, signed anew: to a daemon that runs, or to one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from attrs import frozen
from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, UNREACHABLE, USAGE, Failure

if TYPE_CHECKING:
    from fernamt._runtime.plan import PlannedChannel
    from fernamt._store.engine import Store
    from fernamt.cli.dev.place import Place
    from fernamt.connector import Connector
    from fernamt.inbound import Request
    from fernamt.testing import Recording


@frozen(kw_only=True)
class Played:
    """One request that was made."""

    tampered: bool
    status: int
    """Of the answer; 0: there was none."""
    made: tuple[str, ...]
    """What it made in the store, of each event: ``entry 2 of conversation 1``, ``no entry``, or ``nothing new``."""
    ok: bool
    """It is as it should be: taken, a repeat made nothing new, what was tampered with was refused."""


def replay(
    file: Path,
    /,
    *,
    times: Annotated[int, Parameter(show_default=True)] = 1,
    tamper: bool = False,
    channel: str = "",
    alone: Annotated[Path | None, Parameter(name="--alone", show_default=False)] = None,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Play a recording to a daemon, signed anew.

    To the daemon that the configuration describes; where there is no configuration, or with --alone, to one that is started for
    it, with a temporary store and the plugin of this folder. Played twice it must make one entry, tampered with it must be refused.

    Example: fernamt replay tests/recordings/0001-text.json --times 2 --tamper

    Args:
        file: The recording: fernamt dev saves them.
        times: How often it is sent.
        tamper: Before that send it once with a character changed.
        channel: The id of the channel, if several could take it.
        alone: Instead of the daemon of the configuration: the folder of a plugin, or a plugin of one file.
        json: Print a JSON object with the keys channel, ok and played (tampered, status, made, ok).
        common: What every command takes.
    """
    import asyncio

    from fernamt.cli.dev.place import Place
    from fernamt.cli.screen import show, show_json
    from fernamt.testing import Recording

    if times < 1:
        raise Failure("Say how often, with a number from 1 on: --times 2", USAGE)
    if not file.is_file():
        raise Failure(
            f"There is no file {file}. A plugin's recordings are in tests/recordings; fernamt dev saves them."
        )
    try:
        recording = Recording.load(file)
    except ValueError as why:
        raise Failure(f"{why}. It must have request and expect: see a recording that fernamt dev saved.") from None
    folder = alone or (None if common.config != COMMON.config or common.config.exists() else Path())
    if folder is not None:
        where, played = asyncio.run(_alone(Place(folder.resolve()), recording, times, tamper=tamper))
    else:
        where, played = asyncio.run(_running(common.config, recording, channel, times, tamper=tamper))
    ok = all(one.ok for one in played)
    if json:
        show_json({"channel": where, "ok": ok, "played": played})
    else:
        show(*(_line(number, one) for number, one in enumerate(played, 1)))
    if not any(one.status for one in played):
        raise Failure("Nobody answered. Does the daemon run? fernamt channels says so.", UNREACHABLE)
    return DONE if ok else FAILED


def _line(number: int, one: Played) -> Any:
    from rich.text import Text

    what = "tampered" if one.tampered else "sent"
    ended = f"HTTP {one.status}" if one.status else "no answer"
    text = f"{'; '.join(one.made) or 'it made nothing'}"
    if one.tampered:
        text = (
            "refused, as it should be" if one.ok else "it was TAKEN: the connector's verify does not look at this part"
        )
    elif not one.ok:
        text += ": not as it should be"
    return Text.assemble(f"{number}  {what:<9}", (f"{ended:<10}", "green" if one.ok else "bold red"), text)


async def _alone(place: Place, recording: Recording, times: int, *, tamper: bool) -> tuple[str, list[Played]]:
    """Play it to a daemon of its own."""
    import tempfile

    from fernamt.cli.dev.bench import Bench
    from fernamt.cli.dev.workpiece import opened

    with tempfile.TemporaryDirectory(prefix="fernamt-replay-") as kept:
        bench = Bench(opened(place, Path(kept) / "metadata"), Path(kept), lambda _said: None, level="error")
        async with bench.running():
            assert bench.store is not None
            player = _Player(bench.store, "dev", bench.app.connector if bench.app else None)
            return "dev", await player.play(recording, bench.request, "", times, tamper=tamper)


async def _running(
    path: Path, recording: Recording, channel: str, times: int, *, tamper: bool
) -> tuple[str, list[Played]]:
    """Play it to the daemon that runs."""
    from datetime import UTC, datetime

    from fernamt._runtime.plan import plan
    from fernamt.cli.access import opened
    from fernamt.cli.dev.bench import hook_of
    from fernamt.cli.options import Common
    from fernamt.settings import read_settings
    from fernamt.testing import FakeContext

    settings = read_settings(path)
    planned, connector = _channel(plan(settings).channels, recording, channel, FakeContext())
    hook = hook_of(connector, recording)
    masked = [name for name, value in recording.headers.items() if value == "masked"]
    if hook.sign is None and masked:
        raise Failure(
            f"The recording's {', '.join(masked)} is masked, and the webhook {hook.path!r} does not say how its provider signs. "
            "Its author can: Webhook(..., sign=...)."
        )
    told = planned.channel
    assert told is not None

    def request() -> Request:
        made = recording.request(told.url, hook.path.strip("/"), at=datetime.now(UTC))
        return hook.sign(made) if hook.sign is not None else made

    host, port = settings.address
    local = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - where it listens, not we
    with opened(Common(config=path)) as store:
        player = _Player(store, told.id, connector)
        played = await player.play(
            recording, lambda _recording: request(), f"{settings.public_url} {local}", times, tamper=tamper
        )
    return told.id, played


def _channel(
    channels: Sequence[PlannedChannel], recording: Recording, wanted: str, context: Any
) -> tuple[PlannedChannel, Connector]:
    """Return the channel that the recording is for, and its connector, which is not run. Raises ``Failure``."""
    from fernamt.cli.dev.bench import hook_of

    found, why_not = [], []
    for one in channels:
        if wanted not in ("", one.section.id):
            continue
        if one.factory is None or one.channel is None:
            why_not.append(f"{one.section.id}: {one.failure}")
            continue
        connector = one.factory(one.channel, context)
        try:
            hook_of(connector, recording)
        except Failure as why:
            why_not.append(f"{one.section.id}: {why}")
            continue
        found.append((one, connector))
    if len(found) == 1:
        return found[0]
    if found:
        raise Failure(
            f"Several channels could take it: {', '.join(one.section.id for one, _ in found)}. Choose: --channel ID",
            USAGE,
        )
    known = ", ".join(one.section.id for one in channels) or "none"
    raise Failure("\n".join(why_not) or f"There is no channel {wanted}. There are: {known}.")


class _Player:
    def __init__(self, store: Store, channel: str, connector: Any) -> None:
        self._store = store
        self._channel = channel
        self._connector = connector

    async def play(self, recording: Recording, request: Any, instead: str, times: int, *, tamper: bool) -> list[Played]:
        """Send it; *instead* is the public address and the one to use in its place, with a blank between."""
        from fernamt.cli.dev.bench import called

        def local(url: str) -> str:
            public, _, here = instead.partition(" ")
            return f"{here}{url.removeprefix(public)}" if here else url

        played = []
        if tamper:
            wrong = _tampered(request(recording))
            status = await called(wrong, local(wrong.url))
            played.append(Played(tampered=True, status=status, made=(), ok=400 <= status < 500))
        for _ in range(times):
            right = request(recording)
            before = self._known(right, recording)
            status = await called(right, local(right.url))
            after = self._known(right, recording)
            made = tuple(
                now if was is None else "nothing new" for was, now in zip(before, after, strict=True) if now is not None
            )
            played.append(
                Played(tampered=False, status=status, made=made, ok=200 <= status < 300 and None not in after)
            )
        return played

    def _known(self, request: Request, recording: Recording) -> list[str | None]:
        """Return, of each event with a key, what the store made of it; ``None``: it does not know it."""
        import sqlalchemy as sa

        from fernamt._store.reception import Line, key_hash
        from fernamt._store.tables import channel, known
        from fernamt.cli.dev.bench import hook_of
        from fernamt.inbound import Handshake

        events = hook_of(self._connector, recording).parse(request)
        found_keys = [] if isinstance(events, Handshake) else [str(getattr(one, "key", "")) for one in events]
        keys = [key for key in found_keys if key]
        with self._store.read() as connection:
            number = connection.scalar(sa.select(channel.c.id).where(channel.c.name == self._channel)) or 0
            line = Line(number=number, id=self._channel)
            found = []
            for key in keys:
                row = connection.execute(sa.select(known).where(known.c.hash == key_hash(line, key))).first()
                entry = row and row.n and f"entry {row.n} of conversation {row.conversation}"
                found.append(None if row is None else entry or "no entry")
        return found


def _tampered(request: Request) -> Request:
    """Return the request with one character of its body changed, or of its first parameter."""
    from attrs import evolve

    if request.body:
        at = len(request.body) // 2
        changed = b"b" if request.body[at : at + 1] == b"a" else b"a"
        return evolve(request, body=request.body[:at] + changed + request.body[at + 1 :])
    return evolve(
        request, query={**request.query, "tampered": "1"}, url=f"{request.url}{'&' if request.query else '?'}tampered=1"
    )
