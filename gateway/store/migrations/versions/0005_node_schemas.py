"""The printed schemas of nodes that speak another contract. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "node_schema",
        sa.Column("digest", TEXT, primary_key=True),
        sa.Column("sdl", TEXT, nullable=False),
    )
