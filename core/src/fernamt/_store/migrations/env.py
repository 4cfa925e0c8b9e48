"""What Alembic runs: the connection is handed over by ``fernamt._store.engine.migrate``."""

from alembic import context

from fernamt._store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    version_table="fernamt_version",
)
with context.begin_transaction():
    context.run_migrations()
