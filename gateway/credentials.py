"""Whether a request is from the node it names, and whether that node asks too often. What it asks is enrolment.py and sync.py.

Memory is of this process: with several gateways behind one address, the sync of one node must reach one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from cachetools import TTLCache
from sqlalchemy import select
from starlette.requests import Request

from gateway.errors import FacilityNotYours, MessageTooLarge, NodeRefused, RateExceeded
from gateway.store.engine import Store
from gateway.store.tables import FACILITY, NODE, WAREHOUSE_FACILITY
from schema.messages import MESSAGE_BYTES_LIMIT, NodeRole, PublicKey
from schema.node_request import LEEWAY_SECONDS, LIFE_SECONDS, NodeRequestError, verify_request

TOKENS_REMEMBERED = 1_000_000


@dataclass(frozen=True, slots=True)
class Authentic:
    """The node a request is proven to come from: its pk, id, role and the facilities it speaks for (code -> pk)."""

    pk: int
    id: str
    facilities: dict[str, int]
    role: NodeRole = NodeRole.SOURCE

    def require(self, facility: str) -> int:
        """The facility's pk; FacilityNotYours for another's."""
        try:
            return self.facilities[facility]
        except KeyError:
            raise FacilityNotYours from None


class Credentials:
    """Checks node requests against the database, so that a revocation holds for the very next one."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store, self._now = store, now
        # A request signed before this process began could have been seen by the one before it.
        self._began = now() - LEEWAY_SECONDS
        self._seen: TTLCache[str, None] = TTLCache(TOKENS_REMEMBERED, LIFE_SECONDS + 2 * LEEWAY_SECONDS, timer=now)

    async def authenticate(self, authorization: str | None, node_id: str, path: str, body: bytes) -> Authentic:
        """The node, when `authorization` is 'Bearer <JWS>' by its key for this path and body. Raises NodeRefused."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NodeRefused("MISSING")
        async with self._store.reading() as connection:
            row = (await connection.execute(select(NODE).where(NODE.c.id == node_id))).first()
            if row is None:
                raise NodeRefused("UNKNOWN_NODE")
            role, mine = NodeRole(row.role), FACILITY.c.node == row.pk
            if role is NodeRole.WAREHOUSE:
                held = select(WAREHOUSE_FACILITY.c.facility).where(WAREHOUSE_FACILITY.c.node == row.pk)
                mine = FACILITY.c.pk.in_(held)
            served = await connection.execute(select(FACILITY.c.code, FACILITY.c.pk).where(mine))
            facilities = {f.code: f.pk for f in served}
        if row.revoked_at is not None:
            raise NodeRefused("REVOKED")
        key = msgspec.json.decode(row.public_key, type=PublicKey).key()
        try:
            claims = verify_request(token, key, path, body, self._now())
        except NodeRequestError as error:
            raise NodeRefused(error.code) from None
        if claims.iss != node_id:
            raise NodeRefused("ISSUER")
        if claims.iat < self._began:
            raise NodeRefused("BEFORE_START")
        seen = hashlib.sha256(f"{node_id}\n{claims.jti}".encode()).hexdigest()
        if seen in self._seen:
            raise NodeRefused("REPLAYED")
        self._seen[seen] = None
        return Authentic(row.pk, node_id, facilities, role)


class RateLimit:
    """A bucket a caller that fills evenly over a minute. `per_minute` is also what may come at once."""

    def __init__(self, per_minute: int, now: Callable[[], float]) -> None:
        self._capacity, self._now = float(per_minute), now
        self._buckets: TTLCache[str, tuple[float, float]] = TTLCache(100_000, 120, timer=now)

    def take(self, caller: str, amount: int = 1) -> None:
        """Takes `amount`; RateExceeded, with the whole seconds to wait, when there is not so much."""
        now = self._now()
        left, at = self._buckets.get(caller, (self._capacity, now))
        left = min(self._capacity, left + (now - at) * self._capacity / 60)
        if left < amount:
            self._buckets[caller] = left, now
            raise RateExceeded(max(1, int((amount - left) * 60 / self._capacity) + 1))
        self._buckets[caller] = left - amount, now


async def read_body(request: Request) -> bytes:
    """The body; MessageTooLarge as soon as it is longer than a message may be."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MESSAGE_BYTES_LIMIT:
            raise MessageTooLarge
        parts.append(part)
    return b"".join(parts)
