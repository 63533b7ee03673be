"""Grants and how often each patient's changed. Never edited once released: a change is a new revision."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patient_grant",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("patient_token", sa.LargeBinary(), nullable=False),
        sa.Column("grantee_facility", sa.String()),
        sa.Column("grantee_licence", sa.String()),
        sa.Column("kinds", sa.String()),
        sa.Column("period_from", sa.String()),
        sa.Column("period_to", sa.String()),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("expires_at", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.String()),
        sa.Column("vouched_by", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("patient_grant_by_patient", "patient_grant", ["patient_token"])
    op.create_table(
        "patient_grant_version",
        sa.Column("patient_token", sa.LargeBinary(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
    )
