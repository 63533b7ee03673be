"""The messages between a node and the gateway that are not queries: enrolment and sync. Shapes and limits only.

Unknown fields are ignored, so that a newer side may say more. The patient struct never shows itself in a repr.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from enum import Enum
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from schema.elements import Gender
from schema.jws import encode_segment

CONTRACT_VERSION = "1.0"
ENROL_PATH = "/nodes/enrol"
SYNC_PATH = "/nodes/sync"
BATCH_LIMIT = 500  # patients in one sync message
MESSAGE_BYTES_LIMIT = 2_097_152

_Short = Annotated[str, Meta(min_length=1, max_length=200)]
_Code = Annotated[str, Meta(pattern=r"^[0-9A-Z]{5}\Z")]
_Position = Annotated[int, Meta(ge=0, le=2**62)]
_Birth = Annotated[str, Meta(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?\Z")]
_Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|\+00:00)\Z")]


class NodeRole(Enum):
    """SOURCE: a facility's own node. WAREHOUSE: read-only copies of many facilities' records, which lose to the source's."""

    SOURCE = "SOURCE"
    WAREHOUSE = "WAREHOUSE"


class PublicKey(msgspec.Struct, frozen=True):
    """An Ed25519 public key as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Meta(min_length=43, max_length=43)]

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> PublicKey:
        """The JWK of a key."""
        return cls("OKP", "Ed25519", encode_segment(key.public_bytes_raw()).decode())

    def key(self) -> Ed25519PublicKey:
        """The key; ValueError when x is not 32 bytes of base64url."""
        return Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(self.x + "="))


class EnrolmentRequest(msgspec.Struct, frozen=True):
    """feeds: facility code -> the feeds it has here. node_id: who this node was, when it enrols again. url: where the gateway
    asks it. role: what the node's own settings say; it must be what the operator's code is for.

    sdl: the node's printed schema, by which the gateway knows what it can be asked; sdl_sha256: its hex digest.
    """

    code: _Short
    public_key: PublicKey
    url: _Short
    feeds: Annotated[dict[_Code, list[_Short]], Meta(min_length=1, max_length=1000)]
    contract_version: _Short
    sdl_sha256: Annotated[str, Meta(max_length=64)] = ""
    node_id: _Short | None = None
    role: NodeRole = NodeRole.SOURCE
    sdl: str | None = None

    def __repr__(self) -> str:
        return "EnrolmentRequest(…)"


class EnrolmentReply(msgspec.Struct, frozen=True):
    """gateway_keys: whose delegations the node must believe. server_time: Unix seconds."""

    node_id: str
    facilities: list[str]
    gateway_keys: Annotated[list[PublicKey], Meta(min_length=1)]
    server_time: float
    role: NodeRole = NodeRole.SOURCE


class SyncPatient(msgspec.Struct, frozen=True):
    """A patient as they are now. identifiers: [kind, canonical value] pairs, all of them; those not named no longer hold.

    doubtful: the row may carry a parent's name or card (DESIGN 4). birth_date: YYYY, YYYY-MM or YYYY-MM-DD.
    """

    ref: Annotated[str, Meta(min_length=8, max_length=64)]
    facility: _Code
    identifiers: Annotated[list[tuple[_Short, _Short]], Meta(max_length=50)]
    birth_date: _Birth | None
    gender: Gender | None
    doubtful: bool

    def __repr__(self) -> str:
        return "SyncPatient(…)"


class FeedState(msgspec.Struct, frozen=True):
    """feed: a schema.elements.Feed, or one of a later release. last_received_at: UTC, null when nothing ever came."""

    feed: _Short
    rhythm_seconds: Annotated[int, Meta(gt=0)]
    last_received_at: _Moment | None = None


class FacilityReport(msgspec.Struct, frozen=True):
    """The feeds of one facility. lagging, by the node's own clock: some feed is silent beyond its rhythm."""

    facility: _Code
    feeds: Annotated[list[FeedState], Meta(max_length=20)]
    lagging: bool


class SyncRequest(msgspec.Struct, frozen=True):
    """The patients changed in since < change-log position <= position, and how the feeds are.

    head: the last position of the change log. pending: changes after `position`, and inbox items not yet read; only a
    message with pending 0 makes the node's facilities current. sdl_sha256: of the node's printed schema; sdl: that schema, in
    the message after the gateway said that it wants it.
    """

    node_id: _Short
    since: _Position
    position: _Position
    head: _Position
    pending: Annotated[int, Meta(ge=0)]
    contract_version: _Short
    facilities: Annotated[list[FacilityReport], Meta(max_length=1000)]
    patients: Annotated[list[SyncPatient], Meta(max_length=BATCH_LIMIT)] = []
    withdrawn: Annotated[list[Annotated[str, Meta(min_length=8, max_length=64)]], Meta(max_length=BATCH_LIMIT)] = []
    sdl_sha256: Annotated[str, Meta(max_length=64)] = ""
    sdl: str | None = None

    def __repr__(self) -> str:
        return "SyncRequest(…)"


class SyncReply(msgspec.Struct, frozen=True):
    """accepted: the position the node goes on from; lower than it thinks when the gateway came back from a backup.

    refused: reason -> how many identifiers were not taken (PLACEHOLDER, SHAPE, EMPTY, KIND). server_time: Unix seconds.
    wants_sdl: the gateway does not know the schema of sdl_sha256.
    """

    accepted: int
    server_time: float
    refused: dict[str, int] = {}
    wants_sdl: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """What a refused message gets, whatever the status. server_time lets a node with a wrong clock correct itself."""

    code: str
    vi: str
    en: str
    server_time: float
