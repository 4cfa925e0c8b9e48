"""What Alembic runs: the connection is handed over by whoever migrates; a plugin's scripts have a version table of their own."""

from alembic import context

from fernamt._store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    version_table=context.config.attributes.get("version_table", "fernamt_version"),
)
with context.begin_transaction():
    context.run_migrations()
