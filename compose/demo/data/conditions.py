"""Conditions of the demo city: ICD-10 code, Vietnamese text, usual orders; no patients here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """`age` and `sex` ("", "M", "F") say whom it befalls; `also` are codes that often go with it."""

    code: str
    text: str
    complaint: str
    drugs: tuple[str, ...]
    services: tuple[str, ...]
    also: tuple[str, ...] = ()
    age: tuple[int, int] = (16, 95)
    sex: str = ""
    chronic: bool = False
    inpatient: bool = False
    department: str = "K01"


# code | text | complaint | drugs | services | also | ages | sex | flags | department
# flags: c chronic, i may be admitted, s only in a named story
_ROWS = """
E11.9 | Bệnh đái tháo đường không phụ thuộc insuline - Chưa có biến chứng | Khám định kỳ, khát nước, tiểu nhiều | metformin gliclazid | sugar a1c kidney lipid | I10 E78.5 | 35-90 | | ci | K08
I10 | Bệnh lý tăng huyết áp | Đau đầu, chóng mặt | amlodipin losartan | kidney lipid ecg | E78.5 | 35-95 | | c | K04
E78.5 | Rối loạn chuyển hóa lipoprotein và tình trạng tăng lipid máu khác | Kiểm tra mỡ máu | atorvastatin | lipid liver | | 30-90 | | c | K01
I25.1 | Bệnh tim xơ vữa động mạch vành | Đau tức ngực trái khi gắng sức | aspirin clopidogrel atorvastatin bisoprolol | troponin ecg echo lipid | I10 | 48-92 | | ci | K04
I50.0 | Suy tim sung huyết | Khó thở, phù hai chân | furosemid perindopril bisoprolol | echo kidney chest | I10 | 55-95 | | ci | K04
I63.9 | Nhồi máu não, không xác định | Yếu nửa người trái | clopidogrel atorvastatin nacl | blood sugar ecg | I10 | 55-95 | | i | K14
N18.3 | Bệnh thận mạn, giai đoạn 3 | Mệt mỏi, phù nhẹ | losartan furosemid | kidney urine blood | I10 D63.8 | 45-90 | | c | K07
J45.9 | Hen, không đặc hiệu | Khó thở, khò khè về đêm | salbutamol budesonid | blood chest | | 6-75 | | c | K01
J44.1 | Bệnh phổi tắc nghẽn mạn tính có đợt cấp, không đặc hiệu | Khó thở tăng, ho đờm | salbutamol budesonid levofloxacin oxy | blood crp chest | | 50-90 | | i | K01
J18.9 | Viêm phổi, tác nhân không xác định | Ho, sốt, đau ngực | ceftriaxon levofloxacin paracetamol | blood crp chest_bad | | 1-95 | | i | K01
J06.9 | Nhiễm trùng đường hô hấp trên cấp, không phân loại | Ho, đau họng, sốt nhẹ | paracetamol cetirizin | flu | | 1-70 | | | K01
J20.9 | Viêm phế quản cấp, không phân loại | Ho có đờm | amoxiclav paracetamol | blood chest | | 1-85 | | | K01
J02.9 | Viêm họng cấp, không phân loại | Đau họng | amoxicilin paracetamol | | | 3-60 | | | K28
J03.9 | Viêm amydan cấp, không phân loại | Nuốt đau, sốt | cefuroxim paracetamol | blood | | 3-50 | | | K28
K29.7 | Viêm dạ dày, không đặc hiệu | Đau thượng vị, ợ chua | omeprazol | endoscopy hp | | 16-80 | | | K05
K21.0 | Bệnh trào ngược dạ dày - thực quản với viêm thực quản | Ợ nóng, nuốt nghẹn | omeprazol | endoscopy | | 18-80 | | | K05
K80.2 | Sỏi túi mật không có viêm túi mật | Đau hạ sườn phải | paracetamol | abdomen liver | | 25-85 | | | K05
A09.9 | Viêm dạ dày - ruột và viêm đại tràng không rõ nguồn gốc | Tiêu chảy, đau bụng | oresol paracetamol | blood | | 1-80 | | | K05
A97.0 | Sốt xuất huyết Dengue không có dấu hiệu cảnh báo | Sốt cao ngày thứ ba, đau mỏi người | paracetamol ringer | dengue blood liver | | 5-75 | | i | K11
M54.5 | Đau lưng dưới thấp | Đau thắt lưng lan xuống chân | meloxicam paracetamol | mri | | 25-85 | | | K16
M17.9 | Thoái hóa khớp gối, không đặc hiệu | Đau khớp gối hai bên | celecoxib | | | 45-90 | | c | K16
M10.9 | Gút, không đặc hiệu | Sưng đau khớp bàn ngón chân cái | allopurinol colchicin | uric kidney | | 30-85 | M | c | K16
H25.1 | Đục thủy tinh thể già trung tâm | Nhìn mờ mắt phải | tobramycin | cataract sugar | | 55-95 | | | K30
H10.9 | Viêm kết mạc, không phân loại | Đỏ mắt, chảy nước mắt | tobramycin | | | 3-80 | | | K30
E03.9 | Suy giáp, không phân loại | Mệt mỏi, tăng cân | levothyroxin | thyroid | | 20-80 | F | c | K08
D50.9 | Thiếu máu thiếu sắt không đặc hiệu | Mệt, hoa mắt | sat | blood | | 12-80 | F | | K22
L50.9 | Mày đay, không đặc hiệu | Ngứa, nổi mẩn | cetirizin | blood | | 3-70 | | | K13
N39.0 | Nhiễm khuẩn hệ tiết niệu, vị trí không xác định | Tiểu buốt, tiểu rắt | cefuroxim | urine blood | | 16-85 | F | | K07
G47.0 | Rối loạn vào giấc và duy trì giấc ngủ [mất ngủ] | Mất ngủ kéo dài | cetirizin | | | 30-85 | | | K14
S52.5 | Gãy đầu dưới xương quay | Đau, sưng cổ tay sau ngã | paracetamol celecoxib | | | 8-85 | | | K19
K35.8 | Viêm ruột thừa cấp, khác và không đặc hiệu | Đau hố chậu phải | ceftriaxon nacl paracetamol | blood crp abdomen | | 8-60 | | i | K19
Z34.0 | Giám sát thai nghén bình thường lần đầu | Khám thai định kỳ | sat | fetal blood urine | | 20-40 | F | s | K27
O80.0 | Đẻ thường một thai ngôi chỏm | Đau bụng chuyển dạ | oxytocin paracetamol | delivery blood | | 20-40 | F | s | K27
P59.9 | Vàng da sơ sinh, không đặc hiệu | Vàng da ngày thứ ba | vitamink | blood | | 0-0 | | s | K18
Z38.0 | Trẻ đẻ ra sống trong bệnh viện, một thai | Trẻ sơ sinh sau đẻ | vitamink | | | 0-0 | | s | K18
B20 | Bệnh nhiễm HIV dẫn đến bệnh nhiễm trùng và ký sinh trùng | Tái khám, lĩnh thuốc ARV | tld cotrimoxazol | viral_load cd4 | | 20-60 | | s | K11
Z21 | Tình trạng nhiễm HIV không triệu chứng | Tái khám, lĩnh thuốc ARV | tld | viral_load | | 20-60 | | s | K11
A15.0 | Lao phổi, xác nhận bằng soi đờm có hoặc không có nuôi cấy | Ho kéo dài, sốt về chiều | rhze | afb xpert chest_bad | | 20-75 | | s | K01
F20.0 | Tâm thần phân liệt thể hoang tưởng | Ảo thanh, mất ngủ | olanzapin haloperidol | blood | | 18-60 | | s | K12
"""
EXTRA_TEXT = {"D63.8": "Thiếu máu trong các bệnh mạn tính khác được phân loại nơi khác"}


def _parse(row: str) -> Condition:
    code, text, complaint, drugs, services, also, ages, sex, flags, department = (c.strip() for c in row.split("|"))
    low, high = (int(bound) for bound in ages.split("-"))
    return Condition(
        code, text, complaint, tuple(drugs.split()), tuple(services.split()), tuple(also.split()),
        (low, high), sex, "c" in flags, "i" in flags, department,
    )  # fmt: skip


_ALL = [_parse(row) for row in _ROWS.strip().splitlines()]
CONDITIONS: dict[str, Condition] = {condition.code: condition for condition in _ALL}
# Codes that only the named stories may carry: an ordinary person never has them.
STORY_ONLY = frozenset({"Z34.0", "O80.0", "P59.9", "Z38.0", "B20", "Z21", "A15.0", "F20.0"})


def text_of(code: str) -> str:
    return EXTRA_TEXT.get(code) or CONDITIONS[code].text


def suits(condition: Condition, age: int, male: bool) -> bool:
    """Whether an ordinary person of this age and sex may have the condition."""
    if condition.code in STORY_ONLY or condition.sex == ("F" if male else "M"):
        return False
    return condition.age[0] <= age <= condition.age[1]
