"""Roles of nodes, and the facilities a warehouse speaks for. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("node", "invitation"):
        op.add_column(table, sa.Column("role", TEXT, nullable=False, server_default="SOURCE"))
    op.create_table(
        "warehouse_facility",
        sa.Column("node", sa.Integer(), sa.ForeignKey("node.pk"), primary_key=True),
        sa.Column("facility", sa.Integer(), sa.ForeignKey("facility.pk"), primary_key=True),
        sa.Column("declared", TEXT, nullable=False),
        sa.Column("synced_at", TEXT),
        sa.Column("lagging", sa.Boolean(), nullable=False),
        sa.Column("as_of", TEXT),
        sa.Column("feeds", TEXT, nullable=False),
    )
