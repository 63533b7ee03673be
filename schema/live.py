"""A history as hospitals answer: HistoryPart for each, then HistoryClosed. Types only; rows are those of the timeline."""

from __future__ import annotations

from types import GenericAlias
from typing import Annotated, Any

import strawberry

from schema.connections import BY_FIELD, PageInfo
from schema.coverage import Coverage, FacilityCoverage
from schema.elements import Facility


def _part() -> type:
    """The timeline's edge is made when the connections are, so this type is made and not written."""
    (edges,) = BY_FIELD["timeline"].gateway.__annotations__["edges"].__args__
    annotations: dict[str, Any] = {
        "facility": Facility,
        "coverage": FacilityCoverage,
        "edges": GenericAlias(list, (edges,)),
    }
    made = type("HistoryPart", (), {"__annotations__": annotations, "__module__": __name__})
    description = (
        "Phần của một cơ sở, gửi ngay khi cơ sở trả lời; dòng đến sau hạn có late. "
        "What one facility answered, sent as it answers; rows that come after the deadline are marked late."
    )
    return strawberry.type(made, name="HistoryPart", description=description)


HistoryPart = _part()


@strawberry.type(
    description="Sổ của toàn bộ câu trả lời đến lúc này; gửi lại sau mỗi phần đến muộn. "
    "The whole ledger as it stands; sent again after each late part. The last one counts."
)
class HistoryClosed:
    """page_info is that of `patient { timeline }` over the same answers, so a client goes on from its end_cursor there."""

    coverage: Coverage
    page_info: PageInfo


HistoryEvent = Annotated[
    HistoryPart | HistoryClosed,  # type: ignore[valid-type]
    strawberry.union(
        "HistoryEvent", description="Một phần của bệnh sử, hoặc sổ. A part of the history, or the ledger."
    ),
]
