"""What every table of the schema is made of."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, text

metadata: Final = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)
Id = BigInteger().with_variant(Integer, "sqlite")
Time = BigInteger


def row_id() -> Column[int]:
    """Return the column of a row's number."""
    return Column("id", Id, primary_key=True)


def only(which: str) -> dict[str, Any]:
    """Return what makes an index one of those rows alone, on both engines."""
    return {"sqlite_where": text(which), "postgresql_where": text(which)}
