"""The schema, for both engines. Words and identifiers of people stand in ``content``, ``raw`` and ``address``, apart from the log.

Where else a person's words may turn up, an erasure has to look, too: the reasons that providers give (``delivery``, ``attempt``,
``fact``, ``quarantine``), ``early_receipt.address``, and the places of ``thread``.

Times are integers, microseconds since 1970 in UTC. There are no foreign keys: one module writes each table, and every index
in random order costs a page a message, so there is none that no statement needs.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, false

from fernamt._store.tables.base import Id as _Id
from fernamt._store.tables.base import Time as _Time
from fernamt._store.tables.base import metadata
from fernamt._store.tables.base import only as _only
from fernamt._store.tables.base import row_id as _id
from fernamt._store.tables.blobs import blob_chunk, blob_ref
from fernamt._store.tables.notices import notice, notice_run

__all__ = ("blob_chunk", "blob_ref", "metadata", "notice", "notice_run")

# Salt of keys, signing secret.
meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

channel = Table(
    "channel",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True, doc="the id of its section: it never changes"),
    Column("kind", Text, nullable=False),
    Column("label", Text, nullable=False, doc="for people"),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", _Time, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("channel", _Id, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

customer = Table(
    "customer",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("since", _Time, nullable=False),
    Column("linked", Boolean, nullable=False, server_default=false(), doc="``link`` has a word about it"),
)

address = Table(
    "address",
    metadata,
    _id(),
    Column("handle", Text, nullable=False, unique=True, doc="scheme:value"),
    Column("customer", _Id, nullable=False),
    Column("evidence", Text, nullable=False, doc="who says that it is theirs"),
    Column("since", _Time, nullable=False),
    Index("ix_address_customer", "customer"),
)

# What people said about messages: the latest word of an address, a channel and a scope counts, and those before it prove it.
consent = Table(
    "consent",
    metadata,
    _id(),
    Column("address", _Id, nullable=False),
    Column("channel", _Id, nullable=False),
    Column("scope", Text, nullable=False, doc="empty: everything"),
    Column("allowed", Boolean, nullable=False),
    Column("author", Text, nullable=False, doc="who recorded it: customer, provider, agent:..."),
    Column("evidence", Text, nullable=False, doc="the word, the wording that was agreed to, where it stands"),
    Column("at", _Time, nullable=False),
    Index("ix_consent_address", "address", "channel", "scope", "id"),
)

conversation = Table(
    "conversation",
    metadata,
    _id(),
    Column("customer", _Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("last_n", Integer, nullable=False),
    Column("last_entry", _Id, nullable=False, doc="orders the inbox"),
    Column("changed_at", _Time, nullable=False),
    Column("linked", Boolean, nullable=False, server_default=false(), doc="``link`` has a word about it"),
    # Each is in one of the two: a million notices must not lie between those who look at the inbox and their work.
    Index(
        "ix_conversation_last_entry",
        "last_entry",
        **_only("state <> 'told'"),
    ),
    Index(
        "ix_conversation_told",
        "last_entry",
        **_only("state = 'told'"),
    ),
    Index("ix_conversation_customer", "customer"),
)

# Which conversation the next message of this sender at this place joins.
thread = Table(
    "thread",
    metadata,
    Column("address", _Id, primary_key=True, autoincrement=False),
    Column("channel", _Id, primary_key=True, autoincrement=False),
    Column("place", Text, primary_key=True),
    Column("conversation", _Id, nullable=False),
    sqlite_with_rowid=False,
)

# People beside the customer.
participant = Table(
    "participant",
    metadata,
    Column("conversation", _Id, primary_key=True, autoincrement=False),
    Column("address", _Id, primary_key=True, autoincrement=False),
    Index("ix_participant_address", "address"),
    sqlite_with_rowid=False,
)

entry = Table(
    "entry",
    metadata,
    _id(),
    Column("conversation", _Id, nullable=False),
    Column("n", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("author", _Id, doc="an address; null: see content.author"),
    Column("channel", _Id),
    Index("uq_entry_conversation_n", "conversation", "n", unique=True),
)

content = Table(
    "content",
    metadata,
    Column("entry", _Id, primary_key=True, autoincrement=False),
    Column("author", Text, doc="agent:..., plugin:..."),
    Column("text", Text, nullable=False),
    Column("html", Text, doc="cleaned"),
    Column("data", Text, doc="JSON"),
    Column("attachments", Text, doc="JSON"),
    Column("provider_id", Text),
    Column("key", Text, doc="the event's key"),
    Column("raw", _Id),
)

raw = Table(
    "raw",
    metadata,
    _id(),
    Column("body", LargeBinary, doc="up to 64 KB; else null and a digest"),
    Column("digest", Text),
)

# Pieces of messages: at a place they wait for the others; with an entry they only name what that was read from.
piece = Table(
    "piece",
    metadata,
    _id(),
    Column("place", Text, nullable=False, index=True, doc="channel, address and group"),
    Column("address", _Id, nullable=False, index=True, doc="of the sender"),
    Column("at", _Time, nullable=False),
    Column("digest", LargeBinary, nullable=False, doc="known.hash of its key"),
    Column("raw", _Id),
    Column("entry", _Id, index=True),
    Column("event", Text, nullable=False, doc="JSON"),
)

known = Table(
    "known",
    metadata,
    Column("hash", LargeBinary, primary_key=True, doc="of channel and event key, or of channel and provider id"),
    Column("conversation", _Id, doc="null: it made no entry, or a receipt came before its message"),
    Column("n", Integer),
    Column("at", _Time, nullable=False),
    sqlite_with_rowid=False,
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("entry", _Id, nullable=False, index=True),
    Column("conversation", _Id, nullable=False),
    Column("channel", _Id, nullable=False),
    Column("address", _Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", _Time, nullable=False),
    Column("first_at", _Time, doc="of the first attempt: a retry holds its lane for hold_s from here"),
    Column("next_at", _Time, nullable=False),
    Column("changed_at", _Time, nullable=False),
    Column("ids", Text, nullable=False, doc="the provider's, JSON"),
    Column("reason", Text, nullable=False, doc="why it is where it is"),
    Column("code", Text, nullable=False),
    Column("purpose", Text, nullable=False, server_default="reply", doc="reply, notice, outreach: each has its lanes"),
    Column("parts", Integer, nullable=False, server_default="0", doc="of a split message, so many are through"),
    Column("parts_ids", Integer, nullable=False, server_default="0", doc="so many of the ids are theirs"),
    Column("parts_total", Integer, nullable=False, server_default="1"),
    Index("ix_delivery_open", "channel", "purpose", "id", "next_at", **_only("state IN ('queued', 'sending')")),
    # What waits for a time may hold its lane; most deliveries never do, and are never in it.
    Index("ix_delivery_postponed", "channel", "conversation", **_only("state = 'queued' AND next_at > queued_at")),
    Index("ix_delivery_uncertain", "id", **_only("state = 'uncertain'")),
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery", _Id, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("fence", Integer, nullable=False, doc="of the sender's holder"),
    Column("started_at", _Time, nullable=False),
    Column("ended_at", _Time, doc="null: no result yet"),
    Column("outcome", Text, nullable=False, doc="sent, the error's class, or empty"),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What became known of a delivery beside its own attempts.
fact = Table(
    "fact",
    metadata,
    _id(),
    Column("delivery", _Id, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("source", Text, nullable=False, doc="receipt, late result, a person"),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False),
)

# Receipts that came before the id that they name: those of another program that has the same account never meet it.
early_receipt = Table(
    "early_receipt",
    metadata,
    _id(),
    Column("hash", LargeBinary, nullable=False, index=True, doc="known.hash of the id, which means no entry yet"),
    Column("address", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("opted_out", Boolean, nullable=False),
)

due = Table(
    "due",
    metadata,
    Column("key", Text, primary_key=True, doc="sender:<channel>, run:<channel> ..."),
    Column("owner", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("until", _Time, nullable=False, doc="of the claim"),
)

# Durable work of plugins and channels: a row is done when it is gone, parked when it has no time.
task = Table(
    "task",
    metadata,
    _id(),
    Column("owner", Text, nullable=False, doc="the claim under which it runs: work:<plugin>, channel:<id>"),
    Column("kind", Text, nullable=False, doc="tell, timer, job, fetch, media, read, duty ..."),
    Column("key", Text, nullable=False, unique=True),
    Column("conversation", _Id),
    Column("n", Integer, doc="the entry that it is about"),
    Column("data", Text, nullable=False, doc="JSON"),
    Column("due_at", _Time, doc="null: parked, a person decides"),
    Column("tries", Integer, nullable=False),
    Column("reason", Text, nullable=False, doc="of the last failure"),
    Column("since", _Time, nullable=False),
    Index("ix_task_owner_due_at", "owner", "due_at"),
)

# Who is told of which kind of entry.
subscription = Table(
    "subscription",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subscriber", Text, primary_key=True, doc="<plugin>.<name>"),
    sqlite_with_rowid=False,
)

# How far a subscriber was told in a conversation, and what it remembers of it.
position = Table(
    "position",
    metadata,
    Column("subscriber", Text, primary_key=True),
    Column("conversation", _Id, primary_key=True, autoincrement=False),
    Column("n", Integer, nullable=False),
    Column("memory", Text, nullable=False, doc="JSON"),
    sqlite_with_rowid=False,
)

# A live exchange; moved on by comparing its version.
session = Table(
    "session",
    metadata,
    _id(),
    Column("channel", _Id, nullable=False),
    Column("call", Text, nullable=False, doc="the provider's id of it"),
    Column("address", _Id, nullable=False),
    Column("conversation", _Id, nullable=False),
    Column("language", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("turn", Integer, nullable=False, doc="the last one"),
    Column("menu", Text, nullable=False),
    Column("digest", Text, nullable=False, doc="of the menu's content"),
    Column("state", Text, nullable=False, doc="JSON"),
    Column("at", _Time, nullable=False),
    Column("ended_at", _Time),
    Index("uq_session_channel_call", "channel", "call", unique=True),
)

# What was committed to happen in each turn, so that a repeat renders the same.
turn = Table(
    "turn",
    metadata,
    Column("session", _Id, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("actions", Text, nullable=False, doc="JSON"),
    sqlite_with_rowid=False,
)

# Merges and splits: pointers, taken back by undoing them. Entries never move.
link = Table(
    "link",
    metadata,
    _id(),
    Column("kind", Text, nullable=False, doc="customer, conversation, split"),
    Column("source", _Id, nullable=False, index=True),
    Column("target", _Id, nullable=False, index=True),
    Column("n", Integer, doc="split: the target's first entry; conversation: the target's entry of the merge"),
    Column("last_n", Integer, doc="split: the last one that does"),
    Column("author", Text, nullable=False),
    Column("at", _Time, nullable=False),
    Column("undone_at", _Time),
)

# Whom we were told to forget: keyed hashes of addresses, applied again after a restore.
erased = Table(
    "erased",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("at", _Time, nullable=False),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    Column("channel", _Id, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", _Id),
    Column("at", _Time, nullable=False),
    Column("settled_at", _Time),
)
