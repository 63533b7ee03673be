"""Requests of nodes seen, for several gateways on one database; on PostgreSQL, texts in byte order.

Never edited once released: a change is a new revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXTS = {
    "node": ("id", "url", "public_key", "certificate_thumbprint", "contract_version", "sdl_sha256", "enrolled_at"),
    "facility": ("code", "name", "registered_at", "feeds"),
    "invitation": ("facilities", "expires_at", "used_at"),
    "facility_health": ("synced_at", "as_of", "feeds"),
    "locator": ("ref",),
    "patient_grant": ("id", "grantee_facility", "grantee_licence", "kinds", "period_from", "period_to", "created_at"),
    "node_request": ("expires_at",),
}
MORE = {"node": ("revoked_at",), "patient_grant": ("expires_at", "withdrawn_at", "vouched_by")}


def upgrade() -> None:
    op.create_table(
        "node_request",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("expires_at", sa.String(), nullable=False),
    )
    op.create_index("node_request_by_time", "node_request", ["expires_at"])
    if op.get_context().dialect.name != "postgresql":
        return
    # SQLite compares bytes. A server's language would order otherwise, and its indexes break when that language's rules
    # change with the operating system: rows of the locator would be there and not be found.
    for table, columns in TEXTS.items():
        changes = ", ".join(f'ALTER "{c}" TYPE varchar COLLATE "C"' for c in (*columns, *MORE.get(table, ())))
        op.execute(f'ALTER TABLE "{table}" {changes}')
