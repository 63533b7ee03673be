"""One line of an inbox item's report, and how errors, remarks and exceptions become one. Never patient data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from node_agent.errors import UnitError
from node_agent.records import FeedError, Remark

INTERNAL_ERROR = "INTERNAL_ERROR"


class Severity(Enum):
    """An ERROR left something out of the store; a REMARK did not."""

    ERROR = "ERROR"
    REMARK = "REMARK"


@dataclass(frozen=True, slots=True)
class Problem:
    """place: 'HOSO 2', 'entry[3]', 'unit 4' (the fourth unit of the file), '*' for the whole."""

    severity: Severity
    code: str
    place: str
    table: str | None = None
    field: str | None = None
    reason_vi: str = ""
    reason_en: str = ""
    count: int = 1


def from_feed(error: FeedError) -> Problem:
    """What a feed found wrong."""
    return Problem(Severity.ERROR, error.code, error.where, error.table, error.field, error.reason_vi, error.reason_en)


def from_remark(remark: Remark) -> Problem:
    """What a feed noticed."""
    return Problem(Severity.REMARK, remark.code, remark.where, count=remark.count)


def from_refusal(error: UnitError, position: int) -> Problem:
    """Why a unit of a file could not be stored; position counts from 0."""
    place = f"unit {position + 1}"
    return Problem(Severity.ERROR, error.code, place, error.table, error.field, error.vi, error.en)


def from_exception(error: Exception, place: str) -> Problem:
    """A fault of ours, by its type alone: an exception's text may quote a patient."""
    name = type(error).__name__
    return Problem(
        Severity.ERROR,
        INTERNAL_ERROR,
        place,
        reason_vi=f"Lỗi bên trong ({name}); dữ liệu còn nguyên, thử lại: node-agent inbox replay",
        reason_en=f"internal fault ({name}); the bytes are kept, try node-agent inbox replay",
    )
