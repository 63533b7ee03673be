"""The gateway's tables for registry, enrolment and locator. Grants: grants.py; what nodes' schemas say: schemas.py; on the same metadata.

No name, no identifier and no clinical datum has a column here. Times are UTC text of fixed width (moment).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table
from sqlmodel import Field, SQLModel

from schema.identity import IdentifierKind

METADATA = MetaData()

# How a kind is written in the locator: 30 million rows make a word costly. Numbers are never given anew.
KIND_NUMBERS: dict[IdentifierKind, int] = {
    IdentifierKind.CCCD: 1,
    IdentifierKind.PASSPORT: 2,
    IdentifierKind.SSN: 3,
    IdentifierKind.BHXH: 4,
    IdentifierKind.CMND: 5,
    IdentifierKind.BIRTH_CERTIFICATE: 6,
    IdentifierKind.MRN: 7,
}


class GatewayModel(SQLModel):
    """Base of the gateway's tables."""

    metadata = METADATA


class NodeRow(GatewayModel, table=True):
    """An enrolled agent. public_key: a JWK. Rows stay after revocation, so that a ledger can still name them."""

    __tablename__ = "node"
    pk: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    url: str
    public_key: str
    certificate_thumbprint: str | None = None
    contract_version: str
    sdl_sha256: str
    enrolled_at: str
    revoked_at: str | None = None
    role: str = Field(default="SOURCE", sa_column_kwargs={"server_default": "SOURCE"})


class FacilityRow(GatewayModel, table=True):
    """A facility of the city; node is null until an agent is enrolled for it. feeds: a JSON list as declared at enrolment.

    former_node: had it before, and keeps its locator rows until the new one has told all it knows.
    """

    __tablename__ = "facility"
    pk: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True)
    name: str
    registered_at: str
    node: int | None = Field(default=None, foreign_key="node.pk")
    feeds: str = "[]"
    former_node: int | None = None


class InvitationRow(GatewayModel, table=True):
    """A one-time code, as its SHA-256. facilities: a JSON list of codes."""

    __tablename__ = "invitation"
    code_sha256: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    facilities: str
    expires_at: str
    used_at: str | None = None
    role: str = Field(default="SOURCE", sa_column_kwargs={"server_default": "SOURCE"})


class NodePositionRow(GatewayModel, table=True):
    """How far a node's change log has been taken in. key_version: of the newest key under which it is told from the start."""

    __tablename__ = "node_position"
    node: int = Field(primary_key=True, foreign_key="node.pk")
    accepted: int = Field(sa_type=BigInteger)
    key_version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class FacilityHealthRow(GatewayModel, table=True):
    """What the node last said. synced_at: when the locator last held all the node knew. feeds: a JSON list of FeedState."""

    __tablename__ = "facility_health"
    facility: int = Field(primary_key=True, foreign_key="facility.pk")
    synced_at: str | None = None
    lagging: bool
    as_of: str | None = None
    feeds: str


class WarehouseFacilityRow(GatewayModel, table=True):
    """A facility whose records a warehouse holds copies of, and how its feeds there are. Columns as in facility and its health."""

    __tablename__ = "warehouse_facility"
    node: int = Field(primary_key=True, foreign_key="node.pk")
    facility: int = Field(primary_key=True, foreign_key="facility.pk")
    declared: str
    synced_at: str | None = None
    lagging: bool
    as_of: str | None = None
    feeds: str = "[]"


class NodeRequestRow(GatewayModel, table=True):
    """A node's signed request that was seen, as a SHA-256, until long after it could be believed again."""

    __tablename__ = "node_request"
    __table_args__ = (Index("node_request_by_time", "expires_at"),)
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    expires_at: str


class LocatorRow(GatewayModel, table=True):
    """Patient token -> (node, ref, facility), with the digests that decide whether rows may be one person.

    also: the patient's other numbers that may link (choice.Located). facility and node are pks without foreign keys, whose check would cost a probe a row.
    """

    __tablename__ = "locator"
    __table_args__ = (Index("locator_by_ref", "node", "ref"), {"sqlite_with_rowid": False})
    token: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    facility: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    ref: str = Field(primary_key=True)
    node: int
    kind: int
    day: bytes | None = None
    year: bytes | None = None
    sex: bytes | None = None
    cccd_agrees: bool | None = None
    doubtful: bool
    also: bytes | None = None


class SplitRow(GatewayModel, table=True):
    """A line of what was unlinked; never changed. Two rows are not one person, or `token` must not reach row a.

    rejoins: this line takes back the line of that id. root: of a line carried over to another key version, the line it
    came from.
    """

    __tablename__ = "identity_split"
    __table_args__ = (Index("identity_split_by_token", "token"),)
    id: int | None = Field(default=None, primary_key=True)
    root: int | None = None
    rejoins: int | None = None
    facility_a: int
    ref_a: str
    facility_b: int | None = None
    ref_b: str | None = None
    token: bytes | None = None
    at: str


class CityKeyRow(GatewayModel, table=True):
    """A version of the city key, by its fingerprint: a gateway with another key in its place must not start."""

    __tablename__ = "city_key"
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    fingerprint: str
    made_at: str
    retired_at: str | None = None


NODE: Table = METADATA.tables["node"]
FACILITY: Table = METADATA.tables["facility"]
INVITATION: Table = METADATA.tables["invitation"]
NODE_POSITION: Table = METADATA.tables["node_position"]
FACILITY_HEALTH: Table = METADATA.tables["facility_health"]
WAREHOUSE_FACILITY: Table = METADATA.tables["warehouse_facility"]
NODE_REQUEST: Table = METADATA.tables["node_request"]
LOCATOR: Table = METADATA.tables["locator"]
SPLIT: Table = METADATA.tables["identity_split"]
CITY_KEY: Table = METADATA.tables["city_key"]


def moment(time: datetime) -> str:
    """Fixed-width UTC text, which sorts as the time does."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_moment(text: str) -> datetime:
    """The aware datetime of a UTC text."""
    return datetime.fromisoformat(text)
