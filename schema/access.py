"""What a caller says about an access, and grants as a patient sees them. Who may do what is decided in gateway/access."""

from __future__ import annotations

from enum import Enum

import strawberry

from schema.elements import Period, RecordKind
from schema.filters import PeriodFilter
from schema.identity import IdentifierKind
from schema.scalars import PartialDate


@strawberry.enum(description="Mục đích truy cập. Purpose of use, codes of HL7 v3 PurposeOfUse.")
class Purpose(Enum):
    """TREAT treatment, ETREAT lawful emergency, BTG override of a refusal, PATRQT the patient's own request,
    PUBHLTH public health, HOPERAT operations.
    """

    TREAT = "TREAT"
    ETREAT = "ETREAT"
    BTG = "BTG"
    PATRQT = "PATRQT"
    PUBHLTH = "PUBHLTH"
    HOPERAT = "HOPERAT"


@strawberry.enum(description="Căn cứ pháp lý. The legal basis of an access.")
class Basis(Enum):
    """GRANT: the patient's written request. SELF: the patient reads. LAW: a listed legal ground, named in the evidence."""

    GRANT = "GRANT"
    SELF = "SELF"
    REFERRAL = "REFERRAL"
    EMERGENCY = "EMERGENCY"
    LAW = "LAW"


@strawberry.enum(description="Ai bảo đảm cho giấy đồng ý. Who vouches that the patient gave a grant.")
class VouchedBy(Enum):
    """GATEWAY: only the gateway's own record says so; a hospital may refuse such a grant."""

    GATEWAY = "GATEWAY"


@strawberry.input(description="Vì sao, theo căn cứ nào, bằng chứng gì. Why, on what basis, on what evidence.")
class AccessInput:
    """evidence: the grant's id for basis GRANT; nothing for SELF."""

    purpose: Purpose
    basis: Basis
    evidence: strawberry.ID | None = None


@strawberry.input(
    description="Người bệnh theo giấy tờ; chỉ truyền bằng biến. A patient by identifier; only as a variable."
)
class PatientBy:
    """value is the number as written; it never appears in a repr, so that it cannot reach a log by accident."""

    kind: IdentifierKind
    value: str

    def __repr__(self) -> str:
        return f"PatientBy(kind={self.kind.value})"


@strawberry.input(description="Người bệnh đồng ý cho ai xem gì. To whom a patient gives what.")
class GrantInput:
    """At least one grantee; with both, the practitioner reads only when working at that facility.

    kinds: null means all. period: the time of the records. days: how long the grant lives, never assumed (1 to 366).
    """

    days: int
    grantee_facility: str | None = None
    grantee_licence: str | None = None
    kinds: list[RecordKind] | None = None
    period: PeriodFilter | None = None


@strawberry.type(description="Giấy đồng ý cho xem hồ sơ. A patient's grant to read.")
class Grant:
    """version counts the changes of this patient's grants; withdrawn_at is set once and for ever."""

    id: strawberry.ID
    grantee_facility: str | None
    grantee_licence: str | None
    kinds: list[RecordKind] | None
    period: Period | None
    created_at: PartialDate
    expires_at: PartialDate
    withdrawn_at: PartialDate | None
    vouched_by: VouchedBy
    version: int
