"""Tests and services of XML3, XML4 and FHIR results; codes plausible, prices invented."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Index:
    """One line of a result: MA_CHI_SO (may be empty), name, units on both sides, LOINC, range of values.

    `fixed` values are texts that no number can hold ("<0.01", "Âm tính").
    """

    code: str
    name: str
    unit: str
    ucum: str
    loinc: str
    low: float
    high: float
    decimals: int
    fixed: tuple[str, ...] = ()

    def value(self, rng: Random) -> str:
        if self.fixed and (not self.unit or rng.random() < 0.3):
            return rng.choice(self.fixed)
        return f"{rng.uniform(self.low, self.high):.{self.decimals}f}"


@dataclass(frozen=True)
class Service:
    """One service of XML3 with its price; `indices` are the result lines, `imaging` its DICOM modality."""

    key: str
    code: str
    name: str
    group: str
    price: int
    indices: tuple[Index, ...] = ()
    imaging: str = ""
    findings: tuple[str, str] = ("", "")
    snomed: str = ""


# key | MA_CHI_SO | TEN_CHI_SO | DON_VI_DO | UCUM | LOINC | low | high | decimals | fixed texts
_INDICES = """
glu | 2200027 | Định lượng Glucose | mmol/L | mmol/L | 14749-6 | 4.1 | 14.8 | 2 |
a1c | 2200035 | Định lượng HbA1c | % | % | 4548-4 | 5.1 | 10.4 | 1 |
ure | 2200066 | Định lượng Urê | mmol/L | mmol/L | 22664-7 | 2.6 | 14.2 | 1 |
cre | 2200051 | Định lượng Creatinin | µmol/L | umol/L | 14682-9 | 54 | 210 | 0 |
egfr | | Mức lọc cầu thận (CKD-EPI) | mL/phút/1.73m² | mL/min/{1.73_m2} | 62238-1 | 28 | 112 | 0 | >90
cho | 2200041 | Định lượng Cholesterol toàn phần | mmol/L | mmol/L | 14647-2 | 3.2 | 7.4 | 2 |
tri | 2200158 | Định lượng Triglycerid | mmol/L | mmol/L | 14927-8 | 0.7 | 5.6 | 2 |
ldl | 2200112 | Định lượng LDL-C | mmol/L | mmol/L | 22748-8 | 1.4 | 5.1 | 2 |
ast | 2200020 | Đo hoạt độ AST (GOT) | U/L | U/L | 1920-8 | 14 | 96 | 0 |
alt | 2200019 | Đo hoạt độ ALT (GPT) | U/L | U/L | 1742-6 | 11 | 104 | 0 |
wbc | 2210001 | Số lượng bạch cầu | G/L | 10*9/L | 6690-2 | 2.4 | 17.9 | 2 |
hgb | 2210005 | Huyết sắc tố | g/L | g/L | 718-7 | 82 | 168 | 0 |
plt | 2210012 | Số lượng tiểu cầu | G/L | 10*9/L | 777-3 | 38 | 410 | 0 |
crp | 2200045 | Định lượng CRP | mg/L | mg/L | 1988-5 | 0.6 | 148.0 | 1 | <0.5
tropo | 2200161 | Troponin T hs | ng/mL | ng/mL | 67151-1 | 0.010 | 0.095 | 3 | <0.01
ns1 | | Dengue virus NS1Ag test nhanh | | | 75377-2 | 0 | 0 | 0 | Âm tính;Dương tính
hp | | HP test nhanh | | | 50112-2 | 0 | 0 | 0 | Âm tính;Dương tính
flu | | Influenza virus A, B test nhanh | | | 80382-5 | 0 | 0 | 0 | Âm tính
pro | 2230011 | Protein niệu | g/L | g/L | 2888-6 | 0.1 | 2.8 | 2 | Âm tính;Vết
tsh | 2200162 | Định lượng TSH | µIU/mL | m[IU]/L | 3016-3 | 0.3 | 8.8 | 3 | <0.005
uric | 2200003 | Định lượng Acid uric | µmol/L | umol/L | 14933-6 | 240 | 640 | 0 |
afb | | AFB trực tiếp nhuộm Ziehl-Neelsen | | | 11545-1 | 0 | 0 | 0 | Âm tính;1+;2+
xpert | | Mycobacterium tuberculosis GeneXpert | | | 38379-4 | 0 | 0 | 0 | MTB phát hiện trung bình, không kháng RIF
vl | 2240127 | HIV đo tải lượng hệ thống tự động | bản sao/mL | {copies}/mL | 20447-9 | 22 | 180 | 0 | <20
cd4 | | Số lượng tế bào T-CD4 | tế bào/mm³ | {cells}/uL | 24467-3 | 180 | 760 | 0 |
"""


def _index(row: str) -> tuple[str, Index]:
    key, code, name, unit, ucum, loinc, low, high, decimals, fixed = (cell.strip() for cell in row.split("|"))
    texts = tuple(text for text in fixed.split(";") if text)
    return key, Index(code, name, unit, ucum, loinc, float(low), float(high), int(decimals), texts)


INDICES: dict[str, Index] = dict(_index(row) for row in _INDICES.strip().splitlines())


def _lab(key: str, code: str, name: str, price: int, lines: str) -> Service:
    return Service(key, code, name, "1", price, tuple(INDICES[line] for line in lines.split()))


_CHEST = (
    "Hai phổi sáng đều, bóng tim không to, góc sườn hoành hai bên nhọn.",
    "Không thấy tổn thương trên phim.",
)
_PNEUMONIA = (
    "Đám mờ không thuần nhất thùy dưới phổi phải, có hình ảnh phế quản hơi.",
    "Theo dõi viêm phổi phải.",
)
_ABDOMEN = ("Nhu mô gan tăng âm nhẹ, đường mật không giãn, hai thận không ứ nước.", "Gan nhiễm mỡ độ I.")
_HEART = ("Chức năng tâm thu thất trái bình thường, EF 62%; giãn nhẹ nhĩ trái.", "Hở van hai lá nhẹ.")
_SPINE = ("Thoát vị đĩa đệm L4-L5 thể trung tâm, chèn ép nhẹ bao màng cứng.", "Thoát vị đĩa đệm L4-L5.")
_STOMACH = ("Niêm mạc hang vị xung huyết, có vài vết trợt nông.", "Viêm dạ dày hang vị.")
_FETUS = ("Một thai sống, ngôi đầu.", "Thai phát triển tương ứng tuổi thai.")
_XRAY: tuple[str, str, str, int, tuple[Index, ...]] = (
    "18.0119.0028", "Chụp Xquang ngực thẳng", "2", 73_300, (),
)  # fmt: skip

SERVICES: dict[str, Service] = {
    service.key: service
    for service in (
        Service("exam", "02.03", "Khám Nội", "13", 45_000),
        Service("exam_eye", "14.1896", "Khám Mắt", "13", 45_000),
        Service("exam_obs", "13.1898", "Khám Phụ sản", "13", 45_000),
        Service("bed", "K03.1930", "Giường Nội khoa loại 1 Hạng I - Khoa Nội tổng hợp", "15", 273_800),
        _lab("sugar", "23.0075.1494", "Định lượng Glucose [Máu]", 22_400, "glu"),
        _lab("a1c", "23.0083.1523", "Định lượng HbA1c [Máu]", 105_300, "a1c"),
        _lab("kidney", "23.0051.1494", "Định lượng Creatinin, Urê (máu)", 44_800, "ure cre egfr"),
        _lab("lipid", "23.0041.1506", "Bộ mỡ máu", 81_900, "cho tri ldl"),
        _lab("liver", "23.0020.1493", "Đo hoạt độ AST, ALT [Máu]", 44_800, "ast alt"),
        _lab("blood", "22.0121.1369", "Tổng phân tích tế bào máu ngoại vi", 49_700, "wbc hgb plt"),
        _lab("crp", "23.0050.1484", "Định lượng CRP (C-Reactive Protein)", 56_100, "crp"),
        _lab("troponin", "23.0159.1569", "Định lượng Troponin T hs [Máu]", 78_500, "tropo"),
        _lab("dengue", "24.0183.1637", "Dengue virus NS1Ag test nhanh", 142_500, "ns1"),
        _lab("hp", "24.0073.1658", "Helicobacter pylori Ag test nhanh", 171_100, "hp"),
        _lab("flu", "24.0243.1671", "Influenza virus A, B test nhanh", 184_200, "flu"),
        _lab("urine", "23.0206.1596", "Tổng phân tích nước tiểu (bằng máy tự động)", 28_600, "pro"),
        _lab("thyroid", "23.0162.1570", "Định lượng TSH [Máu]", 61_700, "tsh"),
        _lab("uric", "23.0003.1494", "Định lượng Acid Uric [Máu]", 22_400, "uric"),
        _lab("afb", "24.0017.1714", "AFB trực tiếp nhuộm Ziehl-Neelsen", 74_200, "afb"),
        _lab("xpert", "24.0022.1683", "MTB định danh và kháng RMP Xpert", 372_400, "xpert"),
        _lab("viral_load", "24.0179.1719", "HIV đo tải lượng hệ thống tự động", 984_400, "vl"),
        _lab("cd4", "22.0586.1393", "Đếm số lượng tế bào T-CD4", 420_700, "cd4"),
        Service("ecg", "02.0085.1778", "Điện tim thường", "2", 39_900, snomed="29303009"),
        Service("chest", *_XRAY, "DX", _CHEST, "399208008"),
        Service("chest_bad", *_XRAY, "DX", _PNEUMONIA, "399208008"),
        Service("abdomen", "18.0015.0001", "Siêu âm ổ bụng", "2", 58_600, (), "US", _ABDOMEN, "45036003"),
        Service("echo", "02.0112.0004", "Siêu âm Doppler tim", "2", 252_300, (), "US", _HEART, "40701008"),
        Service("mri", "18.0334.0065", "Chụp MRI cột sống", "2", 1_341_500, (), "MR", _SPINE, "241648006"),
        Service("endoscopy", "20.0080.0135", "Nội soi dạ dày", "2", 276_500, (), "ES", _STOMACH, "76009000"),
        Service("fetal", "18.0034.0001", "Siêu âm thai", "2", 58_600, (), "US", _FETUS, "268445003"),
        Service("delivery", "13.0033.0614", "Đỡ đẻ thường ngôi chỏm", "8", 786_700, snomed="177184002"),
        Service("cataract", "14.0005.0815", "Phẫu thuật Phaco", "8", 2_752_600, snomed="415089008"),
    )
}  # fmt: skip
