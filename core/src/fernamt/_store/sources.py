"""What is still at a provider, in the store: pages of its history and media of messages, as tasks of their channel."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import orjson
from attrs import frozen

from fernamt._store.statements import Statements
from fernamt._store.tasks import Errand, Task, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import Blob

ONE_BY_ONE = 0
"""Stands as the conversation of what is fetched: a channel's pages come one after the other."""
RESULT = "fernamt.backfill"
"""The cursor of a channel that says what came of its last backfill."""


@frozen(kw_only=True)
class Progress:
    """How far the reading of a history has come."""

    begin: str
    """The cursor that it began at, ``""``: the beginning."""
    cursor: str
    """Of the next page."""
    pages: int = 0
    events: int = 0
    new: int = 0
    """Entries that were not known before."""


def progress_of(task: Task) -> Progress:
    """Return how far a task of kind ``fetch`` or ``backfill`` has come."""
    return Progress(**task.data)


def _data(progress: Progress) -> dict[str, str | int]:
    names = ("begin", "cursor", "pages", "events", "new")
    return {name: getattr(progress, name) for name in names}


def fetch_errand(channel: str, cursor: str, now_us: int) -> Errand:
    """Return the task that fetches what a provider gave notice of: the statement ``fetch task`` plans it."""
    digest = blake2b(cursor.encode(), digest_size=12).hexdigest()
    return Errand(
        owner=f"channel:{channel}",
        kind="fetch",
        key=f"fetch:{channel}:{digest}",
        conversation=ONE_BY_ONE,
        data=_data(Progress(begin=cursor, cursor=cursor)),
        due_us=now_us,
    )


def media_key(entry: int, at: int) -> str:
    """Return the key of the task that brings the attachment number *at* of an entry."""
    return f"media:{entry}:{at}"


def media_errand(channel: str, entry: int, at: int, conversation: int, n: int, now_us: int) -> Errand:
    """Return the task that brings the attachment number *at* of an entry."""
    return Errand(
        owner=f"channel:{channel}",
        kind="media",
        key=media_key(entry, at),
        conversation=conversation,
        n=n,
        data={"entry": entry, "at": at},
        due_us=now_us,
    )


@frozen(kw_only=True)
class Backfill:
    """A person's wish to read a channel's history from *begin* on; ``None``: go on where another one is."""

    channel: str
    begin: str | None = None


def start_backfill(tx: Transaction, payloads: Sequence[Backfill]) -> list[str | FernamtError]:
    """Plan it and return where it begins. One that is under way or parked goes on where it is; another beginning is refused."""
    return [_started(tx, one) for one in payloads]


def _started(tx: Transaction, one: Backfill) -> str | FernamtError:
    key = f"backfill:{one.channel}"
    rows = tx.do.rows("SELECT data FROM task WHERE key = ?", (key,))
    begin: str = orjson.loads(rows[0][0])["begin"] if rows else one.begin or ""
    if rows and one.begin not in {None, begin}:
        return FernamtError(
            f"A backfill of {one.channel} from {begin or 'the beginning'!r} is under way. Run this without --from to see it"
            " through, or end it with fernamt work --drop."
        )
    data = _data(Progress(begin=begin, cursor=begin))
    owner = f"channel:{one.channel}"
    plan_tasks(
        tx, [Errand(owner=owner, kind="backfill", key=key, conversation=ONE_BY_ONE, data=data, due_us=tx.now_us)]
    )
    if rows:
        tx.do.one("UPDATE task SET tries = 0, due_at = ? WHERE key = ?", (tx.now_us, key))
    return begin


def turn_page(tx: Transaction, task: Task, progress: Progress) -> None:
    """Keep how far a task has come, due again at once; not if it was planned again meanwhile: then it begins anew."""
    number = tx.do.next_id("task")
    tx.do.topics.add(task.owner)
    tx.do.one(
        "UPDATE task SET id = ?, data = ?, due_at = ?, tries = 0, reason = '' WHERE id = ? AND key = ?",
        (number, orjson.dumps(_data(progress)).decode(), tx.now_us, task.id, task.key),
    )


def note_result(tx: Transaction, channel: int, progress: Progress) -> None:
    """Keep what came of a backfill."""
    said = orjson.dumps(_data(progress) | {"at_us": tx.now_us}).decode()
    tx.do.many("put cursor", [(channel, RESULT, said)])


def remote_ref(do: Statements, entry: int, at: int) -> str:
    """Return what an attachment is called at the provider; empty: there is nothing to fetch any more."""
    rows = do.rows("SELECT attachments FROM content WHERE entry = ?", (entry,))
    files = orjson.loads(rows[0][0]) if rows and rows[0][0] else []
    ref: str = files[at].get("ref", "") if at < len(files) else ""
    return ref


def keep_media(tx: Transaction, task: Task, ref: str, blob: Blob) -> None:
    """Put the content in the place of its reference, unless the message was erased or changed meanwhile."""
    entry, at = task.data["entry"], task.data["at"]
    if task.conversation is not None:
        tx.do.conversations([task.conversation])
    if remote_ref(tx.do, entry, at) != ref:
        return
    [[text]] = tx.do.rows("SELECT attachments FROM content WHERE entry = ?", (entry,))
    files = orjson.loads(text)
    del files[at]["ref"]
    files[at] |= {"digest": blob.digest, "size": blob.size}
    tx.do.one("UPDATE content SET attachments = ? WHERE entry = ?", (orjson.dumps(files).decode(), entry))
    tx.do.many("insert blob_ref", [(blob.digest, f"entry:{entry}")])
