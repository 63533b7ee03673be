"""The five hospitals of the demo city and the local habits of their software; no patients here."""

from __future__ import annotations

from dataclasses import dataclass

BHYT_XML = "bhyt_xml"
FHIR = "fhir"


@dataclass(frozen=True)
class Practitioner:
    """One member of staff: licence number (CCHN or GPHN form), BHXH number and name."""

    licence: str
    bhxh: str
    name: str


@dataclass(frozen=True)
class Facility:
    """A hospital as the rest of the generator needs it: code, names, feed and staff."""

    code: str
    name: str
    feed: str
    city_ward: str
    director_bhxh: str
    staff: tuple[Practitioner, ...]

    def patient_number(self, serial: int, year: int) -> str:
        """MA_BN or FHIR Patient.id: local only. Zero-filled ones collide between hospitals on purpose."""
        if self.code == "01006":
            return f"TN{year % 100:02d}{serial:06d}"
        if self.code == "01025":
            return f"25.{serial:06d}"
        if self.code == "01929":
            return f"bm-{year % 100:02d}{serial:07d}"
        return f"{serial:010d}"

    def visit_number(self, serial: int, year: int, month: int, patient_number: str) -> str:
        """MA_LK or FHIR Encounter.id in the style of the hospital's software; unique only inside it."""
        if self.code == "01003":
            return f"{2_400_000 + serial:07d}"
        if self.code == "01006":
            return f"01006_{year}_{month:02d}_{patient_number}_{10_000 + serial}"
        if self.code == "01025":
            return f"DG{year % 100:02d}{serial:08d}"
        if self.code == "01929":
            return f"bm-enc-{serial:06d}"
        return f"hd-{year}-{serial:05d}"


def _staff(province: str, first: int, *names: str) -> tuple[Practitioner, ...]:
    return tuple(
        Practitioner(
            f"{first + 7 * place:06d}/{province}-CCHN" if place % 3 else f"GPHN.HD.{first % 90_000 + place:05d}",
            f"01{30_000_000 + first * 11 + place:08d}",
            name,
        )
        for place, name in enumerate(names)
    )


FACILITIES: tuple[Facility, ...] = (
    Facility(
        "01003",
        "Bệnh viện Đa khoa Xanh Pôn",
        BHYT_XML,
        "Phường Ba Đình",
        "0114500031",
        _staff("HNO", 12_310, "Nguyễn Hữu Thắng", "Trần Thị Bích Ngọc", "Lê Quang Vinh", "Phạm Thu Hằng"),
    ),
    Facility(
        "01006",
        "Bệnh viện Thanh Nhàn",
        BHYT_XML,
        "Phường Bạch Mai",
        "0114500062",
        _staff("HNO", 23_870, "Đỗ Minh Tuấn", "Vũ Thị Lan Anh", "Hoàng Đức Long", "Bùi Thị Hạnh"),
    ),
    Facility(
        "01025",
        "Bệnh viện Đa khoa Đức Giang",
        BHYT_XML,
        "Phường Việt Hưng",
        "0114500253",
        _staff("HNO", 31_440, "Ngô Văn Khoa", "Đặng Thị Mai", "Phan Anh Dũng", "Dương Thùy Linh"),
    ),
    Facility(
        "01929",
        "Bệnh viện Bạch Mai",
        FHIR,
        "Phường Kim Liên",
        "0114519294",
        _staff("BYT", 40_120, "Trịnh Xuân Hòa", "Nguyễn Thị Vân", "Cao Bá Quân", "Lý Thị Phương"),
    ),
    Facility(
        "01816",
        "Bệnh viện Đa khoa Hà Đông",
        FHIR,
        "Phường Hà Đông",
        "0114518165",
        _staff("HTA", 52_660, "Lưu Đình Phúc", "Tạ Thị Yến", "Mai Văn Sơn", "Hồ Thị Kim Chi"),
    ),
)

BY_CODE: dict[str, Facility] = {facility.code: facility for facility in FACILITIES}
