"""Whether a request is from the node it names, and whether that node asks too often. What it asks is enrolment.py and sync.py.

Requests seen are in the database, so that a second one is refused by every gateway on it. Rates are counted by each process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from cachetools import TTLCache
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from gateway.errors import FacilityNotYours, MessageMalformed, MessageTooLarge, NodeRefused, RateExceeded
from gateway.store.engine import Hold, Store
from gateway.store.tables import FACILITY, NODE, NODE_REQUEST, WAREHOUSE_FACILITY, moment
from schema.messages import MESSAGE_BYTES_LIMIT, NodeRole, PublicKey
from schema.node_request import LEEWAY_SECONDS, LIFE_SECONDS, NodeRequestError, verify_request

# Longer than a request lives, by more than the clocks of two gateways may differ.
REMEMBERED_SECONDS = LIFE_SECONDS + 2 * LEEWAY_SECONDS + 600
FORGET_SECONDS = 60
# One statement on SQLite and PostgreSQL; of two at once the second waits for the first, and then changes no row.
_FIRST_USE = text(
    "INSERT INTO node_request (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT (digest) DO NOTHING"
)


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
        self._forgot_at = 0.0

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
        if not await self._first_use(hashlib.sha256(f"{node_id}\n{claims.jti}".encode()).digest()):
            raise NodeRefused("REPLAYED")
        return Authentic(row.pk, node_id, facilities, role)

    async def _first_use(self, digest: bytes) -> bool:
        now = self._now()
        async with self._store.writing(Hold.ROWS) as connection:
            if now - self._forgot_at > FORGET_SECONDS:
                old = NODE_REQUEST.c.expires_at < moment(datetime.fromtimestamp(now, UTC))
                await connection.execute(delete(NODE_REQUEST).where(old))
                self._forgot_at = now
            expires = moment(datetime.fromtimestamp(now + REMEMBERED_SECONDS, UTC))
            return (await connection.execute(_FIRST_USE, {"digest": digest, "expires_at": expires})).rowcount == 1


async def still_serves(connection: AsyncConnection, node: Authentic) -> None:
    """Looks again inside the transaction that writes: since authenticate, another gateway may have revoked the node
    (NodeRefused) or handed a facility of its to another (FacilityNotYours)."""
    served = select(FACILITY.c.code).where(FACILITY.c.node == node.pk)
    if node.role is NodeRole.WAREHOUSE:
        copied = FACILITY.join(WAREHOUSE_FACILITY, WAREHOUSE_FACILITY.c.facility == FACILITY.c.pk)
        served = select(FACILITY.c.code).select_from(copied).where(WAREHOUSE_FACILITY.c.node == node.pk)
    if not node.facilities.keys() <= set((await connection.execute(served)).scalars()):
        raise FacilityNotYours
    revoked = select(NODE.c.revoked_at).where(NODE.c.pk == node.pk)
    if (await connection.execute(revoked)).scalar_one() is not None:
        raise NodeRefused("REVOKED")


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
    """The body; MessageTooLarge as soon as it is longer than a message may be. MessageMalformed for NUL in a text."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MESSAGE_BYTES_LIMIT:
            raise MessageTooLarge
        parts.append(part)
    body = b"".join(parts)
    if b"\\u0000" in body:  # PostgreSQL has no such text; SQLite shall not take what the other refuses
        raise MessageMalformed
    return body
