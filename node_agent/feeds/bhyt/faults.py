"""What stops a HOSO or a file: stable codes with their reasons in both languages.

What does not stop it is a Remark.
"""

from __future__ import annotations

from node_agent.records import FeedError, ParsedPatient

REASONS: dict[str, tuple[str, str]] = {
    "FILE_EMPTY": (
        "Tệp không có hồ sơ nào. Xuất lại tệp từ HIS.",
        "The file holds no record. Export it again from the HIS.",
    ),
    "FILE_TOO_LARGE": (
        "Tệp vượt giới hạn kích thước. Chia nhỏ đợt xuất.",
        "The file exceeds the size limit. Export smaller batches.",
    ),
    "DOCTYPE_REFUSED": (
        "Tệp có khai báo DOCTYPE, không được chấp nhận vì lý do an toàn. Bỏ khai báo rồi xuất lại.",
        "The XML has a DOCTYPE declaration, which is refused for safety. Remove it and export again.",
    ),
    "XML_NOT_WELL_FORMED": (
        "XML sai cú pháp hoặc bị cắt cụt. Xuất lại hồ sơ từ HIS.",
        "The XML is not well formed or was cut short. Export the record again from the HIS.",
    ),
    "ENVELOPE_UNKNOWN": (
        "Không phải phong bì GIAMDINHHS hay bảng XML0. Xem tệp nào đã được chép vào thư mục.",
        "This is neither a GIAMDINHHS envelope nor an XML0 table. Look at what was put into the folder.",
    ),
    "BASE64_INVALID": (
        "Nội dung NOIDUNGFILE không phải base64 hợp lệ. Xuất lại hồ sơ từ HIS.",
        "NOIDUNGFILE is not valid base64. Export the record again from the HIS.",
    ),
    "TABLE_MISSING": (
        "Hồ sơ thiếu bảng bắt buộc. Xuất lại hồ sơ cùng bảng này.",
        "The record lacks a table it cannot do without. Export it again with that table.",
    ),
    "TABLE_REPEATED": (
        "Một bảng chỉ được có một dòng lại có nhiều dòng khác nhau. Sửa trong HIS rồi xuất lại.",
        "A table that holds one row has several that differ. Correct it in the HIS and export again.",
    ),
    "FIELD_MISSING": (
        "Thiếu trường bắt buộc. Điền trong HIS rồi xuất lại hồ sơ.",
        "A field the record cannot do without is missing. Fill it in the HIS and export the record again.",
    ),
    "FIELD_INVALID": (
        "Trường bắt buộc có giá trị không đọc được, hoặc các bảng trong hồ sơ mâu thuẫn. Sửa trong HIS rồi xuất lại hồ sơ.",
        "A field the record cannot do without is unreadable, or its tables contradict each other. "
        "Correct it in the HIS and export the record again.",
    ),
    "FACILITY_UNKNOWN": (
        "Mã cơ sở KBCB không thuộc các cơ sở mà nút này phục vụ. Thêm vào [[facilities]] rồi chạy lại, hoặc chuyển tệp.",
        "The facility code is not one this node serves. Add it under [[facilities]] and replay, or move the file.",
    ),
}


class BhytError(Exception):
    """A part that cannot be used. Carries code, table and field; never a value from the file."""

    def __init__(self, code: str, table: str | None = None, field: str | None = None) -> None:
        super().__init__(code)
        self.code, self.table, self.field = code, table, field

    def report(self, where: str, facility: str | None = None, patient: ParsedPatient | None = None) -> FeedError:
        """The FeedError of this fault at a place such as 'HOSO 2'."""
        vietnamese, english = REASONS[self.code]
        return FeedError(self.code, where, self.table, self.field, vietnamese, english, facility, patient)
