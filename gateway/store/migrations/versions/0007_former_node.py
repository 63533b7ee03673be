"""Who had a facility before. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("facility", sa.Column("former_node", sa.Integer()))
