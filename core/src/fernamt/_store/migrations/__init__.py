"""Alembic's folder of the core: expand, migrate, contract; version n and n-1 run together."""
