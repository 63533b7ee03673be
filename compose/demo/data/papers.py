"""The papers of a visit: discharge, summary, referral, appointment, check-in, and the restricted tables."""

from __future__ import annotations

from datetime import timedelta

from compose.demo.data.conditions import CONDITIONS, text_of
from compose.demo.data.people import Person
from compose.demo.data.tables import Row, Tables, diagnosis_text, minute
from compose.demo.data.visits import Visit
from compose.demo.data.written import BIRTH_MINUTE, Written, write_down

# 01003 writes the QĐ 4750 layout of XML13, 01025 the one seen with QĐ 3176.
REFERRAL_LAYOUT = {"01003": "XML13", "01006": "XML13", "01025": "XML13_QD3176"}


def papers_of(visit: Visit, people: dict[str, Person]) -> Tables:
    """XML6 to XML15 as this visit needs them; the key of a referral names its layout."""
    plan, written = visit.plan, write_down(visit)
    papers: Tables = {}
    if visit.is_stay:
        papers["XML7"] = [_discharge(visit, written, people)]
        papers["XML8"] = [_summary(visit, people)]
    if plan.out:
        papers[REFERRAL_LAYOUT[visit.facility.code]] = [_referral(visit, written)]
    if visit.appointment:
        papers["XML14"] = [_appointment(visit, written)]
    if "hiv" in plan.flags:
        papers["XML6"] = [_hiv(visit, written)]
    if plan.baby:
        papers["XML9"] = [_birth(visit, written, plan.baby)]
    if "pregnancy_leave" in plan.flags:
        papers["XML10"] = [_pregnancy_leave(visit)]
    if "sick_leave" in plan.flags:
        papers["XML11"] = [_sick_leave(visit, written)]
    if "tuberculosis" in plan.flags:
        papers["XML15"] = [_tuberculosis(visit, written)]
    return papers


def check_in(visit: Visit) -> Row:
    """XML0: who arrived, sent by its own call while the visit is open; it carries no diagnosis."""
    written = write_down(visit)
    return {
        "MA_LK": visit.number, "STT": "1", "MA_BN": visit.patient_number, "HO_TEN": written.name,
        "SO_CCCD": written.identifier, "NGAY_SINH": written.birth, "GIOI_TINH": written.sex,
        "MA_THE_BHYT": ";".join(written.cards), "MA_DKBD": ";".join(written.registered_at),
        "GT_THE_TU": ";".join(written.card_from), "GT_THE_DEN": ";".join(written.card_to),
        "MA_DOITUONG_KCB": "1.1",
        "NGAY_VAO": minute(visit.start), "NGAY_VAO_NOI_TRU": minute(visit.admitted),
        "LY_DO_VNT": CONDITIONS[visit.plan.code].complaint if visit.is_stay else "",
        "MA_LOAI_KCB": visit.plan.kind,
        "MA_CSKCB": visit.facility.code, "MA_DICH_VU": "02.03", "TEN_DICH_VU": "Khám Nội",
        "NGAY_YL": minute(visit.start),
    }  # fmt: skip


def _who(visit: Visit, written: Written) -> Row:
    return {
        "HO_TEN": written.name, "NGAY_SINH": written.birth, "GIOI_TINH": written.sex,
        "DIA_CHI": visit.person.address, "MA_THE_BHYT": ";".join(written.cards),
        "GT_THE_DEN": ";".join(written.card_to),
        "NGAY_VAO": minute(visit.start), "NGAY_VAO_NOI_TRU": minute(visit.admitted),
        "NGAY_RA": minute(visit.end),
        "CHAN_DOAN_RV": diagnosis_text(visit), "MA_BENH_CHINH": visit.plan.code,
        "MA_BENH_KT": ";".join(visit.plan.others), "MA_BAC_SI": visit.doctor.licence,
        "MA_TTDV": visit.facility.director_bhxh,
    }  # fmt: skip


def _findings(visit: Visit) -> str:
    lines = [f"{index.name}: {value} {index.unit}".strip() for order in visit.services for index, value in order.values]
    return "; ".join(lines[:6]) or "Không có kết quả bất thường"


def _discharge(visit: Visit, written: Written, people: dict[str, Person]) -> Row:
    mother = people.get(visit.person.mother)
    return {
        "MA_LK": visit.number, "SO_LUU_TRU": f"LT{visit.serial:06d}", "MA_YTE": visit.patient_number,
        "MA_KHOA_RV": CONDITIONS[visit.plan.code].department, "NGAY_VAO": minute(visit.start),
        "NGAY_RA": minute(visit.end), "MA_DINH_CHI_THAI": "0", "CHAN_DOAN_RV": diagnosis_text(visit),
        "PP_DIEUTRI": "Điều trị nội khoa, truyền dịch, theo dõi",
        "GHI_CHU": "Uống thuốc theo đơn, tái khám khi bất thường",
        "MA_TTDV": visit.facility.director_bhxh, "MA_BS": visit.doctor.bhxh, "TEN_BS": visit.doctor.name,
        "NGAY_CT": f"{visit.end:%Y%m%d}", "MA_ME": mother.bhxh if mother else "",
        "MA_THE_TAM": written.temporary_card, "HO_TEN_ME": mother.name.upper() if mother else "",
    }  # fmt: skip


def _summary(visit: Visit, people: dict[str, Person]) -> Row:
    mother = people.get(visit.person.mother)
    return {
        "MA_LK": visit.number, "MA_LOAI_KCB": visit.plan.kind,
        "HO_TEN_ME": mother.name.upper() if mother else "",
        "NGAY_VAO": minute(visit.start), "NGAY_RA": minute(visit.end),
        "CHAN_DOAN_VAO": f"Theo dõi {text_of(visit.plan.code).lower()}",
        "CHAN_DOAN_RV": diagnosis_text(visit),
        "QT_BENHLY": f"Người bệnh vào viện với lý do: {CONDITIONS[visit.plan.code].complaint.lower()}.",
        "TOMTAT_KQ": _findings(visit), "PP_DIEUTRI": "Điều trị nội khoa theo phác đồ", "KET_QUA_DTRI": "2",
        "GHI_CHU": "Ổn định, ra viện", "MA_TTDV": visit.facility.director_bhxh,
        "NGAY_CT": f"{visit.end:%Y%m%d}",
    }  # fmt: skip


def _referral(visit: Visit, written: Written) -> Row:
    """XML13. The issuer is MA_CSKCB: in the QĐ 4750 layout MA_NOI_DI repeats XML1 (who sent them here)."""
    letter = visit.plan.out
    assert letter is not None
    row = {
        "MA_LK": visit.number, "SO_HOSO": f"HS{visit.serial:06d}", "SO_CHUYENTUYEN": letter.number[:5],
        "GIAY_CHUYEN_TUYEN": letter.number, "MA_CSKCB": letter.source, **_who(visit, written),
        "MA_QUOCTICH": visit.person.nationality, "MA_DANTOC": "01", "MA_NGHE_NGHIEP": "00000",
        "DAU_HIEU_LS": f"Mạch {visit.vitals.pulse}, HA {visit.vitals.systolic}/{visit.vitals.diastolic} mmHg",
        "QT_BENHLY": f"{CONDITIONS[visit.plan.code].complaint}, điều trị tại tuyến dưới chưa cải thiện",
        "TOMTAT_KQ": _findings(visit), "PP_DIEUTRI": "Điều trị triệu chứng", "MA_LOAI_RV": "2",
        "MA_LYDO_CT": "1",
        "HUONG_DIEU_TRI": "Chuyển tuyến trên điều trị tiếp", "PHUONGTIEN_VC": "Xe cứu thương",
        "HOTEN_NGUOI_HT": visit.facility.staff[-1].name, "CHUCDANH_NGUOI_HT": "Điều dưỡng",
    }  # fmt: skip
    if REFERRAL_LAYOUT[visit.facility.code] == "XML13":
        return row | {
            "MA_NOI_DEN": letter.target, "PP_DIEU_TRI": "Nội khoa",
            "TEN_DICH_VU": "; ".join(order.service.name for order in visit.services),
            "TEN_THUOC": "; ".join(order.drug.name for order in visit.drugs),
        }  # fmt: skip
    return row | {
        "MA_CSKCB_DI": letter.source, "MA_CSKCB_DEN": letter.target,
        "TINH_TRANG_CT": "Người bệnh tỉnh, huyết động tạm ổn định khi chuyển",
    }  # fmt: skip


def _appointment(visit: Visit, written: Written) -> Row:
    return {
        "MA_LK": visit.number, "SO_GIAYHEN_KL": f"{visit.serial:05d}/HKL", "MA_CSKCB": visit.facility.code,
        **_who(visit, written), "NGAY_HEN_KL": minute(visit.appointment), "MA_DOITUONG_KCB": "1.1",
        "NGAY_CT": f"{visit.sent:%Y%m%d}",
    }  # fmt: skip


def _hiv(visit: Visit, written: Written) -> Row:
    regimen = visit.plan.drugs or ()
    old = "efavirenz" in regimen
    tested = visit.start - timedelta(days=7)
    return {
        "MA_LK": visit.number, "MA_THE_BHYT": ";".join(written.cards), "SO_CCCD": written.identifier,
        "NGAY_SINH": written.birth, "GIOI_TINH": written.sex, "DIA_CHI": visit.person.address,
        "MATINH_CU_TRU": "01",
        "MAXA_CU_TRU": visit.person.ward_code, "NGAYKD_HIV": "20190412", "NOI_LAY_MAU_XN": "01006",
        "NOI_XN_KD": "01006", "NOI_BDDT_ARV": "01006", "BDDT_ARV": "20190502",
        "MA_PHAC_DO_DIEU_TRI_BD": "TDF+3TC+EFV",
        "MA_BAC_PHAC_DO_BD": "1", "SANG_LOC_LAO": "1", "MA_LYDO_XNTL_VR": "1",
        "NGAY_XN_TLVR": f"{tested:%Y%m%d}",
        "KQ_XNTL_VR": "1" if not old else "2", "NGAY_KQ_XN_TLVR": f"{visit.start:%Y%m%d}", "MA_LOAI_BN": "1",
        "GIAI_DOAN_LAM_SANG": "1", "MA_PHAC_DO_DIEU_TRI": "TDF+3TC+EFV" if old else "TDF+3TC+DTG",
        "MA_BAC_PHAC_DO": "1", "SO_NGAY_CAP_THUOC_ARV": "28", "MA_CSKCB": visit.facility.code,
    }  # fmt: skip


def _birth(visit: Visit, written: Written, baby: Person) -> Row:
    return {
        "MA_LK": visit.number, "MA_BHXH_NND": visit.person.bhxh, "MA_THE_NND": written.cards[0],
        "HO_TEN_NND": written.name, "NGAYSINH_NND": written.birth[:8], "MA_DANTOC_NND": "01",
        "SO_CCCD_NND": written.identifier, "NGAYCAP_CCCD_NND": "20210615",
        "NOICAP_CCCD_NND": "Cục Cảnh sát QLHC về TTXH", "NOI_CU_TRU_NND": visit.person.address,
        "MA_QUOCTICH": "000",
        "MATINH_CU_TRU": "01", "MAXA_CU_TRU": visit.person.ward_code, "MA_THE_TAM": baby.cards[0],
        "HO_TEN_CON": baby.name.upper(), "GIOI_TINH_CON": "1" if baby.male else "2", "SO_CON": "1",
        "LAN_SINH": "1",
        "SO_CON_SONG": "1", "CAN_NANG_CON": "3150", "NGAY_SINH_CON": f"{baby.birth:%Y%m%d}{BIRTH_MINUTE}",
        "NOI_SINH_CON": visit.facility.name, "TINH_TRANG_CON": "Khóc ngay, hồng hào",
        "SINHCON_PHAUTHUAT": "0",
        "SINHCON_DUOI32TUAN": "0", "NGUOI_DO_DE": visit.doctor.name,
        "NGUOI_GHI_PHIEU": visit.facility.staff[0].name,
        "NGAY_CT": f"{visit.end:%Y%m%d}", "SO": f"{visit.serial:04d}", "QUYEN_SO": "02",
        "MA_TTDV": visit.facility.director_bhxh,
    }  # fmt: skip


def _pregnancy_leave(visit: Visit) -> Row:
    return {
        "MA_LK": visit.number, "SO_SERI": f"DT{visit.serial:06d}", "SO_CT": f"{visit.serial:05d}",
        "SO_NGAY": "14",
        "DON_VI": "Công ty CP May Thăng Long", "CHAN_DOAN_RV": diagnosis_text(visit),
        "TU_NGAY": f"{visit.start:%Y%m%d}", "DEN_NGAY": f"{visit.start + timedelta(days=13):%Y%m%d}",
        "MA_TTDV": visit.facility.director_bhxh, "TEN_BS": visit.doctor.name, "MA_BS": visit.doctor.bhxh,
        "NGAY_CT": f"{visit.start:%Y%m%d}",
    }  # fmt: skip


def _sick_leave(visit: Visit, written: Written) -> Row:
    return {
        "MA_LK": visit.number, "SO_CT": f"{visit.serial:05d}", "SO_SERI": f"NV{visit.serial:06d}",
        "SO_KCB": visit.patient_number, "DON_VI": "Công ty TNHH Cơ khí Hà Nội", "MA_BHXH": visit.person.bhxh,
        "MA_THE_BHYT": ";".join(written.cards), "CHAN_DOAN_RV": diagnosis_text(visit),
        "PP_DIEUTRI": "Nội khoa",
        "MA_DINH_CHI_THAI": "0", "SO_NGAY_NGHI": "5", "TU_NGAY": f"{visit.end:%Y%m%d}",
        "DEN_NGAY": f"{visit.end + timedelta(days=4):%Y%m%d}", "MA_TTDV": visit.facility.director_bhxh,
        "MA_BS": visit.doctor.bhxh, "NGAY_CT": f"{visit.end:%Y%m%d}", "MAU_SO": "CT07",
    }  # fmt: skip


def _tuberculosis(visit: Visit, written: Written) -> Row:
    return {
        "MA_LK": visit.number, "STT": "1", "MA_BN": visit.patient_number, "HO_TEN": written.name,
        "SO_CCCD": written.identifier, "PHANLOAI_LAO_VITRI": "1", "PHANLOAI_LAO_TS": "1",
        "PHANLOAI_LAO_HIV": "2",
        "PHANLOAI_LAO_VK": "1", "LOAI_DTRI_LAO": "2", "NGAYBD_DTRI_LAO": f"{visit.start:%Y%m%d}",
        "PHACDO_DTRI_LAO": "1", "MA_CSKCB": visit.facility.code,
    }  # fmt: skip
