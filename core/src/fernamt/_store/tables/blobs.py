"""Big content, and who needs it."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from fernamt._store.tables.base import Time, metadata

# Blobs where there is no shared folder: PostgreSQL.
blob_chunk = Table(
    "blob_chunk",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("stored_at", Time, nullable=False),
)

blob_ref = Table(
    "blob_ref",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("owner", Text, primary_key=True, doc="entry:<id>, raw:<id>"),
    sqlite_with_rowid=False,
)
