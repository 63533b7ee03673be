"""Arguments of the connections: filters and page limits, and what makes one impossible. Both sides refuse by the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import strawberry

from schema.elements import RecordKind
from schema.scalars import PARTIAL_DATE, PartialDate

PAGE_DEFAULT = 20
PAGE_LIMIT = 200
CODE_LIMIT = 64
CODE_MARKS = frozenset(".*† -/+:_")  # beside letters and digits; % and ? look like wildcards and would find nothing
CODE_UNSEARCHED = frozenset(".*† ")  # what a search does not look at: a prefix of these alone would find everything


class BadArgument(ValueError):
    """An argument nobody can be asked: BAD_PAGE_SIZE, BAD_PERIOD, BAD_CODE or BAD_KINDS.

    The texts say what would be valid and never what was given, which may be an identifier typed into the wrong place.
    """

    def __init__(self, code: str, vi: str, en: str) -> None:
        super().__init__(code)
        self.code, self.vi, self.en = code, vi, en


# What would be valid, by the code of the refusal; schema/bad_input.py says it too, of values that fit no type at all.
VALID: dict[str, tuple[str, str]] = {
    "BAD_PAGE_SIZE": (
        f"first phải là số nguyên từ 1 đến {PAGE_LIMIT}",
        f"first must be a whole number, 1 to {PAGE_LIMIT}",
    ),
    "BAD_PERIOD": (
        "period cần ngày có thật, from không sau to, dạng YYYY, YYYY-MM, YYYY-MM-DD hoặc YYYY-MM-DDThh:mm[:ss[.ffffff]]+07:00",
        "a period has real dates, from not after to, as YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.ffffff]]+07:00",
    ),
    "BAD_CODE": (
        f"code là phần đầu của một mã, 1 đến {CODE_LIMIT} chữ, số hoặc dấu . - / + : _ † *, ví dụ E11; không có ký tự thay thế",
        f"code is the beginning of one code, 1 to {CODE_LIMIT} letters, digits or . - / + : _ † *, such as E11; there are no wildcards",
    ),
    "BAD_KINDS": (
        "kinds cần ít nhất một loại, hoặc bỏ trống để lấy mọi loại",
        "kinds has at least one kind, or is left out for all",
    ),
}


def check_page_size(value: object) -> int:
    """`first` itself; raises BadArgument(BAD_PAGE_SIZE) for anything but 1 … PAGE_LIMIT."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= PAGE_LIMIT:
        raise BadArgument("BAD_PAGE_SIZE", *VALID["BAD_PAGE_SIZE"])
    return value


def check_filter(given: Mapping[str, Any] | None) -> None:
    """A raw RecordFilter or TimelineFilter; raises BadArgument: BAD_PERIOD, BAD_CODE or BAD_KINDS."""
    if not given:
        return
    period, code = given.get("period"), given.get("code")
    if period and not _possible(period.get("from"), period.get("to")):
        raise BadArgument("BAD_PERIOD", *VALID["BAD_PERIOD"])
    if code is not None and not _is_prefix(code):
        raise BadArgument("BAD_CODE", *VALID["BAD_CODE"])
    if given.get("kinds") == []:  # nobody would be asked, and the empty answer would call itself complete
        raise BadArgument("BAD_KINDS", *VALID["BAD_KINDS"])


def _possible(start: object, end: object) -> bool:
    if not (_is_moment(start) and _is_moment(end)):
        return False
    low, high = period_bounds(None if start is None else str(start), None if end is None else str(end))
    return low < high


def _is_moment(value: object) -> bool:
    """Whether it is nothing, or a PartialDate in the calendar: the scalar's pattern also takes 30 February."""
    if value is None:
        return True
    if not isinstance(value, str) or not PARTIAL_DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat((value + "-01-01"[len(value) - 4 :] if len(value) < 10 else value)[:10])
    except ValueError:
        return False
    return True


def _is_prefix(code: object) -> bool:
    return (
        isinstance(code, str)
        and len(code) <= CODE_LIMIT
        and all(c.isalnum() or c in CODE_MARKS for c in code)
        and bool(set(code) - CODE_UNSEARCHED)
    )


@strawberry.input(
    description="Khoảng thời gian lọc; mốc không đủ tính cả kỳ. A period; '2024' as `to` includes all of 2024."
)
class PeriodFilter:
    """Half open on neither side: from <= sort time <= to, a partial `to` meaning its last moment."""

    from_: PartialDate | None = strawberry.field(name="from", default=None)
    to: PartialDate | None = None


@strawberry.input(description="Lọc bản ghi. Which records; all conditions must hold.")
class RecordFilter:
    """code: a prefix of a code in any coding system of the record, dots ignored (E11 finds E11.9)."""

    period: PeriodFilter | None = None
    code: str | None = None
    facility: str | None = None
    encounter: strawberry.ID | None = None


@strawberry.input(description="Lọc dòng thời gian. A RecordFilter that can also choose kinds.")
class TimelineFilter:
    """kinds: null means all."""

    period: PeriodFilter | None = None
    code: str | None = None
    facility: str | None = None
    encounter: strawberry.ID | None = None
    kinds: list[RecordKind] | None = None


def chosen_kinds(given: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The kinds of a raw TimelineFilter; None for all. GraphQL takes one value where a list belongs for a list of one."""
    kinds = (given or {}).get("kinds")
    return None if kinds is None else (kinds,) if isinstance(kinds, str) else tuple(kinds)


def period_bounds(start: str | None, end: str | None) -> tuple[str, str]:
    """(low, high) for bytewise comparison with sort_time: low <= sort_time < high. Undated rows ('') match only an open start.

    >>> period_bounds("2024", "2024-03")
    ('2024', '2024-03~')
    """
    low = (start or "").removesuffix("+07:00")
    high = "~" if end is None else end.removesuffix("+07:00") + "~"
    return low, high
