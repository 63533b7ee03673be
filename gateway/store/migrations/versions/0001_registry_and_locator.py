"""Registry, enrolment and locator. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(), nullable=False, unique=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("certificate_thumbprint", sa.String()),
        sa.Column("contract_version", sa.String(), nullable=False),
        sa.Column("sdl_sha256", sa.String(), nullable=False),
        sa.Column("enrolled_at", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.String()),
    )
    op.create_table(
        "facility",
        sa.Column("pk", sa.Integer(), primary_key=True),
        sa.Column("code", sa.String(), nullable=False, unique=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("registered_at", sa.String(), nullable=False),
        sa.Column("node", sa.Integer(), sa.ForeignKey("node.pk")),
        sa.Column("feeds", sa.String(), nullable=False),
    )
    op.create_table(
        "invitation",
        sa.Column("code_sha256", sa.LargeBinary(), primary_key=True),
        sa.Column("facilities", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.Column("used_at", sa.String()),
    )
    op.create_table(
        "node_position",
        sa.Column("node", sa.Integer(), sa.ForeignKey("node.pk"), primary_key=True),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "facility_health",
        sa.Column("facility", sa.Integer(), sa.ForeignKey("facility.pk"), primary_key=True),
        sa.Column("synced_at", sa.String()),
        sa.Column("lagging", sa.Boolean(), nullable=False),
        sa.Column("as_of", sa.String()),
        sa.Column("feeds", sa.String(), nullable=False),
    )
    op.create_table(
        "locator",
        sa.Column("token", sa.LargeBinary(), primary_key=True),
        sa.Column("facility", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("ref", sa.String(), primary_key=True),
        sa.Column("node", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("day", sa.LargeBinary()),
        sa.Column("year", sa.LargeBinary()),
        sa.Column("sex", sa.LargeBinary()),
        sa.Column("cccd_agrees", sa.Boolean()),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("locator_by_ref", "locator", ["node", "ref"])
