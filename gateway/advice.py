"""What the ledger tells people: one advice an outcome, in Vietnamese and English. Constant texts; nothing about a patient."""

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
    Outcome.TRUNCATED: text("Câu trả lời bị cắt bớt; hãy thu hẹp bộ lọc.", "The answer was cut; narrow the filter."),
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

DOUBTFUL = text(
    "Ở đây còn hồ sơ mang số giấy tờ này nhưng có thể là của con người bệnh; hãy xác minh với cơ sở.",
    "Another record here carries this identifier but may be of the patient's child; verify with the facility.",
)
FAILED_ITEMS = text(
    "Cơ sở có tệp của người bệnh này bị lỗi, chưa đọc được: hồ sơ có thể thiếu phần mới nhất.",
    "A file about this patient failed here and is not readable yet: the newest part may be missing.",
)
KINDS_MISSING = text(
    "Cơ sở đã trả lời, nhưng phiên bản của nút chưa cho biết vài loại hồ sơ: phần đó thiếu. Xem từng loại.",
    "Answered, but the node's version could not give some kinds of record: those are missing. See the kinds.",
)

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
LAW_HIDDEN = text(
    "Các nhóm thông tin pháp luật bảo vệ riêng (kể cả thuốc) không hiển thị, với mọi người bệnh.",
    "Categories closed by law, medicines included, are not shown, for every patient.",
)
BREAK_GLASS = text(
    "Trong cấp cứu, pháp luật cho truy cập khẩn cấp có ghi vết.",
    "In an emergency the law allows traced emergency access.",
)
