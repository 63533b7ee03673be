"""XML1 and XML0 -> Encounter, Conditions and insurance cards. The other tables have their own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.rows import Row
from node_agent.feeds.bhyt.visit import Visit, diagnosis_codes
from node_agent.records import Body, ParsedRecord
from schema.elements import DiagnosisRole, EncounterStatus, RecordKind

ROLES = {
    "MA_BENH_CHINH": DiagnosisRole.MAIN,
    "MA_BENH_KT": DiagnosisRole.COMORBID,
    "MA_BENH_YHCT": DiagnosisRole.TRADITIONAL,
}


def encounter_records(row: Row, visit: Visit) -> Iterator[ParsedRecord]:
    """The Encounter first, then its Conditions and the cards shown.

    An XML0 row gives an encounter in progress.

    XML0 and XML1 share their source keys: the check-in and the finished visit are one record.
    """
    status = EncounterStatus.IN_PROGRESS if row.table == "XML0" else EncounterStatus.FINISHED
    encounter = visit.record(RecordKind.ENCOUNTER, "XML1", _encounter(row, visit, status))
    yield replace(encounter, encounter_key=None, table=row.table)
    if row.table == "XML1":
        yield from _conditions(row, visit)
    yield from _cards(row, visit)


def _encounter(row: Row, visit: Visit, status: EncounterStatus) -> Body:
    kind = row.text("MA_LOAI_KCB")
    return {
        "status": status.value,
        "class": visit.encounter_class.value,
        "types": [],
        "careType": {
            **codes.code("MA_LOAI_KCB", kind, codes.CARE_TYPES.get(visit.kind or "")),
            "code": visit.kind or kind,
        }
        if kind
        else None,
        "eligibility": codes.optional("MA_DOITUONG_KCB", row.text("MA_DOITUONG_KCB"))
        or codes.optional("MA_LYDO_VVIEN", row.text("MA_LYDO_VVIEN")),
        "period": {"start": visit.start, "end": visit.end},
        "admittedAt": row.date("NGAY_VAO_NOI_TRU"),
        "recordNumber": row.text("MA_HSBA"),
        "departments": [codes.code("MA_KHOA", department) for department in row.items("MA_KHOA")],
        "reason": row.text("LY_DO_VV"),
        "reasons": [
            codes.code(column, sent)
            for column in ("MA_LY_DO_VNT", "MA_TAI_NAN")
            for sent in row.items(column)
            if sent != "0"
        ],
        "admissionReason": row.text("LY_DO_VNT"),
        "admissionDiagnosis": row.text("CHAN_DOAN_VAO"),
        "dischargeDiagnosis": row.text("CHAN_DOAN_RV"),
        "treatment": row.text("PP_DIEU_TRI"),
        "advice": row.text("GHI_CHU"),
        "outcome": codes.named("KET_QUA_DTRI", row.text("KET_QUA_DTRI"), codes.OUTCOMES),
        "disposition": codes.named("MA_LOAI_RV", row.text("MA_LOAI_RV"), codes.DISPOSITIONS),
        "referredFrom": row.text("MA_NOI_DI"),
        "referredTo": row.text("MA_NOI_DEN"),
        "broughtLetterNumber": row.text("GIAY_CHUYEN_TUYEN"),
        "days": row.integer("SO_NGAY_DTRI"),
        "weightKg": row.decimal("CAN_NANG"),
        "practitioners": [],
    }


def _conditions(row: Row, visit: Visit) -> Iterator[ParsedRecord]:
    """One Condition per code.

    The discharge text names the main one only when it is the text of a single diagnosis.
    """
    text = row.text("CHAN_DOAN_RV")
    single = text if text and ";" not in text and "\n" not in text else None
    for position, (column, code) in enumerate(diagnosis_codes(row, single), start=1):
        body: Body = {
            "code": code,
            "role": ROLES[column].value,
            "clinicalStatus": None,
            "verificationStatus": None,
            "onset": None,
            "abatement": None,
            "recordedDate": None,
            "note": None,
        }
        yield visit.record(RecordKind.CONDITION, f"XML1/{column}/{position}", body)


def _cards(row: Row, visit: Visit) -> Iterator[ParsedRecord]:
    """One InsurancePlanCard per card; MA_DKBD and GT_THE_* are lists aligned with the cards."""
    registered, since, until = row.aligned("MA_DKBD"), row.aligned("GT_THE_TU"), row.aligned("GT_THE_DEN")
    starts, ends = row.dates("GT_THE_TU", since), row.dates("GT_THE_DEN", until)
    seen: set[str] = set()
    for place, number in enumerate(row.aligned("MA_THE_BHYT")):
        if not number or number in seen:
            continue
        seen.add(number)
        start, end = (dates[place] if place < len(dates) else None for dates in (starts, ends))
        body: Body = {
            "number": number,
            "registeredFacility": (registered[place] or None) if place < len(registered) else None,
            "period": {"start": start, "end": end} if start or end else None,
            "benefit": number[2] if len(number) == 15 else None,
        }
        card = visit.record(RecordKind.INSURANCE_PLAN_CARD, f"XML1/MA_THE_BHYT/{len(seen)}", body)
        yield replace(card, table=row.table)
