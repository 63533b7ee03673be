"""The ledger in every answer (DESIGN 6): outcome per facility and record kind, completeness, and which feeds carry what.

Types only, and the two facts both sides must agree on: FEED_KINDS and the order in which outcomes worsen.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import strawberry

from schema.elements import Facility, Feed, RecordKind
from schema.scalars import PartialDate


@strawberry.enum(description="Cơ sở đã trả lời thế nào. What a facility did with this question.")
class Outcome(Enum):
    """One value a facility and kind; the definition order is from harmless to harmful."""

    __hash__ = object.__hash__  # a member is one object; Enum hashes its name, a hundred times a query

    ANSWERED = "ANSWERED"
    EMPTY = "EMPTY"
    NOT_HELD = "NOT_HELD"
    NOT_ASKED = "NOT_ASKED"
    LOCATOR_BEHIND = "LOCATOR_BEHIND"
    LAGGING = "LAGGING"
    TRUNCATED = "TRUNCATED"
    UNSUPPORTED = "UNSUPPORTED"
    WITHHELD = "WITHHELD"
    REFUSED = "REFUSED"
    OVER_BUDGET = "OVER_BUDGET"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    UNREACHABLE = "UNREACHABLE"
    TIMED_OUT = "TIMED_OUT"
    INVALID_RESPONSE = "INVALID_RESPONSE"


@strawberry.enum(description="Câu trả lời đã đủ chưa. Whether the whole is complete.")
class Completeness(Enum):
    """INCOMPLETE: something located is missing. UNCERTAIN: something not located may exist. COMPLETE otherwise."""

    COMPLETE = "COMPLETE"
    UNCERTAIN = "UNCERTAIN"
    INCOMPLETE = "INCOMPLETE"


@strawberry.enum(description="Khi câu trả lời thiếu. What to do with an answer that is INCOMPLETE.")
class OnIncomplete(Enum):
    """CONTINUE: rows and ledger, as always. FAIL: an error INCOMPLETE_ANSWER and no data; UNCERTAIN does not fail."""

    CONTINUE = "CONTINUE"
    FAIL = "FAIL"


@strawberry.enum(description="Tình trạng dị ứng / thuốc. What may safely be said of an empty list.")
class StatementStatus(Enum):
    """'None' may be printed only for STATED_NONE (DESIGN 6, safe empties)."""

    RECORDED = "RECORDED"
    STATED_NONE = "STATED_NONE"
    NOT_RECORDED = "NOT_RECORDED"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="Ngôn ngữ. Language of texts for people.")
class Language(Enum):
    """Vietnamese first."""

    VI = "VI"
    EN = "EN"


def _text() -> str:
    """A text of the ledger in one language: its value is shaped with the whole ledger, never resolved alone."""

    def written(self: object, language: Language = Language.VI) -> str:
        raise TypeError("the ledger is answered as a whole")

    return strawberry.field(resolver=written)


def _texts() -> list[str]:
    """Several texts of the ledger in one language."""

    def written(self: object, language: Language = Language.VI) -> list[str]:
        raise TypeError("the ledger is answered as a whole")

    return strawberry.field(resolver=written)


@strawberry.type(description="Kết quả theo loại bản ghi. A facility's outcome for one record kind.")
class KindCoverage:
    """reason is a stable code: IDENTITY_CONFLICT, FAILED_ITEMS, NOT_PERMITTED, …"""

    kind: RecordKind
    outcome: Outcome
    reason: str | None
    records: int


@strawberry.type(description="Một dòng của sổ: một cơ sở. One line of the ledger.")
class FacilityCoverage:
    """took_ms: milliseconds from asking to answer. as_of: when the facility's feeds last brought something."""

    facility: Facility
    outcome: Outcome
    reason: str | None
    kinds: list[KindCoverage]
    records: int
    failed_items: int
    took_ms: int | None
    as_of: PartialDate | None
    feed_lag_seconds: int | None
    advice: str = _text()


@strawberry.type(description="Sổ trả lời: từng cơ sở đã làm gì, câu trả lời có đủ không. The ledger of an answer.")
class Coverage:
    """registered, connected and current count facilities of the city; current ones have a fresh locator.

    notices are constant lines that tell nothing about this patient: OTHERS_MAY_EXIST, WEAK_NUMBER, LAW_HIDDEN,
    BREAK_GLASS.
    """

    completeness: Completeness
    facilities: list[FacilityCoverage]
    registered: int
    connected: int
    current: int
    located: int
    summary: str = _text()
    notices: list[str] = _texts()


@strawberry.type(description="Tình trạng nguồn vào của một cơ sở. What a node says of itself beside its answer.")
class NodeLedger:
    """failed_items counts FAILED inbox parts attributed to this patient. as_of and the lag speak of the facility's feeds."""

    facility: str
    failed_items: int
    as_of: PartialDate | None
    lagging: bool
    feed_lag_seconds: int | None


_CLINICAL = frozenset(RecordKind)

# What a feed can carry at all; the insurer's XML has no allergy, immunisation or imaging-study table.
FEED_KINDS: dict[Feed, frozenset[RecordKind]] = {
    Feed.BHYT_XML: _CLINICAL - {RecordKind.ALLERGY_INTOLERANCE, RecordKind.IMMUNIZATION, RecordKind.IMAGING_STUDY},
    Feed.FHIR: _CLINICAL,
}


@lru_cache(maxsize=64)
def held_kinds(feeds: frozenset[Feed]) -> frozenset[RecordKind]:
    """The record kinds that a facility with these feeds can hold."""
    return frozenset(kind for feed in feeds for kind in FEED_KINDS.get(feed, frozenset()))
