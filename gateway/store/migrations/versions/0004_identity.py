"""Links by shared numbers, unlinking, and two key versions. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    # Empty until a node has told its patients again; key_version 0 makes the gateway ask each for that.
    op.add_column("locator", sa.Column("also", sa.LargeBinary()))
    op.add_column("node_position", sa.Column("key_version", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "identity_split",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("root", sa.Integer()),
        sa.Column("rejoins", sa.Integer()),
        sa.Column("facility_a", sa.Integer(), nullable=False),
        sa.Column("ref_a", TEXT, nullable=False),
        sa.Column("facility_b", sa.Integer()),
        sa.Column("ref_b", TEXT),
        sa.Column("token", sa.LargeBinary()),
        sa.Column("at", TEXT, nullable=False),
    )
    op.create_index("identity_split_by_token", "identity_split", ["token"])
    op.create_table(
        "city_key",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("made_at", TEXT, nullable=False),
        sa.Column("retired_at", TEXT),
    )
