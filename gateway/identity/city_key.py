"""The city key and what it makes: patient tokens and digests of birth date and sex (DESIGN 4). Never a linking decision.

Only the gateway holds the key: a CCCD has so little entropy that whoever has the key can undo every token.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import KeyUnusable
from gateway.keys import read_private_file, write_private_file
from schema.identity import IdentifierKind

KEY_BYTES = 32
TOKEN_BYTES = 16  # after the version byte
DAY_BYTES, YEAR_BYTES, SEX_BYTES = 8, 6, 4


@dataclass(frozen=True, slots=True)
class PersonDigest:
    """Birth date and sex of a row, under the city key; None for what is not known.

    Two precisions of the birth date: `day` of a full date, `year` of its year. `sex` is scoped to the year, so that no
    column of the locator tells the two sexes apart; it is compared only where the years are equal.
    """

    day: bytes | None = None
    year: bytes | None = None
    sex: bytes | None = None

    @property
    def full(self) -> bool:
        """A whole date and a sex."""
        return self.day is not None and self.sex is not None


class CityKey:
    """The key and its version. Its repr shows neither."""

    __slots__ = ("_secret", "_version")

    def __init__(self, secret: bytes, version: int) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError("a city key has 32 bytes")
        self._secret, self._version = secret, version.to_bytes(1, "big")

    def _digest(self, *parts: str) -> bytes:
        # Each part carries its length: ("a", "bc") and ("ab", "c") must not be one message.
        message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
        return hmac.digest(self._secret, message, "sha256")

    def patient_token(self, kind: IdentifierKind, value: str) -> bytes:
        """17 bytes: the key's version, then the digest of kind and canonical value. Personal data: never in a log."""
        return self._version + self._digest("token", kind.value, value)[:TOKEN_BYTES]

    def person_digest(self, birth_date: str | None, gender: str | None) -> PersonDigest:
        """Of a PartialDate and a FHIR gender in capitals. A month without a day counts as its year; UNKNOWN as no sex."""
        year = birth_date[:4] if birth_date else ""
        day = birth_date[:10] if birth_date and len(birth_date) >= 10 else ""
        sex = gender if gender and gender != "UNKNOWN" else ""
        return PersonDigest(
            self._digest("birth day", day)[:DAY_BYTES] if day else None,
            self._digest("birth year", year)[:YEAR_BYTES] if year else None,
            self._digest("sex", year, sex)[:SEX_BYTES] if sex else None,
        )

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes for another use of the key (page cursors), from which neither the key nor other uses follow."""
        return self._digest("purpose", purpose)

    def pairwise_id(self, application: str, token: bytes) -> str:
        """A patient's id as one client application sees it: two applications cannot join on it (DESIGN 3a)."""
        return self._digest("pairwise", application, token.hex())[:TOKEN_BYTES].hex()

    @property
    def version(self) -> int:
        """1 to 255; the first byte of every token."""
        return self._version[0]

    def fingerprint(self) -> str:
        """16 hex digits that tell keys apart and tell nothing of the key."""
        return f"{self._version[0]}:{hashlib.sha256(self._digest('fingerprint')).hexdigest()[:16]}"


def agrees(a: PersonDigest, b: PersonDigest) -> bool | None:
    """Whether two rows can be one person by birth date and sex, at the coarser precision; None when something is unknown.

    Not transitive: a year agrees with two days of it that disagree with each other.
    """
    date = _equal(a.day, b.day)
    if date is None:
        date = _equal(a.year, b.year)
    sex = _equal(a.sex, b.sex) if a.year == b.year else None
    if date is False or sex is False:
        return False
    return True if date and sex else None


def _equal(a: bytes | None, b: bytes | None) -> bool | None:
    return None if a is None or b is None else a == b


def create_city_key(path: Path) -> None:
    """A new random key file. Never overwrites one: every token would be lost."""
    write_private_file(path, os.urandom(KEY_BYTES))


def load_city_key(path: Path, version: int = 1, allow_repository: bool = False) -> CityKey:
    """The key in this file. Raises KeyUnusable when it is missing, damaged, readable by others or in a repository."""
    secret = read_private_file(path, allow_repository)
    if len(secret) != KEY_BYTES:
        raise KeyUnusable(
            f"Tệp khoá {path} hỏng (cần {KEY_BYTES} byte); khôi phục từ bản sao lưu",
            f"key file {path} is damaged (needs {KEY_BYTES} bytes); restore it from backup",
        )
    return CityKey(secret, version)
