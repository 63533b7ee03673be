"""PostgreSQL compares the store's text byte by byte, whatever locale its database was made with; SQLite always did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "store_0002"
down_revision = "store_0001"
branch_labels = None
depends_on = None

_TABLES = (
    "facility patient identifier unit withdrawal record link search_code change failure feed cursor encounter condition "
    "observation procedure imaging_study medication_administration prescription allergy_intolerance immunization "
    "diagnostic_report document_reference referral appointment insurance_plan_card code practitioner "
    "observation_component imaging_series prescription_item document_section"
)


def upgrade() -> None:
    """Forward only: there is no way back but a backup."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _TABLES.split():
        columns = [c["name"] for c in sa.inspect(op.get_bind()).get_columns(table) if isinstance(c["type"], sa.String)]
        changes = ", ".join(f'ALTER COLUMN "{name}" TYPE varchar COLLATE "C"' for name in columns)
        op.execute(f'ALTER TABLE "{table}" {changes}')
