"""Vietnamese names and Hanoi addresses from which people are made up; no identifiers here."""

from __future__ import annotations

from random import Random

FAMILY = (
    ("Nguyễn", 38), ("Trần", 11), ("Lê", 10), ("Phạm", 7), ("Hoàng", 5), ("Vũ", 5), ("Phan", 4), ("Đặng", 3),
    ("Bùi", 3), ("Đỗ", 3), ("Ngô", 2), ("Dương", 2), ("Đinh", 2), ("Trịnh", 2), ("Lương", 1), ("Kiều", 1),
    ("Khuất", 1),
)  # fmt: skip
MALE_MIDDLE = ("Văn", "Đức", "Quang", "Minh", "Hữu", "Xuân", "Ngọc", "Tuấn", "Công", "Đình", "Thế", "Bá")
MALE_GIVEN = (
    "Hùng", "Dũng", "Sơn", "Tuấn", "Thắng", "Hải", "Long", "Nam", "Bình", "Kiên", "Hoà", "Khánh", "Phúc",
    "Quân",
    "Trường", "Tùng", "Việt", "Thành", "Đạt", "Cường", "Hiếu", "Nghĩa", "Lộc", "Toàn",
)  # fmt: skip
FEMALE_MIDDLE = (
    "Thị",
    "Thu",
    "Ngọc",
    "Thanh",
    "Bích",
    "Phương",
    "Minh",
    "Kim",
    "Hồng",
    "Thùy",
    "Diệu",
    "Mai",
)
FEMALE_GIVEN = (
    "Hương", "Lan", "Hoa", "Nga", "Hằng", "Thủy", "Hạnh", "Linh", "Trang", "Yến", "Loan", "Huyền", "Nhung",
    "Quỳnh",
    "Thảo", "Vân", "Oanh", "Hiền", "Dung", "Tâm", "Ngân", "Phượng", "Hoà", "Giang",
)  # fmt: skip

# (ward, 5-digit code) of Hanoi after the two-tier reform of 07/2025; the codes are for demonstration only.
WARDS = (
    ("Phường Ba Đình", "00004"), ("Phường Ngọc Hà", "00008"), ("Phường Giảng Võ", "00025"),
    ("Phường Hoàn Kiếm", "00070"), ("Phường Cửa Nam", "00082"), ("Phường Phú Thượng", "00091"),
    ("Phường Hồng Hà", "00097"), ("Phường Tây Hồ", "00103"), ("Phường Bồ Đề", "00118"),
    ("Phường Việt Hưng", "00127"), ("Phường Phúc Lợi", "00136"), ("Phường Long Biên", "00145"),
    ("Phường Nghĩa Đô", "00160"), ("Phường Cầu Giấy", "00166"), ("Phường Yên Hòa", "00175"),
    ("Phường Ô Chợ Dừa", "00190"), ("Phường Láng", "00199"), ("Phường Kim Liên", "00229"),
    ("Phường Bạch Mai", "00283"), ("Phường Hai Bà Trưng", "00256"), ("Phường Vĩnh Tuy", "00292"),
    ("Phường Hoàng Mai", "00331"), ("Phường Thanh Xuân", "00367"), ("Phường Hà Đông", "09556"),
    ("Phường Kiến Hưng", "09541"), ("Xã Gia Lâm", "00565"), ("Xã Đông Anh", "00454"),
    ("Xã Thanh Trì", "00640"),
    ("Xã Hoài Đức", "09832"), ("Xã Quốc Oai", "09895"),
)  # fmt: skip
STREETS = (
    "Kim Mã", "Đội Cấn", "Giảng Võ", "Láng Hạ", "Tôn Đức Thắng", "Bạch Mai", "Minh Khai", "Lạc Trung",
    "Nguyễn Trãi",
    "Quang Trung", "Trần Phú", "Ngô Gia Tự", "Nguyễn Văn Cừ", "Xuân Thủy", "Hoàng Quốc Việt", "Tam Trinh",
    "Lĩnh Nam",
)  # fmt: skip


def full_name(rng: Random, male: bool) -> str:
    """Family, middle and given name in NFC, written as people write it (not upper case)."""
    family = rng.choices([name for name, _ in FAMILY], [weight for _, weight in FAMILY])[0]
    middle, given = (MALE_MIDDLE, MALE_GIVEN) if male else (FEMALE_MIDDLE, FEMALE_GIVEN)
    parts = [family, rng.choice(middle), rng.choice(given)]
    if not male and parts[1] != "Thị" and rng.random() < 0.4:
        parts.insert(1, "Thị")
    return " ".join(parts)


def address(rng: Random) -> tuple[str, str]:
    """(address text, ward code) under the two-tier units: ward, then city, no district."""
    ward, code = rng.choice(WARDS)
    if ward.startswith("Xã"):
        return f"Thôn {rng.randint(1, 9)}, {ward}, Thành phố Hà Nội", code
    alley = f"Ngõ {rng.randint(2, 360)} " if rng.random() < 0.5 else ""
    return (f"Số {rng.randint(1, 280)} {alley}{rng.choice(STREETS)}, {ward}, Thành phố Hà Nội", code)
