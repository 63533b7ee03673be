"""The schema's Subscription type. What answers it is subscribe_history in graph.py, then live.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry
from strawberry.types import Info

from schema.access import AccessInput, PatientBy
from schema.filters import PAGE_DEFAULT, TimelineFilter
from schema.live import HistoryEvent


@strawberry.type
class Subscription:
    """What may be listened to."""

    @strawberry.subscription(
        description="Bệnh sử, từng cơ sở một, ngay khi trả lời. A patient's history, each facility as it answers."
    )
    def history(
        self,
        info: Info,
        by: PatientBy,
        access: AccessInput,
        first: int = PAGE_DEFAULT,
        filter: TimelineFilter | None = None,  # noqa: A002 - the contract's name
    ) -> AsyncGenerator[HistoryEvent, None]:
        raise TypeError("subscribe_history answers")
