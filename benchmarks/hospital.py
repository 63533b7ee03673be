"""The bench's hospital: one patient with 20 encounters, 3 diagnoses and 4 prescription lines each, as QĐ 4750 files."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

CCCD = "001085012347"
BIRTH = "198503120000"
ENCOUNTERS = 20
DIAGNOSES = ("E11.9", "I10", "E78.5")
DRUGS = (
    ("40.807", "Glucophage 850mg", "1 viên/lần * 2 lần/ngày * 28 ngày [2 viên/ngày]", "56"),
    ("40.800", "Diamicron MR 60mg", "1 viên/lần * 1 lần/ngày * 28 ngày [1 viên/ngày]", "28"),
    ("40.491", "Amlor 5mg", "1 viên/lần * 1 lần/ngày * 28 ngày [1 viên/ngày]", "28"),
    ("40.549", "Lipitor 20mg", "1 viên/lần * 1 lần/ngày * 28 ngày [1 viên/ngày]", "28"),
)

# The query whose answer is about 16 kB a hospital.
QUERY = """query History($by: PatientBy!, $access: AccessInput!) {
  patient(by: $by, access: $access) {
    coverage { completeness facilities { facility { code name } outcome records tookMs asOf advice } }
    patient { id name birthDate
      encounters(first: %d) {
        edges { sortKey facility { code name }
          node { id class period { start end }
            diagnoses { code display }
            prescriptions { number items { drug dose quantity } } } }
        pageInfo { hasNextPage endCursor } } } } }"""


def files(facility: str, cccd: str = CCCD) -> dict[str, bytes]:
    """One file a visit, in order."""
    start = datetime(2023, 1, 9, 8, 15)
    return {f"{n:04d}.xml": visit(facility, n, start + timedelta(days=41 * n), cccd) for n in range(ENCOUNTERS)}


def visit(facility: str, number: int, at: datetime, cccd: str = CCCD) -> bytes:
    """One GIAMDINHHS envelope."""
    link, when = f"{facility}{number:05d}", at.strftime("%Y%m%d%H%M")
    one = {
        "MA_LK": link,
        "STT": "1",
        "MA_BN": "BN000001",
        "HO_TEN": "TRẦN VĂN BÌNH",
        "SO_CCCD": cccd,
        "NGAY_SINH": BIRTH,
        "GIOI_TINH": "1",
        "LY_DO_VV": "Khám định kỳ đái tháo đường, tăng huyết áp",
        "CHAN_DOAN_RV": "Đái tháo đường típ 2; Tăng huyết áp vô căn; Rối loạn lipid máu",
        "MA_BENH_CHINH": DIAGNOSES[0],
        "MA_BENH_KT": ";".join(DIAGNOSES[1:]),
        "MA_DOITUONG_KCB": "1.1",
        "NGAY_VAO": when,
        "NGAY_RA": (at + timedelta(hours=2)).strftime("%Y%m%d%H%M"),
        "MA_LOAI_KCB": "01",
        "MA_KHOA": "K01",
        "MA_CSKCB": facility,
        "MA_HSBA": f"HS{number:06d}",
    }
    two = "".join(
        "<CHI_TIET_THUOC>"
        + row(
            {
                "MA_LK": link,
                "STT": str(i + 1),
                "MA_THUOC": code,
                "TEN_THUOC": name,
                "DON_VI_TINH": "Viên",
                "HAM_LUONG": name.split()[-1],
                "DUONG_DUNG": "1.01",
                "LIEU_DUNG": dose,
                "CACH_DUNG": "Uống sau ăn",
                "SO_LUONG": amount,
                "MA_BAC_SI": "012345/HNO-CCHN",
                "NGAY_YL": when,
            }
        )
        + "</CHI_TIET_THUOC>"
        for i, (code, name, dose, amount) in enumerate(DRUGS)
    )
    tables = {
        "XML1": f"<TONG_HOP>{row(one)}</TONG_HOP>",
        "XML2": f"<CHITIEU_CHITIET_THUOC><DSACH_CHI_TIET_THUOC>{two}</DSACH_CHI_TIET_THUOC></CHITIEU_CHITIET_THUOC>",
    }
    parts = "".join(
        f"<FILEHOSO><LOAIHOSO>{name}</LOAIHOSO><NOIDUNGFILE>{base64.b64encode(text.encode()).decode()}"
        "</NOIDUNGFILE></FILEHOSO>"
        for name, text in tables.items()
    )
    return (
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI><THONGTINHOSO>"
        f"<NGAYLAP>{at:%Y%m%d}</NGAYLAP><SOLUONGHOSO>1</SOLUONGHOSO><DANHSACHHOSO><HOSO>{parts}</HOSO>"
        "</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>"
    ).encode()


def row(fields: dict[str, str]) -> str:
    """Elements of one row; the bench's values need no escaping."""
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
