"""The formulary for QĐ 4750 XML2 and FHIR MedicationRequest; codes plausible, prices invented."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Drug:
    """`ingredient` is MA_THUOC (joined by + for combinations), `route` is DUONG_DUNG."""

    key: str
    ingredient: str
    name: str
    strength: str
    unit: str
    route: str
    form: str
    each: str
    times: int
    price: Decimal
    atc: str
    registration: str

    @property
    def needs_a_nurse(self) -> bool:
        """Injections, infusions and oxygen are not prescribed to take home."""
        return self.route in {"2.10", "2.15", "5.08"} and self.key != "insulin"


# key | MA_THUOC | TEN_THUOC | HAM_LUONG | DON_VI_TINH | DUONG_DUNG | DANG_BAO_CHE | each time | times a day
# | price | ATC
_ROWS = """
metformin | 40.807 | Glucophage | 850mg | Viên | 1.01 | Viên nén bao phim | 1 | 2 | 3442 | A10BA02
gliclazid | 40.800 | Diamicron MR | 30mg | Viên | 1.01 | Viên nén giải phóng có kiểm soát | 2 | 1 | 2765 | A10BB09
insulin | 40.805 | Mixtard 30 | 100IU/ml x 10ml | Lọ | 2.15 | Hỗn dịch tiêm | 0.125 | 2 | 74000 | A10AD01
amlodipin | 40.491 | Amlor | 5mg | Viên | 1.01 | Viên nang | 1 | 1 | 7593 | C08CA01
losartan | 40.504 | Cozaar | 50mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 8370 | C09CA01
perindopril | 40.505+40.491 | Coveram 5-5 | 5mg + 5mg | Viên | 1.01 | Viên nén | 1 | 1 | 6589 | C09BB04
bisoprolol | 40.485 | Concor | 2,5mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 3147 | C07AB07
atorvastatin | 40.549 | Lipitor | 20mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 15941 | C10AA05
aspirin | 40.538 | Aspirin 81 | 81mg | Viên | 1.01 | Viên bao tan trong ruột | 1 | 1 | 340 | B01AC06
clopidogrel | 40.539 | Plavix | 75mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 17704 | B01AC04
salbutamol | 40.980 | Ventolin Inhaler | 100mcg/liều | Bình | 5.06 | Khí dung định liều | 0.033 | 2 | 76379 | R03AC02
budesonid | 40.973+40.979 | Symbicort | 160mcg + 4,5mcg | Ống | 5.05 | Bột hít | 0.017 | 2 | 286440 | R03AK07
amoxiclav | 40.154 | Augmentin | 875mg + 125mg | Viên | 1.01 | Viên nén bao phim | 1 | 2 | 16680 | J01CR02
amoxicilin | 40.153 | Moxilen | 500mg | Viên | 1.01 | Viên nang | 1 | 3 | 2100 | J01CA04
cefuroxim | 40.180 | Zinnat | 500mg | Viên | 1.01 | Viên nén bao phim | 1 | 2 | 22130 | J01DC02
ceftriaxon | 40.174 | Rocephin | 1g | Lọ | 2.10 | Bột pha tiêm | 2 | 1 | 140416 | J01DD04
levofloxacin | 40.229 | Tavanic | 500mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 36550 | J01MA12
azithromycin | 40.218 | Zithromax | 500mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 89820 | J01FA10
omeprazol | 40.677 | Losec MUPS | 20mg | Viên | 1.01 | Viên nén kháng dịch vị | 1 | 2 | 22456 | A02BC01
esomeprazol | 40.678 | Nexium | 40mg | Lọ | 2.10 | Bột pha tiêm | 1 | 1 | 153560 | A02BC05
paracetamol | 40.48 | Efferalgan | 500mg | Viên | 1.01 | Viên nén sủi bọt | 1 | 3 | 2312 | N02BE01
meloxicam | 40.41 | Mobic | 7,5mg | Viên | 1.01 | Viên nén | 1 | 1 | 9122 | M01AC06
celecoxib | 40.28 | Celebrex | 200mg | Viên | 1.01 | Viên nang | 1 | 1 | 11913 | M01AH01
allopurinol | 40.59 | Milurit | 300mg | Viên | 1.01 | Viên nén | 1 | 1 | 2500 | M04AA01
colchicin | 40.61 | Colchicin | 1mg | Viên | 1.01 | Viên nén | 0.5 | 2 | 1050 | M04AC01
cetirizin | 40.77 | Zyrtec | 10mg | Viên | 1.01 | Viên nén bao phim | 1 | 1 | 4200 | R06AE07
furosemid | 40.659 | Lasix | 40mg | Viên | 1.01 | Viên nén | 1 | 1 | 1890 | C03CA01
nacl | 40.1021 | Natri clorid 0,9% | 0,9% 500ml | Chai | 2.15 | Dung dịch tiêm truyền | 1 | 2 | 7560 | B05BB01
ringer | 40.1029 | Ringer lactat | 500ml | Chai | 2.15 | Dung dịch tiêm truyền | 1 | 2 | 7250 | B05BB01
oxy | 40.17 | Oxy dược dụng | 99,6% | Lít | 5.08 | Khí hóa lỏng | 187.5 | 1 | 9 | V03AN01
levothyroxin | 40.815 | Berlthyrox | 100mcg | Viên | 1.01 | Viên nén | 0.5 | 1 | 720 | H03AA01
sat | 40.430 | Ferrovit | 162mg | Viên | 1.01 | Viên nang mềm | 1 | 1 | 1450 | B03AE10
oresol | 40.672 | Oresol | 27,9g | Gói | 1.01 | Bột pha uống | 1 | 3 | 2750 | A07CA
tobramycin | 40.885 | Tobrex | 3mg/ml x 5ml | Lọ | 6.01 | Thuốc nhỏ mắt | 0.05 | 4 | 39999 | S01AA12
oxytocin | 40.926 | Oxytocin | 5IU/ml | Ống | 2.10 | Dung dịch tiêm | 2 | 1 | 6489 | H01BB02
vitamink | 40.448 | Vinphyton | 1mg/ml | Ống | 2.10 | Dung dịch tiêm | 1 | 1 | 1300 | B02BA01
olanzapin | 40.956 | Zyprexa | 10mg | Viên | 1.01 | Viên nén | 1 | 1 | 28700 | N05AH03
haloperidol | 40.952 | Haloperidol | 1,5mg | Viên | 1.01 | Viên nén | 1 | 2 | 105 | N05AD01
rhze | 40.306+40.300+40.309+40.302 | Turbezid | 150mg + 75mg + 400mg | Viên | 1.01 | Viên nén | 3 | 1 | 2900 | J04AM05
tld | 40.265+40.261+40.258 | Acriptega | 50mg + 300mg + 300mg | Viên | 1.01 | Viên nén | 1 | 1 | 3874 | J05AR27
efavirenz | 40.264+40.261+40.258 | TLE 400 | 400mg + 300mg + 300mg | Viên | 1.01 | Viên nén | 1 | 1 | 3910 | J05AR11
cotrimoxazol | 40.243+40.242 | Cotrimoxazol 960 | 800mg + 160mg | Viên | 1.01 | Viên nén | 1 | 1 | 680 | J01EE01
"""


def _parse(row: str, place: int) -> Drug:
    cells = [cell.strip() for cell in row.split("|")]
    key, ingredient, name, strength, unit, route, form, each, times, price, atc = cells
    registration = (
        f"VD-{20_100 + place * 137}-{14 + place % 9}" if place % 3 else f"VN-{16_000 + place * 91}-{13 + place % 8}"
    )
    return Drug(
        key,
        ingredient,
        name,
        strength,
        unit,
        route,
        form,
        each,
        int(times),
        Decimal(price),
        atc,
        registration,
    )


DRUGS: dict[str, Drug] = {
    drug.key: drug for drug in (_parse(row, place) for place, row in enumerate(_ROWS.strip().splitlines()))
}
ARV = frozenset({"tld", "efavirenz"})
