"""What the ledger tells people: an advice for every outcome and reason, in Vietnamese and English. Constant texts; nothing
about a patient.
"""

from __future__ import annotations

from schema.coverage import Completeness, Outcome

Text = dict[str, str]


def text(vi: str, en: str) -> Text:
    """A bilingual text, by schema.coverage.Language."""
    return {"VI": vi, "EN": en}


ADVICE: dict[Outcome, Text] = {
    Outcome.ANSWERED: text("Đã trả lời.", "Answered."),
    Outcome.EMPTY: text("Đã trả lời: không có bản ghi phù hợp.", "Answered: no matching records."),
    Outcome.NOT_HELD: text(
        "Cơ sở này không gửi loại dữ liệu này; hãy hỏi trực tiếp người bệnh hoặc cơ sở.",
        "This facility cannot carry this kind of data; ask the patient or the facility.",
    ),
    Outcome.NOT_ASKED: text("Không hỏi cơ sở này theo bộ lọc hoặc quyền.", "Not asked, by filter or permission."),
    Outcome.LOCATOR_BEHIND: text(
        "Cơ sở chưa kết nối hoặc chỉ mục chưa cập nhật: có thể còn hồ sơ ở đây mà hệ thống chưa biết.",
        "Not connected, or its index is behind: records may exist here that the system does not know of.",
    ),
    Outcome.LAGGING: text(
        "Nguồn dữ liệu của cơ sở im lặng quá nhịp: hồ sơ mới có thể chưa có.",
        "The facility's feed has been silent for too long: newer records may be missing.",
    ),
    Outcome.TRUNCATED: text(
        "Thiếu hồ sơ thuộc các trang trước; lấy bằng gapCursor.",
        "Records of earlier pages are missing; fetch them with gapCursor.",
    ),
    Outcome.UNSUPPORTED: text("Phiên bản của nút chưa hỗ trợ câu hỏi này.", "The node's version cannot answer this."),
    Outcome.WITHHELD: text(
        "Có hồ sơ mang số giấy tờ này nhưng thông tin nhân thân chưa khớp; hãy xác minh với cơ sở.",
        "Records carry this identifier but the person's data do not agree; verify with the facility.",
    ),
    Outcome.REFUSED: text("Cơ sở từ chối theo chính sách của mình.", "The facility refused by its own policy."),
    Outcome.OVER_BUDGET: text("Nút đang quá tải; hãy thử lại sau ít giây.", "The node is busy; try again shortly."),
    Outcome.CIRCUIT_OPEN: text("Nút vừa lỗi nhiều lần; hệ thống tạm ngừng hỏi.", "The node failed repeatedly; paused."),
    Outcome.UNREACHABLE: text(
        "Không kết nối được: thiếu hồ sơ của cơ sở này. Hãy gọi điện nếu cần gấp.",
        "Cannot be reached: this facility's records are missing. Call if it is urgent.",
    ),
    Outcome.TIMED_OUT: text(
        "Không kịp trả lời: thiếu hồ sơ của cơ sở này. Hãy thử lại hoặc gọi điện.",
        "Did not answer in time: this facility's records are missing. Try again or call.",
    ),
    Outcome.INVALID_RESPONSE: text(
        "Trả lời sai quy cách nên không dùng: thiếu hồ sơ của cơ sở này.",
        "Its answer was not valid and was not used: this facility's records are missing.",
    ),
}

COPIES: dict[str, Text] = {
    "WAREHOUSE_ONLY": text(
        "Chỉ có bản sao ở kho dữ liệu thành phố, có thể cũ; hãy hỏi cơ sở nếu cần bản mới nhất.",
        "Only copies from the city's warehouse, which may be old; ask the facility for the newest.",
    ),
    "WAREHOUSE_COPY": text(
        "Cơ sở không trả lời: đang xem bản sao ở kho dữ liệu thành phố, có thể thiếu phần mới nhất.",
        "The facility did not answer: copies from the city's warehouse are shown, and the newest may be missing.",
    ),
    "WAREHOUSE_MISSING": text(
        "Cơ sở đã trả lời; kho dữ liệu thành phố thì không, nên có thể thiếu hồ sơ cũ chỉ còn ở kho.",
        "The facility answered and the city's warehouse did not: old records kept only there may be missing.",
    ),
}
KINDS_MISSING = text(
    "Cơ sở đã trả lời, nhưng phiên bản của nút chưa cho biết vài loại hồ sơ: phần đó thiếu. Xem từng loại.",
    "Answered, but the node's version could not give some kinds of record: those are missing. See the kinds.",
)

# Where the reason changes what a person should do or believe. A reason counts with its own outcome only: a joined line may
# have the reason of another row beside the worst outcome.
REASONS: dict[tuple[Outcome, str], Text] = {
    (Outcome.NOT_ASKED, "FILTERED"): text("Không hỏi: bộ lọc loại cơ sở này.", "Not asked: the filter leaves it out."),
    (Outcome.NOT_ASKED, "NOT_PERMITTED"): text(
        "Không hỏi: giấy đồng ý không cho xem loại này.", "Not asked: the grant does not reach this kind."
    ),
    (Outcome.NOT_ASKED, "NEW_SINCE_FIRST_PAGE"): text(
        "Khi đọc các trang trước, hồ sơ ở đây chưa được biết hoặc chưa hỏi được nên các trang này thiếu; hãy hỏi lại từ trang đầu.",
        "Not known, or not to be asked, when an earlier page was read, so these pages lack it; ask again from the first page.",
    ),
    (Outcome.NOT_ASKED, "ANSWERED_BEFORE"): text(
        "Không hỏi lại: cơ sở đã trả lời ở các trang trước.", "Not asked again: it answered on the pages before."
    ),
    (Outcome.TRUNCATED, "GAP"): text(
        "Ở trang trước cơ sở này không trả lời: hồ sơ của trang đó còn thiếu; dùng gapCursor để hỏi lại.",
        "It did not answer on an earlier page: that page's records are still missing; ask for them by gapCursor.",
    ),
    (Outcome.LOCATOR_BEHIND, "NOT_CONNECTED"): text(
        "Cơ sở chưa kết nối: có thể có hồ sơ ở đây mà hệ thống không biết; hãy hỏi người bệnh hoặc cơ sở.",
        "Not connected yet: records may exist here that the system does not know of; ask the patient or the facility.",
    ),
    (Outcome.LOCATOR_BEHIND, "SYNC_BEHIND"): text(
        "Chỉ mục của cơ sở chưa cập nhật: người bệnh mới đến đây có thể chưa được biết.",
        "The facility's index is not current: somebody who came there lately may not be known yet.",
    ),
    (Outcome.LAGGING, "FEED_SILENT"): text(
        "Nguồn dữ liệu của cơ sở im lặng quá nhịp: hồ sơ mới có thể chưa có; hãy gọi nếu cần phần mới nhất.",
        "The facility's feed has been silent for too long: newer records may be missing; call if the newest matter.",
    ),
    (Outcome.UNREACHABLE, "NO_RESULT"): text(
        "Không có kết quả từ nút: thiếu hồ sơ của cơ sở này. Hãy thử lại hoặc gọi điện.",
        "The node gave no result: this facility's records are missing. Try again or call.",
    ),
    (Outcome.UNREACHABLE, "NODE_NOT_CONNECTED"): text(
        "Nút giữ hồ sơ này không còn trong thành phố: thiếu hồ sơ. Hãy gọi cơ sở.",
        "The node that holds these records has left the city: they are missing. Call the facility.",
    ),
    (Outcome.UNREACHABLE, "HANDED_OVER"): text(
        "Cơ sở vừa chuyển sang nút mới, nút mới chưa báo hết: có thể thiếu hồ sơ. Hãy hỏi lại sau.",
        "The facility has just moved to a new node, which has not told everything yet: records may be missing. Ask again later.",
    ),
    (Outcome.UNREACHABLE, "NODE_REVOKED"): text(
        "Nút của cơ sở đã bị thu hồi nên không được hỏi: thiếu hồ sơ. Hãy gọi cơ sở.",
        "The facility's node was revoked and is not asked: its records are missing. Call the facility.",
    ),
    (Outcome.WITHHELD, "IDENTITY_CONFLICT"): text(
        "Có hồ sơ mang số giấy tờ này nhưng ngày sinh hoặc giới tính khác; không hiển thị, hãy xác minh với cơ sở.",
        "Records carry this identifier with another birth date or sex; not shown, verify with the facility.",
    ),
    (Outcome.WITHHELD, "IDENTITY_QUARANTINED"): text(
        "Số giấy tờ này đang mang tên nhiều người khác nhau; không hiển thị, hãy xác minh bằng giấy tờ khác.",
        "This identifier stands for several different people; not shown, verify by another document.",
    ),
    (Outcome.INVALID_RESPONSE, "ANOTHER_PATIENT"): text(
        "Cơ sở trả lời về người khác nên không dùng: thiếu hồ sơ của cơ sở này. Hãy báo thành phố.",
        "It answered about somebody else, which was not used: its records are missing. Tell the city.",
    ),
    (Outcome.INVALID_RESPONSE, "REF_UNKNOWN"): text(
        "Cơ sở không còn nhận ra người bệnh: hồ sơ có thể đã dời chỗ, hãy thử lại sau ít phút.",
        "The facility no longer recognises the patient: the records may have moved, try again in some minutes.",
    ),
    (Outcome.INVALID_RESPONSE, "TOO_LARGE"): text(
        "Câu trả lời lớn quá mức cho phép nên không dùng; hãy xin ít dòng hơn hoặc thu hẹp thời gian.",
        "Its answer was larger than allowed and was not used; ask for fewer rows or a shorter period.",
    ),
}
_FAULT = ADVICE[Outcome.INVALID_RESPONSE]
# Faults of a node's software: a person does the same about each, and the reason tells the operator.
REASONS |= {
    (Outcome.INVALID_RESPONSE, reason): _FAULT
    for reason in (
        "NOT_UTF8", "NOT_JSON", "NOT_THE_CONTRACT", "NESTED_TOO_DEEPLY", "ERRORS_IN_ANSWER", "WRONG_NUMBER_OF_ENTITIES",
        "TOO_MANY_ROWS", "OUT_OF_ORDER", "DUPLICATE_ID", "MORE_AFTER_NOTHING", "BODY_IS_NO_OBJECT", "ANOTHER_FACILITY",
    )
}  # fmt: skip
# What a node of another contract could not be asked, or could not tell in ours.
REASONS |= {
    (Outcome.UNSUPPORTED, reason): ADVICE[Outcome.UNSUPPORTED]
    for reason in ("KIND_UNKNOWN", "ARGUMENT_UNKNOWN", "ENUM_VALUE_UNKNOWN", "FIELD_REQUIRED", "CONTRACT_UNKNOWN")
} | {
    (outcome, reason): KINDS_MISSING
    for reason in ("KINDS_UNSUPPORTED", "KINDS_INVALID")
    for outcome in (Outcome.ANSWERED, Outcome.UNSUPPORTED, Outcome.INVALID_RESPONSE)
}
REASONS[Outcome.INVALID_RESPONSE, "ENUM_VALUE_UNKNOWN"] = _FAULT
HTTP = "HTTP_"  # and a status: REFUSED or INVALID_RESPONSE, whose own advice fits every status

DOUBTFUL = text(
    "Ở đây còn hồ sơ mang số giấy tờ này nhưng có thể là của con người bệnh; hãy xác minh với cơ sở.",
    "Another record here carries this identifier but may be of the patient's child; verify with the facility.",
)
FAILED_ITEMS = text(
    "Cơ sở có tệp của người bệnh này bị lỗi, chưa đọc được: hồ sơ có thể thiếu phần mới nhất.",
    "A file about this patient failed here and is not readable yet: the newest part may be missing.",
)

REASONS[Outcome.WITHHELD, "IDENTITY_DOUBTFUL"] = DOUBTFUL


def of(outcome: Outcome, reason: str | None) -> Text:
    """The advice of a line or kind: its reason's where that says more than the outcome."""
    return ADVICE[outcome] if reason is None else REASONS.get((outcome, reason), ADVICE[outcome])


SUMMARY: dict[Completeness, Text] = {
    Completeness.COMPLETE: text(
        "Đủ: mọi cơ sở có hồ sơ đã trả lời.", "Complete: every facility that holds records answered."
    ),
    Completeness.UNCERTAIN: text(
        "Chưa chắc chắn: các cơ sở tìm được đã trả lời, nhưng còn cơ sở chưa kết nối hoặc chưa cập nhật chỉ mục.",
        "Uncertain: the facilities found answered, but others are not connected or their index is behind.",
    ),
    Completeness.INCOMPLETE: text(
        "THIẾU: có cơ sở giữ hồ sơ mà chưa trả lời đủ. Xem từng dòng.",
        "INCOMPLETE: a facility that holds records did not answer in full. See the lines.",
    ),
}
NONE_LOCATED = text(
    "Không tìm thấy người bệnh này ở cơ sở nào đã kết nối; điều đó không có nghĩa là không có hồ sơ.",
    "This patient was found at no connected facility; that does not mean there are no records.",
)

OTHERS_MAY_EXIST = text(
    "Có thể còn hồ sơ khác mà người hỏi không được biết.", "Other records may exist that the caller may not know of."
)
PERIOD_LIMITED = text(
    "Giấy đồng ý chỉ cho xem một khoảng thời gian; hồ sơ ngoài khoảng đó không hiển thị.",
    "The grant reaches a period only; records outside it are not shown.",
)
WEAK_NUMBER = text(
    "Tra bằng loại số này chỉ thấy hồ sơ có ghi đúng số đó; hãy tra bằng CCCD hoặc hộ chiếu nếu có.",
    "By this kind of number only records that bear it are found; ask by CCCD or passport where you can.",
)
LAW_HIDDEN = text(
    "Các nhóm thông tin pháp luật bảo vệ riêng (kể cả thuốc) không hiển thị, với mọi người bệnh.",
    "Categories closed by law, medicines included, are not shown, for every patient.",
)
BREAK_GLASS = text(
    "Trong cấp cứu, pháp luật cho truy cập khẩn cấp có ghi vết.",
    "In an emergency the law allows traced emergency access.",
)
