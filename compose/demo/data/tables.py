"""A visit as rows of the tables XML1-XML5 (QĐ 4750); papers are in `papers`, text in `envelope`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from compose.demo.data.conditions import CONDITIONS, text_of
from compose.demo.data.visits import COLLECTION, INPATIENT, LONG_TERM, Visit
from compose.demo.data.written import Written, write_down

Row = dict[str, str]
Tables = dict[str, list[Row]]


def minute(when: datetime | None) -> str:
    """yyyymmddHHMM, or nothing."""
    return f"{when:%Y%m%d%H%M}" if when else ""


def amount(value: Decimal) -> str:
    """A decimal with at most three places and no exponent, as exporters print it."""
    short = value.quantize(Decimal("0.001")).normalize()
    return f"{short:f}"


def diagnosis_text(visit: Visit) -> str:
    return "; ".join(text_of(code) for code in visit.codes)


def tables_of(visit: Visit) -> Tables:
    """XML1 to XML5 of one visit; every row holds only filled columns."""
    drugs, services = _drug_rows(visit), _service_rows(visit)
    written = write_down(visit)
    tables: Tables = {"XML1": [_summary_row(visit, written, drugs, services)]}
    for name, rows in (
        ("XML2", drugs), ("XML3", services), ("XML4", _result_rows(visit)), ("XML5", _note_rows(visit)),
    ):  # fmt: skip
        if rows:
            tables[name] = rows
    return tables


def _share(visit: Visit) -> Decimal:
    """MUC_HUONG: what the card's benefit digit pays for."""
    cards = visit.person.cards
    if not cards or visit.person.passport:
        return Decimal(0)
    digit = cards[0][2] if len(cards[0]) == 15 else "4"
    return Decimal({"1": 100, "2": 100, "3": 95}.get(digit, 80))


def _money(visit: Visit, total: Decimal) -> Row:
    share = _share(visit)
    insured = (total * share / 100).quantize(Decimal("0.01"))
    outside = total if not share else Decimal(0)
    return {
        "THANH_TIEN_BV": amount(total), "THANH_TIEN_BH": amount(total - outside), "MUC_HUONG": amount(share),
        "T_NGUONKHAC_NSNN": "0", "T_NGUONKHAC_VTNN": "0", "T_NGUONKHAC_VTTN": "0", "T_NGUONKHAC_CL": "0",
        "T_NGUONKHAC": "0", "T_BNTT": amount(outside), "T_BNCCT": amount(total - outside - insured),
        "T_BHTT": amount(insured),
    }  # fmt: skip


def _drug_rows(visit: Visit) -> list[Row]:
    department = CONDITIONS[visit.plan.code].department
    rows: list[Row] = []
    for place, order in enumerate(visit.drugs, start=1):
        drug = order.drug
        rows.append(
            {
                "MA_LK": visit.number, "STT": str(place), "MA_THUOC": drug.ingredient, "MA_NHOM": "4",
                "TEN_THUOC": drug.name, "DON_VI_TINH": drug.unit, "HAM_LUONG": drug.strength,
                "DUONG_DUNG": drug.route, "DANG_BAO_CHE": drug.form, "LIEU_DUNG": order.dose_text,
                "CACH_DUNG": "Uống sau ăn" if drug.route == "1.01" else "Theo y lệnh",
                "SO_DANG_KY": drug.registration, "TT_THAU": f"1124/QĐ-SYT;G1;N{1 + place % 4};2025",
                "PHAM_VI": "1",
                "TYLE_TT_BH": "100", "SO_LUONG": amount(order.quantity), "DON_GIA": amount(drug.price),
                **_money(visit, order.quantity * drug.price), "MA_KHOA": department,
                "MA_BAC_SI": order.doctor.licence, "NGAY_YL": minute(order.ordered),
                "NGAY_TH_YL": minute(order.given), "MA_PTTT": "1", "NGUON_CTRA": "1",
            }
        )  # fmt: skip
    return rows


def _service_rows(visit: Visit) -> list[Row]:
    department = CONDITIONS[visit.plan.code].department
    rows: list[Row] = []
    for place, order in enumerate(visit.services, start=1):
        service = order.service
        price = Decimal(service.price)
        rows.append(
            {
                "MA_LK": visit.number, "STT": str(place), "MA_DICH_VU": service.code,
                "MA_NHOM": service.group,
                "TEN_DICH_VU": service.name, "DON_VI_TINH": "Ngày" if service.group == "15" else "Lần",
                "PHAM_VI": "1", "SO_LUONG": str(order.days), "DON_GIA_BV": amount(price),
                "DON_GIA_BH": amount(price),
                "TYLE_TT_DV": "100", "TYLE_TT_BH": "100", **_money(visit, price * order.days),
                "MA_KHOA": department,
                "MA_GIUONG": "H014" if service.group == "15" else "", "MA_BAC_SI": order.doctor.licence,
                "NGUOI_THUC_HIEN": order.performer.licence, "MA_BENH": visit.plan.code,
                "NGAY_YL": minute(order.ordered), "NGAY_TH_YL": minute(order.ordered),
                "NGAY_KQ": minute(order.resulted) if order.values or service.imaging else "", "MA_PTTT": "1",
                "MA_MAY": f"SH.1.{visit.facility.code}.7" if order.values else "",
            }
        )  # fmt: skip
    return rows


def _result_rows(visit: Visit) -> list[Row]:
    rows: list[Row] = []
    for order in visit.services:
        for index, value in order.values:
            rows.append(
                {
                    "MA_DICH_VU": order.service.code, "MA_CHI_SO": index.code, "TEN_CHI_SO": index.name,
                    "GIA_TRI": value, "DON_VI_DO": index.unit,
                }
            )  # fmt: skip
        if order.service.imaging:
            described, concluded = order.service.findings
            rows.append(
                {
                    "MA_DICH_VU": order.service.code, "TEN_CHI_SO": order.service.name, "MO_TA": described,
                    "KET_LUAN": concluded,
                }
            )  # fmt: skip
        for row in rows:
            row.setdefault("NGAY_KQ", minute(order.resulted))
            row.setdefault("MA_BS_DOC_KQ", order.performer.licence)
    return [{"MA_LK": visit.number, "STT": str(place), **row} for place, row in enumerate(rows, start=1)]


def _note_rows(visit: Visit) -> list[Row]:
    return [
        {
            "MA_LK": visit.number, "STT": str(place), "DIEN_BIEN_LS": f"{note.text} {note.vitals.csst}",
            "THOI_DIEM_DBLS": minute(note.when), "NGUOI_THUC_HIEN": note.author.licence,
        }
        for place, note in enumerate(visit.notes, start=1)
    ]  # fmt: skip


def _eligibility(visit: Visit, written: Written) -> str:
    """MA_DOITUONG_KCB: 9 not insured, 1.3 referred, 2 emergency, 1.1 at the registered place."""
    if not written.cards:
        return "9"
    if visit.plan.brought:
        return "1.3"
    return "2" if visit.plan.code == "S52.5" else "1.1"


def _sum(rows: list[Row], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def _summary_row(visit: Visit, written: Written, drugs: list[Row], services: list[Row]) -> Row:
    """XML1. GIAY_CHUYEN_TUYEN is the letter the patient brought, so it is empty where it was issued."""
    plan, person = visit.plan, visit.person
    rows = drugs + services
    days = 0
    if plan.kind in {INPATIENT, "02", "04"}:
        days = (visit.end.date() - visit.start.date()).days + 1
    elif plan.kind == LONG_TERM:
        days = 28
    complaint = CONDITIONS[plan.code].complaint
    return {
        "MA_LK": visit.number, "STT": "1", "MA_BN": visit.patient_number, "HO_TEN": written.name,
        "SO_CCCD": written.identifier, "NGAY_SINH": written.birth, "GIOI_TINH": written.sex,
        "NHOM_MAU": person.blood,
        "MA_QUOCTICH": person.nationality, "MA_DANTOC": "" if person.passport else "01",
        "MA_NGHE_NGHIEP": "00000",
        "DIA_CHI": person.address, "MATINH_CU_TRU": "01", "MAXA_CU_TRU": person.ward_code,
        "DIEN_THOAI": person.phone, "MA_THE_BHYT": ";".join(written.cards),
        "MA_DKBD": ";".join(written.registered_at),
        "GT_THE_TU": ";".join(written.card_from), "GT_THE_DEN": ";".join(written.card_to),
        "LY_DO_VV": "Lĩnh thuốc theo hẹn" if plan.kind == COLLECTION else complaint,
        "LY_DO_VNT": complaint if visit.is_stay else "",
        "CHAN_DOAN_VAO": f"Theo dõi {text_of(plan.code).lower()}", "CHAN_DOAN_RV": diagnosis_text(visit),
        "MA_BENH_CHINH": plan.code, "MA_BENH_KT": ";".join(plan.others),
        "MA_PTTT_QT": {"H25.1": "13.41", "O80.0": "73.59"}.get(plan.code, "") if visit.is_stay else "",
        "MA_DOITUONG_KCB": _eligibility(visit, written),
        "MA_NOI_DI": plan.brought.source if plan.brought else "",
        "MA_NOI_DEN": plan.out.target if plan.out else "",
        "NGAY_VAO": minute(visit.start), "NGAY_VAO_NOI_TRU": minute(visit.admitted),
        "NGAY_RA": minute(visit.end),
        "GIAY_CHUYEN_TUYEN": plan.brought.number if plan.brought else "", "SO_NGAY_DTRI": str(days),
        "PP_DIEU_TRI": "Nội khoa" if drugs else "Theo dõi", "KET_QUA_DTRI": "4" if plan.out else "2",
        "MA_LOAI_RV": "2" if plan.out else "1", "GHI_CHU": "Tái khám theo hẹn" if visit.appointment else "",
        "NGAY_TTOAN": minute(min(visit.end, datetime.combine(visit.sent, visit.end.time()))),
        "T_THUOC": amount(_sum(drugs, "THANH_TIEN_BV")), "T_VTYT": "0",
        "T_TONGCHI_BV": amount(_sum(rows, "THANH_TIEN_BV")),
        "T_TONGCHI_BH": amount(_sum(rows, "THANH_TIEN_BH")),
        "T_BNTT": amount(_sum(rows, "T_BNTT")), "T_BNCCT": amount(_sum(rows, "T_BNCCT")),
        "T_BHTT": amount(_sum(rows, "T_BHTT")), "T_NGUONKHAC": "0", "T_BHTT_GDV": "0",
        "NAM_QT": f"{visit.sent:%Y}", "THANG_QT": f"{visit.sent:%m}", "MA_LOAI_KCB": plan.kind,
        "MA_KHOA": CONDITIONS[plan.code].department, "MA_CSKCB": visit.facility.code,
        "CAN_NANG": visit.vitals.weight,
        "CAN_NANG_CON": "3150" if plan.baby else "",
        "NGAY_TAI_KHAM": f"{visit.appointment:%Y%m%d}" if visit.appointment else "",
        "MA_HSBA": f"{visit.start:%y}.{visit.serial:06d}", "MA_TTDV": visit.facility.director_bhxh,
    }  # fmt: skip
