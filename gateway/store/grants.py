"""The tables of grants (revision 0002). What a grant means and how it is read and written: gateway/access/grants.py."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table
from sqlmodel import Field

from gateway.store.tables import METADATA, GatewayModel


class GrantRow(GatewayModel, table=True):
    """One grant. Times are moments (tables.moment); kinds is a space-separated sorted list of RecordKind values, null for all."""

    __tablename__ = "patient_grant"
    __table_args__ = (Index("patient_grant_by_patient", "patient_token"),)
    id: str = Field(primary_key=True)
    patient_token: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    grantee_facility: str | None = None
    grantee_licence: str | None = None
    kinds: str | None = None
    period_from: str | None = None
    period_to: str | None = None
    created_at: str
    expires_at: str
    withdrawn_at: str | None = None
    vouched_by: str
    version: int


class GrantVersionRow(GatewayModel, table=True):
    """How often a patient's grants changed; never goes back."""

    __tablename__ = "patient_grant_version"
    patient_token: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    version: int


GRANTS: Table = METADATA.tables["patient_grant"]
COLUMNS: tuple[str, ...] = tuple(GRANTS.c.keys())

# One statement on SQLite and PostgreSQL; two changes at once queue on the row and get different versions.
NEXT_VERSION = (
    "INSERT INTO patient_grant_version (patient_token, version) VALUES (:patient_token, 1) "
    "ON CONFLICT (patient_token) DO UPDATE SET version = patient_grant_version.version + 1 RETURNING version"
)
