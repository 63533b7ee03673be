"""Code bodies {system, code, display, asSent} and the insurer's small code sets.

Which column holds which set: the table files.
"""

from __future__ import annotations

import re
from typing import Any

ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD9_PROCEDURE = "http://hl7.org/fhir/sid/icd-9-cm"
LOINC = "http://loinc.org"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

ICD10_SHAPE = re.compile(r"([A-Z]\d[0-9A-Z])([0-9A-Z]{0,4})", re.ASCII)

# QĐ 1804/QĐ-BYT (2026) care types; 11-16 came into force with it, on this day.
CARE_TYPES_SINCE = "2026-08-01"
CARE_TYPES = {
    "01": "Khám bệnh",
    "02": "Điều trị ngoại trú",
    "03": "Điều trị nội trú",
    "04": "Điều trị nội trú ban ngày",
    "05": "Điều trị ngoại trú bệnh mạn tính dài ngày, có khám và lĩnh thuốc",
    "06": "Lưu theo dõi tại trạm y tế, phòng khám đa khoa",
    "07": "Nhận thuốc theo hẹn, không khám",
    "08": "Điều trị ngoại trú bệnh mạn tính dài ngày, có dịch vụ kỹ thuật hoặc thuốc",
    "09": "Điều trị nội trú dưới 4 giờ",
    "10": "Trường hợp khác",
    "11": "Khám chữa bệnh lưu động",
    "12": "Khám chữa bệnh tại nhà",
    "13": "Y học gia đình",
    "14": "Khám chữa bệnh từ xa",
    "15": "Khám sức khoẻ định kỳ",
    "16": "Khám sàng lọc",
}
OUTCOMES = {
    "1": "Khỏi",
    "2": "Đỡ",
    "3": "Không thay đổi",
    "4": "Nặng hơn",
    "5": "Tử vong",
    "6": "Tiên lượng nặng xin về",
    "7": "Chưa xác định",
    "8": "Tử vong ngoại viện",
}
DISPOSITIONS = {
    "1": "Ra viện",
    "2": "Chuyển tuyến theo yêu cầu chuyên môn",
    "3": "Trốn viện",
    "4": "Xin ra viện",
    "5": "Chuyển tuyến theo yêu cầu người bệnh",
}
REFERRAL_REASONS = {
    "1": "Đủ điều kiện chuyển tuyến, đúng quy định",
    "2": "Vượt khả năng đáp ứng của cơ sở",
    "3": "Theo yêu cầu của người bệnh hoặc người đại diện",
}
ANAESTHESIA = {"1": "Gây mê", "2": "Gây tê", "3": "Châm tê", "4": "Phương pháp vô cảm khác"}


def system_of(column: str) -> str:
    """The URI of a code set that only the insurer's tables name; no official URI exists yet (an own urn
    stands in).
    """
    return f"urn:bhyt:{column}"


def code(column: str, sent: str | None, display: str | None = None) -> dict[str, Any]:
    """A Code of the set named by its column."""
    return {"system": system_of(column), "code": sent, "display": display, "asSent": sent}


def optional(column: str, sent: str | None, display: str | None = None) -> dict[str, Any] | None:
    """The Code, or None when nothing was sent."""
    return code(column, sent, display) if sent else None


def named(column: str, sent: str | None, names: dict[str, str]) -> dict[str, Any] | None:
    """The Code with its Vietnamese name from a table of this file; None when nothing was sent."""
    return code(column, sent, names.get(sent)) if sent else None


def loinc(number: str, display: str, sent: str | None) -> dict[str, Any]:
    return {"system": LOINC, "code": number, "display": display, "asSent": sent}


def icd10(sent: str, display: str | None = None) -> dict[str, Any]:
    """An ICD-10 Code with its dot; code is None when the text has not the shape of one.

    Daggers and asterisks are dropped.
    """
    compact = re.sub(r"[.\s*†+]", "", sent).upper()
    shape = ICD10_SHAPE.fullmatch(compact)
    normal = None if not shape else f"{shape[1]}.{shape[2]}" if shape[2] else shape[1]
    return {"system": ICD10, "code": normal, "display": display, "asSent": sent}


def procedure_code(sent: str | None) -> dict[str, Any] | None:
    """ICD-9-CM (volume 3) of MA_PTTT_QT; a list keeps its first code as code and the whole as sent."""
    if not sent:
        return None
    return {
        "system": ICD9_PROCEDURE,
        "code": sent.split(";")[0].strip() or None,
        "display": None,
        "asSent": sent,
    }
