"""Who the patient of a file is: identifiers, placeholders and doubts."""

from __future__ import annotations

import pytest

from node_agent.records import ParsedPatient
from schema.identity import IdentifierKind
from tests.node_agent.feeds.bhyt_files import remarks_of, unit_of


def patient_of(**summary: str) -> ParsedPatient:
    return unit_of(None, **summary).patient


def test_the_patient_has_strong_and_weak_identifiers() -> None:
    patient = patient_of(MA_THE_BHYT="DN4010119987654;0119987654", GIOI_TINH="2", NGAY_SINH="195000000000")
    assert [(i.kind, i.value) for i in patient.identifiers] == [
        (IdentifierKind.CCCD, "001080123457"),
        (IdentifierKind.BHXH, "0119987654"),
    ]
    assert (patient.local_id, patient.name, patient.birth_date, patient.gender) == (
        "BN1",
        "NGUYỄN VĂN MẪU",
        "1950",
        "FEMALE",
    )
    assert patient.doubts == frozenset()


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("000000000000", "PLACEHOLDER_IDENTIFIER"),
        ("123456789012", "PLACEHOLDER_IDENTIFIER"),
        ("KHONGCO", "PLACEHOLDER_IDENTIFIER"),
        ("12345", "PLACEHOLDER_IDENTIFIER"),
        ("0010801234", "IDENTIFIER_UNREADABLE"),
    ],
)
def test_a_placeholder_is_remarked_and_is_no_identifier(number: str, code: str) -> None:
    unit = unit_of(SO_CCCD=number, MA_THE_BHYT="DN4010000000000")
    assert unit.patient.identifiers == ()
    assert remarks_of(unit) == {(code, "XML1/SO_CCCD"): 1, ("PLACEHOLDER_IDENTIFIER", "XML1/MA_THE_BHYT"): 1}


@pytest.mark.parametrize(
    ("birth", "doubtful"),
    [
        ("202011110000", True),
        ("202011100000", False),
        ("202000000000", True),
        ("201900000000", False),
        ("20201100", True),
    ],
)
def test_a_child_under_six_is_doubtful_and_a_partial_date_counts_as_younger(birth: str, doubtful: bool) -> None:
    assert ("UNDER_SIX" in patient_of(NGAY_SINH=birth).doubts) == doubtful


def test_other_doubts_come_from_cards_papers_and_newborns() -> None:
    assert patient_of(MA_THE_BHYT="TE1010119987654").doubts == {"CHILD_CARD"}
    assert patient_of(CAN_NANG_CON="3150").doubts == {"NEWBORN_WEIGHT"}
    assert unit_of({"XML7": [{"MA_LK": "LK1", "MA_THE_TAM": "TE1019999999999"}]}).patient.doubts == {"TEMPORARY_CARD"}
    assert unit_of({"XML9": [{"MA_LK": "LK1", "CAN_NANG_CON": "3150"}]}).patient.doubts == {"BIRTH_CERTIFICATE"}
    assert unit_of({"XML9": [{"MA_LK": "LK1", "CAN_NANG_CON": ""}]}).patient.doubts == frozenset()
