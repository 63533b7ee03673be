"""May this caller read this patient, and how much? Default deny; pure: no I/O, no clock (DESIGN 7).

One place to grow: `_RULES`, from (role, purpose, basis) to a rule. Cedar policies will stand in its place; until then
what is not in the table is refused. Finding the grant is grants.py; what the node adds is node_agent/access.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.access.callers import Caller, Role
from gateway.access.grants import Grant
from schema.access import AccessInput, Basis, Purpose
from schema.delegation import RESTRICTED_ALL, Allowed


@dataclass(frozen=True, slots=True)
class Permit:
    """allowed.denied_labels is RESTRICTED_ALL for everybody in this release: no labelled record is shown to anyone.

    evidence: the grant's id, or None for SELF. entitled_to_ledger: facilities may be named to this caller.
    """

    purpose: Purpose
    basis: Basis
    evidence: str | None
    allowed: Allowed
    entitled_to_ledger: bool

    @property
    def reach(self) -> str:
        """Kinds and period as text: what a walk through pages may not change on its way."""
        kinds = "*" if self.allowed.kinds is None else " ".join(self.allowed.kinds)
        return f"{kinds}|{self.allowed.period_low}|{self.allowed.period_high}"


class RefusalCode(Enum):
    """The precise reason, for the audit only."""

    NOT_PERMITTED = "NOT_PERMITTED"
    PURPOSE_UNSUPPORTED = "PURPOSE_UNSUPPORTED"
    BASIS_UNSUPPORTED = "BASIS_UNSUPPORTED"
    GRANT_UNKNOWN = "GRANT_UNKNOWN"
    GRANT_EXPIRED = "GRANT_EXPIRED"
    GRANT_WITHDRAWN = "GRANT_WITHDRAWN"
    GRANT_OTHER_PATIENT = "GRANT_OTHER_PATIENT"
    GRANT_OTHER_GRANTEE = "GRANT_OTHER_GRANTEE"


ACCESS_DENIED = "ACCESS_DENIED"

_DENIED = (
    "Không có quyền xem hồ sơ này theo mục đích và căn cứ đã nêu.",
    "No right to read this record for the purpose and on the basis given.",
)
# Only what depends on nothing but the request itself may be told apart by a client.
_TOLD: dict[RefusalCode, tuple[str, str]] = {
    RefusalCode.PURPOSE_UNSUPPORTED: (
        "Mục đích này chưa được hỗ trợ.",
        "This purpose is not supported yet.",
    ),
    RefusalCode.BASIS_UNSUPPORTED: (
        "Căn cứ này chưa được hỗ trợ cho mục đích đã nêu.",
        "This basis is not supported for the purpose given.",
    ),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """code is for the audit. A client sees client_code, reason_vi and reason_en, equal for whatever could tell of a patient."""

    code: RefusalCode

    @property
    def client_code(self) -> str:
        """ACCESS_DENIED, PURPOSE_UNSUPPORTED or BASIS_UNSUPPORTED."""
        return self.code.value if self.code in _TOLD else ACCESS_DENIED

    @property
    def reason_vi(self) -> str:
        """For the person, in Vietnamese."""
        return _TOLD.get(self.code, _DENIED)[0]

    @property
    def reason_en(self) -> str:
        """For the person, in English."""
        return _TOLD.get(self.code, _DENIED)[1]


@dataclass(frozen=True, slots=True)
class _Question:
    caller: Caller
    access: AccessInput
    patient_token: bytes
    own_token: bytes | None
    grant: Grant | None
    now: float


def decide(
    caller: Caller,
    access: AccessInput,
    patient_token: bytes,
    grant: Grant | None,
    now: float,
    *,
    own_token: bytes | None = None,
) -> Permit | Refusal:
    """patient_token: of the identifier asked for. grant: what the store holds under access.evidence, read for this query.
    now: Unix seconds. own_token: of caller.identity, None without one. Never raises for any of these.
    """
    bases = _RULES.get(caller.role)
    if bases is None:
        return Refusal(RefusalCode.NOT_PERMITTED)
    if access.purpose not in _SUPPORTED_PURPOSES:
        return Refusal(RefusalCode.PURPOSE_UNSUPPORTED)
    rules = bases.get(access.purpose)
    if rules is None:
        return Refusal(RefusalCode.NOT_PERMITTED)
    rule = rules.get(access.basis)
    if rule is None:
        return Refusal(RefusalCode.BASIS_UNSUPPORTED)
    return rule(_Question(caller, access, patient_token, own_token, grant, now))


def _by_grant(question: _Question) -> Permit | Refusal:
    """A practitioner reads what a living grant of this patient gives to their facility or licence."""
    grant, access = question.grant, question.access
    if grant is None or not access.evidence or grant.id != access.evidence:
        return Refusal(RefusalCode.GRANT_UNKNOWN)
    if grant.patient_token != question.patient_token:
        return Refusal(RefusalCode.GRANT_OTHER_PATIENT)
    if not _is_grantee(question.caller, grant):
        return Refusal(RefusalCode.GRANT_OTHER_GRANTEE)
    if grant.withdrawn_at is not None:
        return Refusal(RefusalCode.GRANT_WITHDRAWN)
    if question.now >= grant.expires_at:
        return Refusal(RefusalCode.GRANT_EXPIRED)
    kinds = None if grant.kinds is None else tuple(sorted(kind.value for kind in grant.kinds))
    low, high = grant.bounds()
    return Permit(
        access.purpose,
        access.basis,
        grant.id,
        Allowed(kinds, RESTRICTED_ALL, low, high),
        entitled_to_ledger=True,
    )


def _is_grantee(caller: Caller, grant: Grant) -> bool:
    named = [
        (grant.grantee_facility, caller.facility),
        (grant.grantee_licence, caller.licence),
    ]
    wanted = [pair for pair in named if pair[0] is not None]
    return bool(wanted) and all(own and grantee == own for grantee, own in wanted)


def _by_self(question: _Question) -> Permit | Refusal:
    """A citizen reads all that is not labelled, of their own identity only."""
    if question.caller.identity is None or question.own_token is None:
        return Refusal(RefusalCode.NOT_PERMITTED)
    if question.own_token != question.patient_token:
        return Refusal(RefusalCode.NOT_PERMITTED)
    return Permit(
        question.access.purpose,
        question.access.basis,
        None,
        Allowed(None, RESTRICTED_ALL, "", "~"),
        entitled_to_ledger=True,
    )


_Rule = Callable[[_Question], Permit | Refusal]

_RULES: dict[Role, dict[Purpose, dict[Basis, _Rule]]] = {
    Role.PRACTITIONER: {Purpose.TREAT: {Basis.GRANT: _by_grant}},
    Role.CITIZEN: {Purpose.PATRQT: {Basis.SELF: _by_self}},
}
_SUPPORTED_PURPOSES = frozenset(purpose for purposes in _RULES.values() for purpose in purposes)
