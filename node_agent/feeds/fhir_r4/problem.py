"""Why a resource could not be used: stable codes with reasons and what to do, in both languages. No patient data in any text."""

from __future__ import annotations

REASONS: dict[str, tuple[str, str]] = {
    "INVALID_UTF8": (
        "Tệp không phải UTF-8 hợp lệ; xuất lại bằng UTF-8",
        "The bytes are not valid UTF-8; export as UTF-8",
    ),
    "INVALID_JSON": (
        "JSON không hợp lệ (kể cả NaN, Infinity, số quá dài); xuất lại",
        "Not valid JSON (NaN, Infinity and over-long numbers included); export again",
    ),
    "TOO_LARGE": (
        "Tệp lớn hơn giới hạn; chia nhỏ đợt gửi",
        "The file is larger than the limit; send smaller bundles",
    ),
    "TOO_DEEP": (
        "Cấu trúc lồng quá sâu; sửa chương trình xuất",
        "Nested too deeply; correct the exporter",
    ),
    "EMPTY": (
        "Tệp rỗng; gửi lại",
        "The file is empty; send it again",
    ),
    "DUPLICATE_KEY": (
        "Một khoá JSON lặp lại trong cùng đối tượng; sửa chương trình xuất",
        "A JSON key occurs twice in one object; correct the exporter",
    ),
    "INVALID_TEXT": (
        "Chuỗi chứa ký tự NUL hoặc nửa cặp thay thế; sửa tại nguồn",
        "A string holds NUL or half a surrogate pair; clean the text at its source",
    ),
    "NOT_A_RESOURCE": (
        "Không phải tài nguyên FHIR (thiếu resourceType); xem tệp đã gửi",
        "Not a FHIR resource (no usable resourceType); check what was sent",
    ),
    "DELETE_UNSUPPORTED": (
        "Yêu cầu xoá hoặc vá không được thực hiện; hãy gửi lại tài nguyên với trạng thái entered-in-error",
        "DELETE and PATCH are not applied; send the resource again as entered-in-error",
    ),
    "MISSING_FIELD": (
        "Thiếu phần tử bắt buộc; sửa chương trình xuất",
        "A required element is missing; correct the exporter",
    ),
    "WRONG_TYPE": (
        "Phần tử sai kiểu JSON; sửa chương trình xuất",
        "The element has the wrong JSON type; correct the exporter",
    ),
    "WRONG_VALUE": (
        "Giá trị không thuộc tập cho phép hoặc không đọc được; sửa chương trình xuất",
        "The value is not allowed here or cannot be read; correct the exporter",
    ),
    "BAD_DATE": (
        "Ngày giờ không đúng dạng FHIR; sửa chương trình xuất",
        "Not a FHIR date, dateTime or instant; correct the exporter",
    ),
    "NO_PATIENT": (
        "Không xác định được người bệnh; gửi kèm người bệnh (subject)",
        "The patient cannot be determined; send it with its subject",
    ),
    "PATIENT_MISMATCH": (
        "Người bệnh của bản ghi khác người bệnh của lượt khám; sửa trong HIS: có thể lẫn hai người",
        "The record's patient is not the patient of its encounter; correct it in the HIS: this could mix two people",
    ),
    "UNKNOWN_MODIFIER": (
        "Có modifierExtension không hiểu được, nghĩa của bản ghi có thể khác; yêu cầu bổ sung ánh xạ",
        "A modifierExtension that is not understood may change the meaning; ask for it to be mapped",
    ),
    "UNRESOLVED_REFERENCE": (
        "Tham chiếu không có trong tệp; gửi cả hai trong một tệp",
        "The reference is not in the file; send both together",
    ),
}


class ReadingError(Exception):
    """One resource, or the whole file, cannot be used. field is a path such as
    Observation.valueQuantity.value, or None.
    """

    def __init__(self, code: str, field: str | None = None) -> None:
        super().__init__(f"{code} {field or ''}".strip())
        self.code, self.field = code, field
        self.reason_vi, self.reason_en = REASONS[code]
