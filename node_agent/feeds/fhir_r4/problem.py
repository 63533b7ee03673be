"""Why a resource could not be used: stable codes with their reasons in both languages. No patient data in
any text.
"""

from __future__ import annotations

REASONS: dict[str, tuple[str, str]] = {
    "INVALID_UTF8": ("Tệp không phải UTF-8 hợp lệ", "The bytes are not valid UTF-8"),
    "INVALID_JSON": (
        "JSON không hợp lệ (kể cả NaN, Infinity, số quá dài)",
        "Not valid JSON (NaN, Infinity and over-long numbers included)",
    ),
    "TOO_LARGE": ("Tệp lớn hơn giới hạn", "The file is larger than the limit"),
    "TOO_DEEP": ("Cấu trúc lồng quá sâu", "Nested too deeply"),
    "EMPTY": ("Tệp rỗng", "The file is empty"),
    "DUPLICATE_KEY": ("Một khoá JSON lặp lại trong cùng đối tượng", "A JSON key occurs twice in one object"),
    "INVALID_TEXT": (
        "Chuỗi chứa ký tự NUL hoặc nửa cặp thay thế",
        "A string holds NUL or half a surrogate pair",
    ),
    "NOT_A_RESOURCE": (
        "Không phải tài nguyên FHIR (thiếu resourceType)",
        "Not a FHIR resource (no usable resourceType)",
    ),
    "DELETE_UNSUPPORTED": (
        "Yêu cầu xoá hoặc vá không được thực hiện; hãy gửi lại tài nguyên với trạng thái entered-in-error",
        "DELETE and PATCH are not applied; send the resource again as entered-in-error",
    ),
    "MISSING_FIELD": ("Thiếu phần tử bắt buộc", "A required element is missing"),
    "WRONG_TYPE": ("Phần tử sai kiểu JSON", "The element has the wrong JSON type"),
    "WRONG_VALUE": (
        "Giá trị không thuộc tập cho phép hoặc không đọc được",
        "The value is not allowed here or cannot be read",
    ),
    "BAD_DATE": ("Ngày giờ không đúng dạng FHIR", "Not a FHIR date, dateTime or instant"),
    "NO_PATIENT": ("Không xác định được người bệnh", "The patient cannot be determined"),
    "PATIENT_MISMATCH": (
        "Người bệnh của bản ghi khác người bệnh của lượt khám",
        "The record's patient is not the patient of its encounter",
    ),
    "UNKNOWN_MODIFIER": (
        "Có modifierExtension không hiểu được, nghĩa của bản ghi có thể khác",
        "A modifierExtension that is not understood may change the meaning",
    ),
    "UNRESOLVED_REFERENCE": ("Tham chiếu không có trong tệp", "The reference is not in the file"),
}


class ReadingError(Exception):
    """One resource, or the whole file, cannot be used. field is a path such as
    Observation.valueQuantity.value, or None.
    """

    def __init__(self, code: str, field: str | None = None) -> None:
        super().__init__(f"{code} {field or ''}".strip())
        self.code, self.field = code, field
        self.reason_vi, self.reason_en = REASONS[code]
