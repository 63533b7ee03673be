"""Identifier kinds and their canonical values (DESIGN 4). Pure text work; no token is made here."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

import strawberry


@strawberry.enum(description="Loại giấy tờ định danh. A kind of identifier of a person.")
class IdentifierKind(Enum):
    """Strong kinds link on their own; weak ones only with equal birth date and sex; MRN never links."""

    CCCD = "CCCD"
    PASSPORT = "PASSPORT"
    SSN = "SSN"
    BHXH = "BHXH"
    CMND = "CMND"
    BIRTH_CERTIFICATE = "BIRTH_CERTIFICATE"
    MRN = "MRN"


STRONG = frozenset({IdentifierKind.CCCD, IdentifierKind.PASSPORT, IdentifierKind.SSN})

_SPACE = re.compile(r"[\s.\-]+")
_SHAPES: dict[IdentifierKind, re.Pattern[str]] = {
    IdentifierKind.CCCD: re.compile(r"\d{12}", re.ASCII),
    IdentifierKind.PASSPORT: re.compile(r"(?:[A-Z]{3}:)?[A-Z0-9]{5,15}", re.ASCII),
    IdentifierKind.SSN: re.compile(r"\d{9}", re.ASCII),
    IdentifierKind.BHXH: re.compile(r"\d{10}", re.ASCII),
    IdentifierKind.CMND: re.compile(r"\d{9}", re.ASCII),
    IdentifierKind.BIRTH_CERTIFICATE: re.compile(r"[A-Z0-9/]{3,40}", re.ASCII),
    IdentifierKind.MRN: re.compile(r"[^\s:]{1,40}:.{1,100}"),
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A canonical identifier: `value` is what is hashed. MRN values are '<facility>:<local number>'."""

    kind: IdentifierKind
    value: str


class IdentifierError(ValueError):
    """The text is not a usable identifier of that kind; `reason` is EMPTY, SHAPE or PLACEHOLDER. Never carries the value."""

    def __init__(self, kind: IdentifierKind, reason: str) -> None:
        super().__init__(f"{kind.value}: {reason}")
        self.kind, self.reason = kind, reason


def is_placeholder(value: str) -> bool:
    """True for numbers people type when they have none: one digit repeated, or a run such as 123456789012 or 0123456789."""
    digits = value.split(":")[-1]
    if len(set(digits)) <= 1:
        return True
    if not digits.isdigit():
        return False
    upwards = "0123456789" * (len(digits) // 10 + 2)
    return (
        digits in upwards
        or digits[::-1] in upwards
        or (len(digits) >= 9 and (digits.count("0") >= len(digits) - 1 or digits.count("9") >= len(digits) - 1))
    )


def canonical(kind: IdentifierKind, text: str) -> Identifier:
    """The canonical identifier; raises IdentifierError. A 15-character card gives its last 10 digits for BHXH."""
    value = unicodedata.normalize("NFKC", text or "").strip()
    if kind is not IdentifierKind.MRN:
        value = _SPACE.sub("", value).upper()
    if kind is IdentifierKind.BHXH and len(value) == 15:
        value = value[5:]
    if not value:
        raise IdentifierError(kind, "EMPTY")
    if not _SHAPES[kind].fullmatch(value):
        raise IdentifierError(kind, "SHAPE")
    if kind is not IdentifierKind.MRN and is_placeholder(value):
        raise IdentifierError(kind, "PLACEHOLDER")
    return Identifier(kind, value)


def classify(text: str) -> Identifier | None:
    """What a SO_CCCD field holds: 12 digits CCCD, 9 digits CMND, letters with digits a passport (France's begin with digits).

    None for empty, odd or placeholder values.
    """
    value = _SPACE.sub("", unicodedata.normalize("NFKC", text or "")).upper()
    kind = (
        IdentifierKind.CCCD
        if len(value) == 12 and value.isdigit()
        else IdentifierKind.CMND
        if len(value) == 9 and value.isdigit()
        else IdentifierKind.PASSPORT
    )
    # A word such as KHONGCO is no passport: every country's numbers are mostly digits.
    if kind is IdentifierKind.PASSPORT and not (
        any(c.isalpha() for c in value) and sum(c.isdigit() for c in value) >= 4
    ):
        return None
    try:
        return canonical(kind, value)
    except IdentifierError:
        return None


def cccd_agrees(value: str, birth_date: str | None, gender: str | None) -> bool | None:
    """Whether a CCCD's own century/sex digit and year digits fit the birth date and sex; None when those are unknown.

    Digits: 3 province, 1 century and sex (0/1 male/female of the 1900s, 2/3 of the 2000s …), 2 year, 6 serial
    (NĐ 137/2015). A test of consistency, not a check digit.
    """
    if len(value) != 12 or not birth_date or gender not in ("MALE", "FEMALE"):
        return None
    year, century_sex = int(birth_date[:4]), int(value[3])
    return (1900 + 100 * (century_sex // 2) + int(value[4:6]), century_sex % 2) == (year, 0 if gender == "MALE" else 1)
