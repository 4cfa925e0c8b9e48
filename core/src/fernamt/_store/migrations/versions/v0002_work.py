"""Work, sessions, links, and what splits and orders deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_index("ix_conversation_customer", "conversation", ["customer"], unique=False)
    op.create_index("ix_participant_address", "participant", ["address"], unique=False)
    op.create_table(
        "erased",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "link",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", _ID, nullable=False),
        sa.Column("target", _ID, nullable=False),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.Column("last_n", sa.Integer(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_link_source", "link", ["source"], unique=False)
    op.create_index("ix_link_target", "link", ["target"], unique=False)
    op.create_table(
        "position",
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("conversation", _ID, autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "conversation"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "session",
        sa.Column("id", _ID, nullable=False),
        sa.Column("channel", _ID, nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("address", _ID, nullable=False),
        sa.Column("conversation", _ID, nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("menu", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_session_channel_call", "session", ["channel", "call"], unique=True)
    op.create_table(
        "subscription",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subscriber"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("conversation", _ID, nullable=True),
        sa.Column("n", sa.Integer(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="uq_task_key"),
    )
    op.create_index("ix_task_owner_due_at", "task", ["owner", "due_at"], unique=False)
    op.create_table(
        "turn",
        sa.Column("session", _ID, autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session", "n"),
        sqlite_with_rowid=False,
    )
    for table in ("customer", "conversation"):
        op.add_column(table, sa.Column("linked", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("delivery", sa.Column("bulk", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("delivery", sa.Column("parts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("delivery", sa.Column("parts_ids", sa.Integer(), server_default="0", nullable=False))
    op.add_column("delivery", sa.Column("parts_total", sa.Integer(), server_default="1", nullable=False))
    open_only = sa.text("state IN ('queued', 'sending')")
    op.drop_index("ix_delivery_open", "delivery")
    op.create_index(
        "ix_delivery_open",
        "delivery",
        ["channel", "bulk", "id", "next_at"],
        unique=False,
        sqlite_where=open_only,
        postgresql_where=open_only,
    )
    postponed_only = sa.text("state = 'queued' AND next_at > queued_at")
    op.create_index(
        "ix_delivery_postponed",
        "delivery",
        ["channel", "conversation"],
        unique=False,
        sqlite_where=postponed_only,
        postgresql_where=postponed_only,
    )


def downgrade() -> None:
    raise RuntimeError("there is no way back: what later versions wrote would be lost; restore the backup instead")
