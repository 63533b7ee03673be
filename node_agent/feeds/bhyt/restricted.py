"""XML6, 9, 10, 11, 15 -> DocumentReferences with labels.

Who may see a label is decided elsewhere, never here.
"""

from __future__ import annotations

from collections.abc import Iterator

from node_agent.feeds.bhyt import codes
from node_agent.feeds.bhyt.documents import (
    PREGNANCY_ENDED,
    REPRODUCTIVE,
    document_body,
    filled,
    sections_of,
    signer,
    tells_of_pregnancy,
)
from node_agent.feeds.bhyt.rows import Row
from node_agent.feeds.bhyt.visit import Visit
from node_agent.records import ParsedRecord
from schema.elements import RecordKind

TITLES = {
    "XML6": "Hồ sơ chăm sóc và điều trị HIV/AIDS",
    "XML9": "Giấy chứng sinh",
    "XML10": "Giấy chứng nhận nghỉ dưỡng thai",
    "XML11": "Giấy chứng nhận nghỉ việc hưởng BHXH",
    "XML15": "Điều trị bệnh lao",
}
# The attendance itself is what these two tell, so their labels go on the whole unit as well.
UNIT_LABELS = {"XML6": frozenset({"HIV"}), "XML15": frozenset({"TB", "HIV"})}
DATES = {"XML6": ("NGAY_BAT_DAU_XU_TRI", "NGAY_KQ_XN_TLVR"), "XML15": ("NGAYBD_DTRI_LAO",)}

_TUBERCULOSIS = {
    "LOAI_DTRI_LAO": "Loại điều trị lao",
    "PHACDO_DTRI_LAO": "Phác đồ điều trị lao",
    "NGAYBD_DTRI_LAO": "Ngày bắt đầu điều trị lao",
    "NGAYKT_DTRI_LAO": "Ngày kết thúc điều trị lao",
}
_HIV = {
    "NGAYKD_HIV": "Ngày khẳng định HIV",
    "BDDT_ARV": "Ngày bắt đầu điều trị ARV",
    "NGAY_BAT_DAU_DT_CTX": "Ngày bắt đầu Cotrimoxazol",
}
_LEAVE = {"TU_NGAY": "Nghỉ từ ngày", "DEN_NGAY": "Nghỉ đến ngày"}
HEADINGS: dict[str, dict[str, str]] = {
    "XML6": {
        **_HIV,
        "NOI_LAY_MAU_XN": "Nơi lấy mẫu xét nghiệm HIV",
        "NOI_XN_KD": "Nơi xét nghiệm khẳng định",
        "NOI_BDDT_ARV": "Nơi bắt đầu điều trị ARV",
        "MA_PHAC_DO_DIEU_TRI_BD": "Phác đồ ban đầu",
        "MA_BAC_PHAC_DO_BD": "Bậc phác đồ ban đầu",
        "MA_LYDO_DTRI": "Lý do đăng ký điều trị",
        **_TUBERCULOSIS,
        "SANG_LOC_LAO": "Sàng lọc lao",
        "KQ_DTRI_LAO": "Kết quả điều trị lao",
        "MA_LYDO_XNTL_VR": "Lý do xét nghiệm tải lượng vi rút",
        "NGAY_XN_TLVR": "Ngày lấy mẫu tải lượng vi rút",
        "KQ_XNTL_VR": "Kết quả tải lượng vi rút",
        "NGAY_KQ_XN_TLVR": "Ngày có kết quả tải lượng vi rút",
        "MA_LOAI_BN": "Đối tượng đến khám",
        "GIAI_DOAN_LAM_SANG": "Giai đoạn lâm sàng",
        "NHOM_DOI_TUONG": "Nhóm đối tượng",
        "MA_TINH_TRANG_DK": "Tình trạng khi đăng ký",
        "LAN_XN_PCR": "Lần xét nghiệm PCR",
        "NGAY_XN_PCR": "Ngày xét nghiệm PCR",
        "NGAY_KQ_XN_PCR": "Ngày có kết quả PCR",
        "MA_KQ_XN_PCR": "Kết quả PCR",
        "NGAY_NHAN_TT_MANG_THAI": "Ngày nhận thông tin mang thai",
        "MA_XU_TRI": "Xử trí",
        "NGAY_BAT_DAU_XU_TRI": "Ngày bắt đầu xử trí",
        "NGAY_KET_THUC_XU_TRI": "Ngày kết thúc xử trí",
        "MA_PHAC_DO_DIEU_TRI": "Phác đồ điều trị",
        "MA_BAC_PHAC_DO": "Bậc phác đồ",
        "SO_NGAY_CAP_THUOC_ARV": "Số ngày cấp thuốc ARV",
        "NGAY_CHUYEN_PHAC_DO": "Ngày chuyển phác đồ",
        "LY_DO_CHUYEN_PHAC_DO": "Lý do chuyển phác đồ",
    },
    "XML9": {
        "GIOI_TINH_CON": "Giới tính con",
        "NGAY_SINH_CON": "Ngày sinh con",
        "CAN_NANG_CON": "Cân nặng con (g)",
        "TINH_TRANG_CON": "Tình trạng con",
        "NOI_SINH_CON": "Nơi sinh",
        "SO_CON": "Số con trong lần sinh này",
        "LAN_SINH": "Lần sinh",
        "SO_CON_SONG": "Số con hiện sống",
        "SINHCON_PHAUTHUAT": "Sinh con phải phẫu thuật",
        "SINHCON_DUOI32TUAN": "Sinh con dưới 32 tuần",
        "GHI_CHU": "Ghi chú",
        "NGUOI_DO_DE": "Người đỡ đẻ",
        "NGUOI_GHI_PHIEU": "Người ghi phiếu",
    },
    "XML10": {"CHAN_DOAN_RV": "Chẩn đoán", "SO_NGAY": "Số ngày nghỉ", **_LEAVE},
    "XML11": {
        "CHAN_DOAN_RV": "Chẩn đoán",
        "PP_DIEUTRI": "Phương pháp điều trị",
        "SO_NGAY_NGHI": "Số ngày nghỉ",
        **_LEAVE,
    },
    "XML15": {
        "PHANLOAI_LAO_VITRI": "Phân loại theo vị trí",
        "PHANLOAI_LAO_TS": "Phân loại theo tiền sử điều trị",
        "PHANLOAI_LAO_HIV": "Phân loại theo tình trạng HIV",
        "PHANLOAI_LAO_VK": "Phân loại theo bằng chứng vi khuẩn",
        "PHANLOAI_LAO_KT": "Phân loại theo kháng thuốc",
        **_TUBERCULOSIS,
        "KET_QUA_DTRI_LAO": "Kết quả điều trị lao",
        **_HIV,
    },
}


def restricted_records(rows: list[Row], visit: Visit) -> Iterator[ParsedRecord]:
    """One labelled document per filled row; identity columns (a mother's name and card in XML9) are not
    carried.
    """
    for place, row in filled(rows):
        table = row.table
        pregnancy = table == "XML11" and tells_of_pregnancy(row)
        headings = HEADINGS[table] | (PREGNANCY_ENDED if pregnancy else {})
        when = row.date("NGAY_CT")
        for column in DATES.get(table, ()):
            when = when or row.date(column)
        title = TITLES[table]
        body = document_body(codes.code("LOAIHOSO", table, title), title, when, signer(row), sections_of(row, headings))
        # A birth or a pregnancy is no secret of the visit: hiding that visit from a mother's doctor would be a danger.
        labels = UNIT_LABELS.get(table, frozenset({"CERTIFICATE"})) | (REPRODUCTIVE if pregnancy else frozenset())
        yield visit.record(RecordKind.DOCUMENT_REFERENCE, place, body, time=when, labels=labels)
