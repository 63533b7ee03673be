"""What Alembic runs: revisions on the connection that migrate.py hands over. No settings here."""

from alembic import context

from gateway.store.tables import METADATA

_connection = context.config.attributes["connection"]
context.configure(
    connection=_connection,
    target_metadata=METADATA,
    version_table="alembic_gateway",
    render_as_batch=_connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
