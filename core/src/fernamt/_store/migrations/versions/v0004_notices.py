"""Notices: what was asked for, and what became of each row."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notice_run",
        sa.Column("id", _ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("channel", _ID, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("given", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", name="uq_notice_run_hash"),
    )
    op.create_table(
        "notice",
        sa.Column("run", _ID, autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delivery", _ID, nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("of_run", _ID, nullable=True),
        sa.Column("of_n", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("run", "n"),
        sqlite_with_rowid=False,
    )
    op.drop_index("ix_conversation_last_entry", "conversation")
    for name, held in (("ix_conversation_last_entry", "state <> 'told'"), ("ix_conversation_told", "state = 'told'")):
        only = sa.text(held)
        op.create_index(name, "conversation", ["last_entry"], sqlite_where=only, postgresql_where=only)
    keyed = sa.text("hash IS NOT NULL")
    op.create_index("uq_notice_hash", "notice", ["hash"], unique=True, sqlite_where=keyed, postgresql_where=keyed)


def downgrade() -> None:
    raise RuntimeError("there is no way back: what later versions wrote would be lost; restore the backup instead")
