"""Rows as the locator gives them, made from plain facts about a patient row: for tests of linking. No database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.identity.choice import NO_SPLITS, Choice, Located, Splits, choose
from gateway.identity.city_key import CityKey
from gateway.identity.linking import link, ways
from gateway.store.tables import KIND_NUMBERS
from schema.identity import IdentifierKind

KEY = CityKey(bytes(range(32)), 1)
Numbers = dict[IdentifierKind, str]


@dataclass(frozen=True)
class Written:
    """One patient row at one hospital. numbers: 'CCCD X BHXH W', say."""

    facility: str
    numbers: str
    birth: str | None = "1980-03-05"
    sex: str | None = "FEMALE"
    doubtful: bool = False
    fits: bool | None = None
    ref: str = ""
    truth: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.facility, self.ref or f"ref-{self.facility}"

    def pairs(self) -> list[tuple[IdentifierKind, str]]:
        words = self.numbers.split()
        return [(IdentifierKind(k), v) for k, v in zip(words[::2], words[1::2], strict=True)]


def token(kind: IdentifierKind | str, value: str) -> bytes:
    """The patient token under this module's key."""
    return KEY.patient_token(IdentifierKind(kind), value)


def rows_of(written: Written) -> list[Located]:
    """What sync makes of a patient row: one row a number, each with the other numbers."""
    made = []
    for kind, value in written.pairs():
        others = [(k, v) for k, v in written.pairs() if (k, v) != (kind, value) and k is not IdentifierKind.MRN]
        also = b"".join(bytes([KIND_NUMBERS[k]]) + token(k, v)[1:] for k, v in others)
        if kind is IdentifierKind.MRN:
            also = b""
        made.append(
            Located(
                f"node-{written.facility}", *written.key, kind, KEY.person_digest(written.birth, written.sex),
                written.fits if kind is IdentifierKind.CCCD else None, written.doubtful, also, token(kind, value),
            )
        )  # fmt: skip
    return made


def find(city: Iterable[Written], kind: str, value: str, splits: Splits = NO_SPLITS) -> Choice:
    """As locator.People, over a list."""
    rows = [row for written in city for row in rows_of(written)]
    choice = choose([row for row in rows if row.token == token(kind, value)], splits)
    by_way = ways(choice, splits)
    return link(choice, by_way, [row for row in rows if row.token in by_way], splits=splits)
