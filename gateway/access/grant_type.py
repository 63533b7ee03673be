"""A stored grant as the contract shows it. Giving and withdrawing is grants.py."""

from __future__ import annotations

import strawberry

from gateway.access.grants import Grant as StoredGrant
from schema.access import Grant
from schema.elements import Period
from schema.scalars import PartialDate, local_time


def grant_value(grant: StoredGrant) -> Grant:
    """The stored grant as the contract shows it."""
    return Grant(
        id=strawberry.ID(grant.id),
        grantee_facility=grant.grantee_facility,
        grantee_licence=grant.grantee_licence,
        kinds=None if grant.kinds is None else sorted(grant.kinds, key=lambda k: k.value),
        period=Period(start=_date(grant.period_from), end=_date(grant.period_to)),
        created_at=local_time(grant.created_at),
        expires_at=local_time(grant.expires_at),
        withdrawn_at=None if grant.withdrawn_at is None else local_time(grant.withdrawn_at),
        vouched_by=grant.vouched_by,
        version=grant.version,
    )


def _date(value: str | None) -> PartialDate | None:
    return None if value is None else PartialDate(value)
