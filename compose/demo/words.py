"""The contract's enums in words for people, Vietnamese and English. Texts of the ledger itself come with the answer."""

from __future__ import annotations

from collections.abc import Mapping

Words = Mapping[str, tuple[str, str]]

KIND: Words = {
    "ENCOUNTER": ("Lượt khám", "encounter"),
    "CONDITION": ("Chẩn đoán", "condition"),
    "OBSERVATION": ("Kết quả", "observation"),
    "PROCEDURE": ("Dịch vụ, thủ thuật", "procedure"),
    "IMAGING_STUDY": ("Chẩn đoán hình ảnh", "imaging study"),
    "MEDICATION_ADMINISTRATION": ("Thuốc tại viện", "drug given"),
    "PRESCRIPTION": ("Đơn thuốc", "prescription"),
    "ALLERGY_INTOLERANCE": ("Dị ứng", "allergy"),
    "IMMUNIZATION": ("Tiêm chủng", "immunization"),
    "DIAGNOSTIC_REPORT": ("Phiếu kết quả", "report"),
    "DOCUMENT_REFERENCE": ("Văn bản", "document"),
    "REFERRAL": ("Giấy chuyển tuyến", "referral letter"),
    "APPOINTMENT": ("Giấy hẹn khám lại", "appointment"),
    "INSURANCE_PLAN_CARD": ("Thẻ BHYT", "insurance card"),
}
OUTCOME: Words = {
    "ANSWERED": ("Đã trả lời", "answered"),
    "EMPTY": ("Không có bản ghi phù hợp", "no matching records"),
    "NOT_HELD": ("Không lưu loại này", "cannot hold this kind"),
    "NOT_ASKED": ("Không hỏi", "not asked"),
    "LOCATOR_BEHIND": ("Chưa kết nối / chỉ mục cũ", "not connected or index behind"),
    "LAGGING": ("Nguồn im lặng quá lâu", "feed silent"),
    "TRUNCATED": ("Bị cắt bớt", "truncated"),
    "UNSUPPORTED": ("Nút chưa hỗ trợ", "not supported by the node"),
    "WITHHELD": ("Giữ lại, chưa cho xem", "withheld"),
    "REFUSED": ("Từ chối", "refused"),
    "OVER_BUDGET": ("Quá tải", "over budget"),
    "CIRCUIT_OPEN": ("Tạm ngừng hỏi", "circuit open"),
    "UNREACHABLE": ("Không kết nối được", "unreachable"),
    "TIMED_OUT": ("Quá thời hạn", "timed out"),
    "INVALID_RESPONSE": ("Trả lời sai quy cách", "invalid response"),
}
COMPLETENESS: Words = {
    "COMPLETE": ("ĐỦ", "complete"),
    "UNCERTAIN": ("CHƯA CHẮC CHẮN", "uncertain"),
    "INCOMPLETE": ("THIẾU", "incomplete"),
}
# "None" is said for STATED_NONE alone: a clinician wrote the negation down.
STATEMENT: Words = {
    "RECORDED": ("Có ghi nhận", "on record"),
    "STATED_NONE": ("Bác sĩ ghi rõ: không có", "a clinician stated: none"),
    "NOT_RECORDED": ("Chưa có cơ sở nào ghi nhận", "not recorded at any facility"),
    "UNKNOWN": ("Không rõ, phải hỏi người bệnh", "unknown, ask the patient"),
}
GENDER: Words = {
    "MALE": ("Nam", "male"),
    "FEMALE": ("Nữ", "female"),
    "OTHER": ("Khác", "other"),
    "UNKNOWN": ("Không rõ", "unknown"),
}
ENCOUNTER_CLASS: Words = {
    "AMBULATORY": ("Ngoại trú", "ambulatory"),
    "INPATIENT": ("Nội trú", "inpatient"),
    "DAY": ("Nội trú ban ngày", "day care"),
    "EMERGENCY": ("Cấp cứu", "emergency"),
    "HOME": ("Tại nhà", "home"),
    "VIRTUAL": ("Từ xa", "virtual"),
    "SCREENING": ("Khám sàng lọc", "screening"),
    "PHARMACY": ("Nhận thuốc theo hẹn", "drug collection"),
    "OTHER": ("Khác", "other"),
    "UNKNOWN": ("Không rõ loại", "class unknown"),
}
MEDICATION_USE: Words = {
    "TAKE_HOME": ("mang về", "to take home"),
    "IN_FACILITY": ("dùng tại viện", "given in the facility"),
    "UNKNOWN": ("không rõ nơi dùng", "place of use unknown"),
}
CRITICALITY: Words = {
    "low": ("nguy cơ thấp", "low risk"),
    "high": ("nguy cơ cao", "high risk"),
    "unable-to-assess": ("chưa đánh giá được", "unable to assess"),
}


def both(words: Words, code: str) -> str:
    """'Đã trả lời / answered'; the code itself for a value newer than these words."""
    vi, en = words.get(code, (code, ""))
    return f"{vi} / {en}" if en else vi


def vietnamese(words: Words, code: str) -> str:
    """The Vietnamese words alone, where a column names both languages in its head."""
    return words.get(code, (code, ""))[0]
