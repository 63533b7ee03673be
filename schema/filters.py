"""Arguments of the connections: filters and page limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry

from schema.elements import RecordKind
from schema.scalars import PartialDate

PAGE_DEFAULT = 20
PAGE_LIMIT = 200


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
