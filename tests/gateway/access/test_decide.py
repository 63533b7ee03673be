"""Default deny, never wider than the grant, never after its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import strawberry
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.access.callers import Caller, Role
from gateway.access.decide import ACCESS_DENIED, Permit, Refusal, RefusalCode, decide
from gateway.access.grants import Grant
from schema.access import AccessInput, Basis, Purpose, VouchedBy
from schema.delegation import RESTRICTED_ALL, Allowed
from schema.elements import RecordKind
from schema.identity import Identifier, IdentifierKind

NOW = 1_800_000_000.0
TOKEN, OTHER = b"\x01" + b"a" * 16, b"\x01" + b"b" * 16
DOCTOR = Caller(Role.PRACTITIONER, "d", "urn:i", "app", facility="01003", licence="000123/HNO-CCHN")
CITIZEN = Caller(Role.CITIZEN, "c", "urn:i", "app", identity=Identifier(IdentifierKind.CCCD, "001085012345"))
BY_GRANT = AccessInput(purpose=Purpose.TREAT, basis=Basis.GRANT, evidence=strawberry.ID("g-1"))
BY_SELF = AccessInput(purpose=Purpose.PATRQT, basis=Basis.SELF)
GRANT = Grant(
    id="g-1",
    patient_token=TOKEN,
    grantee_facility="01003",
    grantee_licence=None,
    kinds=(RecordKind.PRESCRIPTION, RecordKind.ENCOUNTER),
    period_from="2024",
    period_to="2025-06",
    created_at=NOW - 10,
    expires_at=NOW + 10,
    withdrawn_at=None,
    vouched_by=VouchedBy.GATEWAY,
    version=1,
)

facilities = st.none() | st.sampled_from(["", "01003", "01929"])
licences = st.none() | st.sampled_from(["", "000123/HNO-CCHN", "2"])
tokens = st.sampled_from([TOKEN, OTHER, b""])
callers = st.builds(
    Caller,
    st.sampled_from(Role),
    st.just("s"),
    st.just("urn:i"),
    st.just("app"),
    facilities,
    licences,
    st.none() | st.just(CITIZEN.identity),
    st.booleans(),
)
accesses = st.builds(
    AccessInput,
    purpose=st.sampled_from(Purpose),
    basis=st.sampled_from(Basis),
    evidence=st.none() | st.sampled_from(["", "g-1", "g-2"]),
)
grants = st.builds(
    Grant,
    id=st.sampled_from(["g-1", "g-2", ""]),
    patient_token=tokens,
    grantee_facility=facilities,
    grantee_licence=licences,
    kinds=st.none() | st.lists(st.sampled_from(RecordKind), max_size=4, unique=True).map(tuple),
    period_from=st.none() | st.sampled_from(["2023", "2024-02-03"]),
    period_to=st.none() | st.sampled_from(["2025", "2026-01"]),
    created_at=st.just(NOW - 10),
    expires_at=st.floats(NOW - 5, NOW + 5),
    withdrawn_at=st.none() | st.floats(NOW - 5, NOW + 5),
    vouched_by=st.just(VouchedBy.GATEWAY),
    version=st.just(1),
)


def code(answer: Permit | Refusal) -> RefusalCode:
    assert isinstance(answer, Refusal)
    return answer.code


def test_a_practitioner_reads_exactly_what_the_grant_gives() -> None:
    assert decide(DOCTOR, BY_GRANT, TOKEN, GRANT, NOW) == Permit(
        Purpose.TREAT,
        Basis.GRANT,
        "g-1",
        Allowed(("ENCOUNTER", "PRESCRIPTION"), RESTRICTED_ALL, "2024", "2025-06~"),
        entitled_to_ledger=True,
    )


def test_a_citizen_reads_all_that_is_not_labelled_of_their_own() -> None:
    assert decide(CITIZEN, BY_SELF, TOKEN, None, NOW, own_token=TOKEN) == Permit(
        Purpose.PATRQT, Basis.SELF, None, Allowed(None, RESTRICTED_ALL, "", "~"), entitled_to_ledger=True
    )


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (None, RefusalCode.GRANT_UNKNOWN),
        (replace(GRANT, id="g-2"), RefusalCode.GRANT_UNKNOWN),
        (replace(GRANT, patient_token=OTHER), RefusalCode.GRANT_OTHER_PATIENT),
        (replace(GRANT, grantee_facility="01929"), RefusalCode.GRANT_OTHER_GRANTEE),
        (replace(GRANT, grantee_licence="another"), RefusalCode.GRANT_OTHER_GRANTEE),
        (replace(GRANT, grantee_facility=None), RefusalCode.GRANT_OTHER_GRANTEE),
        (replace(GRANT, withdrawn_at=NOW + 100), RefusalCode.GRANT_WITHDRAWN),
        (replace(GRANT, expires_at=NOW), RefusalCode.GRANT_EXPIRED),
    ],
)
def test_each_fault_of_a_grant_has_its_code_and_a_client_cannot_tell_them_apart(
    grant: Grant | None, expected: RefusalCode
) -> None:
    refusal = decide(DOCTOR, BY_GRANT, TOKEN, grant, NOW)
    assert code(refusal) is expected
    assert isinstance(refusal, Refusal)
    other = Refusal(RefusalCode.GRANT_UNKNOWN)
    assert refusal.client_code == ACCESS_DENIED
    assert (refusal.reason_vi, refusal.reason_en) == (other.reason_vi, other.reason_en)


def test_a_grant_to_a_licence_follows_the_practitioner_and_to_both_needs_both() -> None:
    to_licence = replace(GRANT, grantee_facility=None, grantee_licence=DOCTOR.licence)
    elsewhere = replace(DOCTOR, facility="01929")
    assert isinstance(decide(elsewhere, BY_GRANT, TOKEN, to_licence, NOW), Permit)
    to_both = replace(to_licence, grantee_facility="01003")
    assert isinstance(decide(DOCTOR, BY_GRANT, TOKEN, to_both, NOW), Permit)
    assert code(decide(elsewhere, BY_GRANT, TOKEN, to_both, NOW)) is RefusalCode.GRANT_OTHER_GRANTEE


def test_a_practitioner_without_a_facility_is_not_the_grantee_of_an_empty_name() -> None:
    empty = replace(GRANT, grantee_facility="")
    assert code(decide(replace(DOCTOR, facility=""), BY_GRANT, TOKEN, empty, NOW)) is RefusalCode.GRANT_OTHER_GRANTEE


def test_a_citizen_sees_nobody_else() -> None:
    assert code(decide(CITIZEN, BY_SELF, OTHER, None, NOW, own_token=TOKEN)) is RefusalCode.NOT_PERMITTED
    assert code(decide(CITIZEN, BY_SELF, TOKEN, None, NOW)) is RefusalCode.NOT_PERMITTED
    nameless = replace(CITIZEN, identity=None)
    assert code(decide(nameless, BY_SELF, TOKEN, None, NOW, own_token=TOKEN)) is RefusalCode.NOT_PERMITTED


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.PRACTITIONER, Role.CITIZEN)])
@pytest.mark.parametrize("access", [BY_GRANT, BY_SELF])
def test_every_other_role_sees_no_records(role: Role, access: AccessInput) -> None:
    caller = replace(DOCTOR, role=role, identity=CITIZEN.identity)
    assert code(decide(caller, access, TOKEN, GRANT, NOW, own_token=TOKEN)) is RefusalCode.NOT_PERMITTED


@pytest.mark.parametrize("purpose", [Purpose.ETREAT, Purpose.BTG, Purpose.PUBHLTH, Purpose.HOPERAT])
def test_purposes_of_later_releases_are_named_as_such(purpose: Purpose) -> None:
    refusal = decide(DOCTOR, replace(BY_GRANT, purpose=purpose), TOKEN, GRANT, NOW)
    assert code(refusal) is RefusalCode.PURPOSE_UNSUPPORTED
    assert isinstance(refusal, Refusal) and refusal.client_code == "PURPOSE_UNSUPPORTED"


@pytest.mark.parametrize("basis", [Basis.SELF, Basis.REFERRAL, Basis.EMERGENCY, Basis.LAW])
def test_bases_of_later_releases_are_named_as_such(basis: Basis) -> None:
    assert code(decide(DOCTOR, replace(BY_GRANT, basis=basis), TOKEN, GRANT, NOW)) is RefusalCode.BASIS_UNSUPPORTED


@given(callers, accesses, tokens, st.none() | tokens)
def test_without_a_grant_nobody_but_the_patient_is_ever_permitted(
    caller: Caller, access: AccessInput, patient: bytes, own: bytes | None
) -> None:
    answer = decide(caller, access, patient, None, NOW, own_token=own)
    if isinstance(answer, Permit):
        assert caller.role is Role.CITIZEN and caller.identity is not None and own == patient
        assert (answer.purpose, answer.basis) == (Purpose.PATRQT, Basis.SELF)


@given(callers, accesses, tokens, grants, st.none() | tokens)
def test_a_permit_is_never_wider_than_the_grant(
    caller: Caller, access: AccessInput, patient: bytes, grant: Grant, own: bytes | None
) -> None:
    answer = decide(caller, access, patient, grant, NOW, own_token=own)
    if isinstance(answer, Permit) and answer.basis is not Basis.SELF:
        assert caller.role is Role.PRACTITIONER and access.evidence == grant.id == answer.evidence
        assert grant.patient_token == patient and grant.withdrawn_at is None and grant.expires_at > NOW
        for grantee, own_name in (
            (grant.grantee_facility, caller.facility),
            (grant.grantee_licence, caller.licence),
        ):
            assert grantee is None or grantee == own_name
        assert (grant.grantee_facility or grant.grantee_licence) is not None
        given_kinds = None if grant.kinds is None else {kind.value for kind in grant.kinds}
        assert (None if answer.allowed.kinds is None else set(answer.allowed.kinds)) == given_kinds
        assert (answer.allowed.period_low, answer.allowed.period_high) == grant.bounds()
    if isinstance(answer, Permit):
        assert answer.allowed.denied_labels == RESTRICTED_ALL


@given(grants, st.floats(NOW - 20, NOW + 20), st.floats(0, 1e6), st.floats(NOW - 20, NOW + 20))
def test_what_time_or_withdrawal_has_ended_never_opens_again(
    grant: Grant, now: float, later: float, withdrawn_at: float
) -> None:
    access = replace(BY_GRANT, evidence=strawberry.ID(grant.id))

    def permitted(g: Grant, at: float) -> bool:
        return isinstance(decide(DOCTOR, access, TOKEN, g, at), Permit)

    assert not permitted(replace(grant, withdrawn_at=withdrawn_at), now)
    assert not permitted(grant, grant.expires_at + later)
    assume(not permitted(grant, now))
    assert not permitted(grant, now + later)
