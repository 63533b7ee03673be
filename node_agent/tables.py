"""The node's tables: the fixed ones as SQLModel classes, the detail and child tables from the contract (columns.py).

`record` is the spine: one row a clinical item and version, with all that access, order, merge and relations need. Its
detail row (same pk) holds the body. Times are fixed-width text, amounts are text, there are no floats (DESIGN 5.3).
Older versions stay, with current = false. Record ids are keyed digests of the source key, so replay gives the same ids.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import AutoString, Field, SQLModel

from node_agent.columns import Scalar, Shape, child_layouts, layout, scalars
from schema.elements import RecordKind

STORE = MetaData()  # the clinical store
INBOX = MetaData()  # a file of its own on SQLite (DESIGN 8)
_CURRENT: dict[str, Any] = {"sqlite_where": text("current"), "postgresql_where": text("current")}


class StoreModel(SQLModel):
    """Base of the store's tables."""

    metadata = STORE


class InboxModel(SQLModel):
    """Base of the inbox's tables."""

    metadata = INBOX


class FacilityRow(StoreModel, table=True):
    """A facility this node serves; written from settings at start."""

    __tablename__ = "facility"
    code: str = Field(primary_key=True)
    name: str


class PatientRow(StoreModel, table=True):
    """A person as one facility knows them. ref is what the gateway sees; doubts is a space-separated sorted list.

    (version, inbox, position) is the unit whose word on name, birth date and sex stands: the greatest one, whatever came last.
    """

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("facility", "local_id"),)
    pk: int | None = Field(default=None, primary_key=True)
    ref: str = Field(unique=True)
    facility: str
    local_id: str
    name: str | None = None
    birth_date: str | None = None
    gender: str | None = None
    doubts: str = ""
    version: str = ""
    inbox: int = 0
    position: int = 0


class IdentifierRow(StoreModel, table=True):
    """A canonical identifier of a patient, waiting for or known to the gateway.

    A kind's values come from the greatest (version, inbox, position) that has the kind, so a corrected number replaces its error.
    """

    __tablename__ = "identifier"
    patient: int = Field(primary_key=True, foreign_key="patient.pk")
    kind: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    version: str = ""
    inbox: int = 0
    position: int = 0


class UnitRow(StoreModel, table=True):
    """One version of a unit (a HOSO, or an encounter's FHIR resources) and the inbox item it came from."""

    __tablename__ = "unit"
    __table_args__ = (
        UniqueConstraint("facility", "unit_key", "version", "inbox", "position"),
        Index("unit_by_inbox", "inbox"),
    )
    pk: int | None = Field(default=None, primary_key=True)
    facility: str
    unit_key: str
    patient: int = Field(foreign_key="patient.pk")  # whose the unit was said to be
    version: str
    inbox: int
    position: int  # which unit of the inbox item
    tables: str  # space-separated, sorted
    labels: int = 0  # what the unit as a whole says (its tables, a regimen over several records)
    current: bool = True


class WithdrawalRow(StoreModel, table=True):
    """A source key that this unit's author took back (FHIR entered-in-error): older versions of it stand no more."""

    __tablename__ = "withdrawal"
    __table_args__ = (Index("withdrawal_by_source", "facility", "source_key"),)
    unit: int = Field(primary_key=True, foreign_key="unit.pk")
    source_key: str = Field(primary_key=True)
    facility: str


class RecordRow(StoreModel, table=True):
    """The spine. labels is a bit mask (labels.py); key recognises copies of documents with an issuer's number."""

    __tablename__ = "record"
    __table_args__ = (
        Index("record_by_kind", "patient", "kind", "sort_time", "facility", "id", **_CURRENT),
        Index("record_by_time", "patient", "sort_time", "facility", "id", **_CURRENT),
        Index("record_by_encounter", "encounter_id", "kind", "seq", "id", **_CURRENT),
        Index("record_by_source", "facility", "source_key"),
        Index("record_by_id", "id", unique=True, **_CURRENT),
        Index("record_by_unit", "unit"),
    )
    pk: int | None = Field(default=None, primary_key=True)
    id: str
    patient: int = Field(foreign_key="patient.pk")
    facility: str
    kind: str
    feed: str
    unit: int = Field(foreign_key="unit.pk")
    seq: int  # the record's place in its unit; orders the lists inside an encounter
    source_table: str
    source_key: str
    encounter_id: str | None = None
    sort_time: str
    received_at: str
    not_resent: bool = False
    labels: int = 0
    own_labels: int = 0  # without what the rest of its unit spreads to it (store/supersede.py)
    key: str | None = None
    content_hash: str
    current: bool = True


class LinkRow(StoreModel, table=True):
    """A record that names another by id ('results' of a DiagnosticReport)."""

    __tablename__ = "link"
    record: int = Field(primary_key=True, foreign_key="record.pk")
    role: str = Field(primary_key=True)
    ord: int = Field(primary_key=True)
    target_id: str


class SearchCodeRow(StoreModel, table=True):
    """Every code of a record, normalised for prefix filters: upper case without . * † (ICD-10 E11 finds E11.9)."""

    __tablename__ = "search_code"
    record: int = Field(primary_key=True, foreign_key="record.pk")
    code: str = Field(primary_key=True)


class ChangeRow(StoreModel, table=True):
    """The change log: a row for each patient touched, in the transaction that touched it. Sync reads it in order."""

    __tablename__ = "change"
    position: int | None = Field(default=None, primary_key=True)
    patient: int = Field(foreign_key="patient.pk")
    at: str


class FailureRow(StoreModel, table=True):
    """A FAILED part of an inbox item attributed to a patient; it makes that patient's coverage INCOMPLETE until it is resolved."""

    __tablename__ = "failure"
    pk: int | None = Field(default=None, primary_key=True)
    patient: int = Field(foreign_key="patient.pk", index=True)
    facility: str
    inbox: int = Field(index=True)
    position: int
    code: str
    unit_key: str | None = None


class FeedRow(StoreModel, table=True):
    """When a feed last received something for a facility (UTC, fixed width)."""

    __tablename__ = "feed"
    facility: str = Field(primary_key=True)
    feed: str = Field(primary_key=True)
    rhythm_seconds: int
    last_received_at: str | None = None


class CursorRow(StoreModel, table=True):
    """Named positions: how far sync has come."""

    __tablename__ = "cursor"
    name: str = Field(primary_key=True)
    position: int


class InboxRow(InboxModel, table=True):
    """Bytes as received, untouched. state: RECEIVED, STORED, PARTIAL, FAILED, DUPLICATE. sha256 is of the bytes."""

    __tablename__ = "inbox"
    pk: int | None = Field(default=None, primary_key=True)
    feed: str
    name: str  # the file name it came under
    sha256: str = Field(index=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    received_at: str
    state: str = Field(index=True)
    error_code: str | None = None
    attempts: int = 0
    units: int = 0
    duplicate_of: int | None = None  # the item that holds the bytes; content is empty then


class InboxErrorRow(InboxModel, table=True):
    """Why a part of an item failed, or what was noticed about it (severity ERROR or REMARK). No patient data."""

    __tablename__ = "inbox_error"
    pk: int | None = Field(default=None, primary_key=True)
    inbox: int = Field(foreign_key="inbox.pk", index=True)
    severity: str
    code: str
    place: str
    source_table: str | None = None
    field: str | None = None
    reason_vi: str = ""
    reason_en: str = ""
    count: int = 1


def _column(scalar: Scalar) -> Column[object]:
    kind = {Shape.INTEGER: Integer, Shape.BOOLEAN: Boolean}.get(scalar.shape, Text)
    return Column(scalar.column, kind(), nullable=True)


DETAIL: dict[RecordKind, Table] = {
    kind: Table(
        layout(kind).table,
        STORE,
        Column("pk", ForeignKey("record.pk"), primary_key=True),
        *(_column(s) for s in scalars(layout(kind).fields)),
    )
    for kind in RecordKind
}
CHILD: dict[str, Table] = {
    name: Table(
        name,
        STORE,
        Column("record", ForeignKey("record.pk"), primary_key=True),
        Column("role", Text, primary_key=True),
        Column("ord", Integer, primary_key=True),
        *(_column(s) for s in scalars(fields)),
    )
    for name, fields in child_layouts().items()
}

# Text is compared byte by byte, as SQLite and the gateway do, whatever locale a PostgreSQL database was made with.
for _table in (*STORE.tables.values(), *INBOX.tables.values()):
    for _each in _table.columns:
        if isinstance(_each.type, String | AutoString):
            _plain = Text() if isinstance(_each.type, Text) else String()
            _each.type = _plain.with_variant(String(collation="C"), "postgresql")
