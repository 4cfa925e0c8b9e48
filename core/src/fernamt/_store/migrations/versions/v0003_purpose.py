"""Why a message goes out: more than whether it is one of many. Nothing that wrote ``bulk`` was ever released."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


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


def downgrade() -> None:
    raise RuntimeError("there is no way back: what later versions wrote would be lost; restore the backup instead")
