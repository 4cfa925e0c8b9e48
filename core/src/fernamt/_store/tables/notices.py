"""Notices: what one call asked for, and what became of each row of it."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text

from fernamt._store.tables.base import Id, Time, metadata, only, row_id

# What one call asked for: so many notices from one template.
notice_run = Table(
    "notice_run",
    metadata,
    row_id(),
    Column("hash", LargeBinary, nullable=False, unique=True, doc="of the caller's key"),
    Column("key", Text, nullable=False, doc="as it was given, for people"),
    Column("template", Text, nullable=False),
    Column("channel", Id, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("author", Text, nullable=False, doc="agent:..., api:..."),
    Column("digest", LargeBinary, nullable=False, doc="of all its rows"),
    Column("total", Integer, nullable=False),
    Column("given", Integer, nullable=False, doc="so many of its rows are written"),
    Column("at", Time, nullable=False),
    Column("cancelled_at", Time),
)

notice = Table(
    "notice",
    metadata,
    Column("run", Id, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("delivery", Id, doc="null: none was made; of a repeat, the first one's"),
    Column("hash", LargeBinary, doc="of the row's own key, where it has one and is the first with it"),
    Column("digest", LargeBinary, doc="of what such a row said"),
    Column("of_run", Id, doc="of a repeat: where the first one is"),
    Column("of_n", Integer),
    Index(
        "uq_notice_hash",
        "hash",
        unique=True,
        **only("hash IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
