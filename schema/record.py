"""What every clinical record has, and nothing of any kind."""

from __future__ import annotations

import strawberry

from schema.elements import Facility, Feed, RecordKind
from schema.scalars import PartialDate


@strawberry.interface(description="Phần chung của mọi bản ghi lâm sàng. What every clinical record has.")
class Record:
    """id is the node's own opaque id; not_resent marks a row of an older version whose table the newest one lacks."""

    id: strawberry.ID
    kind: RecordKind
    facility: Facility
    feed: Feed
    encounter_id: strawberry.ID | None
    received_at: PartialDate
    not_resent: bool
