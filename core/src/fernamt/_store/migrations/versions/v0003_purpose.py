"""Why a message goes out, what people said about that, and pieces of what comes in. Nothing that wrote ``bulk`` was ever released."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("delivery", sa.Column("purpose", sa.Text(), server_default="reply", nullable=False))
    op.execute(sa.text("UPDATE delivery SET purpose = 'outreach' WHERE bulk"))
    open_only = sa.text("state IN ('queued', 'sending')")
    op.drop_index("ix_delivery_open", "delivery")
    op.drop_column("delivery", "bulk")
    op.create_index(
        "ix_delivery_open",
        "delivery",
        ["channel", "purpose", "id", "next_at"],
        unique=False,
        sqlite_where=open_only,
        postgresql_where=open_only,
    )
    _append_consents()
    _keep_pieces()


def _append_consents() -> None:
    """What was said before is no longer overwritten."""
    op.execute(sa.text("CREATE TABLE consent_before AS SELECT * FROM consent"))
    op.drop_table("consent")
    op.create_table(
        "consent",
        sa.Column("id", _ID, nullable=False),
        sa.Column("address", _ID, nullable=False),
        sa.Column("channel", _ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_consent_address", "consent", ["address", "channel", "scope", "id"], unique=False)
    op.execute(
        sa.text(
            "INSERT INTO consent (address, channel, scope, allowed, author, evidence, at)"
            " SELECT address, channel, scope, allowed, 'provider', evidence, at FROM consent_before ORDER BY at"
        )
    )
    op.drop_table("consent_before")


def _keep_pieces() -> None:
    op.create_table(
        "piece",
        sa.Column("id", _ID, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("address", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("raw", _ID, nullable=True),
        sa.Column("entry", _ID, nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("place", "address", "entry"):
        op.create_index(f"ix_piece_{column}", "piece", [column], unique=False)


def downgrade() -> None:
    raise RuntimeError("there is no way back: what later versions wrote would be lost; restore the backup instead")
