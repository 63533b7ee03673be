"""PostgreSQL compares the inbox's text byte by byte, whatever locale its database was made with; SQLite always did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "inbox_0002"
down_revision = "inbox_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: there is no way back but a backup."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("inbox", "inbox_error"):
        columns = [c["name"] for c in sa.inspect(op.get_bind()).get_columns(table) if isinstance(c["type"], sa.String)]
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE varchar COLLATE "C"' for name in columns)
        op.execute(f'ALTER TABLE "{table}" {changes}')
