"""How a node joins: an operator invites with a one-time code, the node answers it with its key. Sync comes after (sync.py).

A new code for a node that is known replaces its key; a facility that moves to another node takes nothing with it, since
refs are the old node's own. A warehouse takes no facility from anybody: it speaks for copies beside the facility's own node.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from gateway.city.credentials import RateLimit, read_body
from gateway.city.hand_over import hand_over
from gateway.city.registry import Registry
from gateway.errors import EnrolmentRefused, FacilityNotYours, MessageMalformed, UnknownFacility, WrongRole
from gateway.store.engine import Store
from gateway.store.schemas import keep_schema
from gateway.store.tables import (
    FACILITY,
    INVITATION,
    NODE,
    NODE_POSITION,
    WAREHOUSE_FACILITY,
    moment,
)
from schema.messages import EnrolmentReply, EnrolmentRequest, NodeRole, PublicKey

CODE_BYTES = 16
REFUSAL_SECONDS = 0.25  # every refusal takes this long, whatever was wrong


def _hash(code: str) -> bytes:
    # 128 random bits need no slow hash. Case and dashes are for the eye.
    return hashlib.sha256(code.replace("-", "").strip().upper().encode()).digest()


async def invite(
    store: Store, facilities: Sequence[str], now: datetime, days: int, role: NodeRole = NodeRole.SOURCE
) -> str:
    """A one-time code for a node of this role and these facilities, good for `days`; only its hash is kept. Raises UnknownFacility."""
    code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=")
    async with store.writing() as connection:
        known = set((await connection.execute(select(FACILITY.c.code))).scalars())
        for facility in facilities:
            if facility not in known:
                raise UnknownFacility(facility)
        values = {
            "code_sha256": _hash(code),
            "facilities": json.dumps(sorted(set(facilities))),
            "expires_at": moment(now + timedelta(days=days)),
            "role": role.value,
        }
        await connection.execute(insert(INVITATION).values(values))
    return "-".join(code[i : i + 5] for i in range(0, len(code), 5))


def usable_url(url: str) -> bool:
    """https, or http on this very machine; no user, query or fragment."""
    try:
        parts = urlsplit(url)
        loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
        plain = not (parts.username or parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        return False
    return plain and bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and loopback))


async def enrol(store: Store, request: EnrolmentRequest, gateway_key: PublicKey, now: datetime) -> EnrolmentReply:
    """Takes the node in and uses the code up. Raises EnrolmentRefused, WrongRole, FacilityNotYours or
    MessageMalformed; then nothing changed."""
    try:
        request.public_key.key()
    except ValueError:
        raise MessageMalformed from None
    if not usable_url(request.url):
        raise MessageMalformed
    async with store.writing() as connection:
        where = INVITATION.c.code_sha256 == _hash(request.code)
        invitation = (await connection.execute(select(INVITATION).where(where))).first()
        if invitation is None or invitation.used_at is not None or invitation.expires_at <= moment(now):
            raise EnrolmentRefused
        if invitation.role != request.role.value:
            raise WrongRole
        facilities = sorted(request.feeds)
        if not set(facilities) <= set(json.loads(invitation.facilities)):
            raise FacilityNotYours
        await connection.execute(update(INVITATION).where(where).values(used_at=moment(now)))
        pk, node_id = await _take_in(connection, request, facilities, now)
        await connection.execute(delete(NODE_POSITION).where(NODE_POSITION.c.node == pk))  # it sends everything anew
        await connection.execute(insert(NODE_POSITION).values(node=pk, accepted=0))
        await keep_schema(connection, request.sdl_sha256, request.sdl)
        give = _let_speak if request.role is NodeRole.WAREHOUSE else _hand_over
        await give(connection, pk, request, now)
    return EnrolmentReply(node_id, facilities, [gateway_key], now.timestamp(), request.role)


async def _take_in(
    connection: AsyncConnection, request: EnrolmentRequest, facilities: list[str], now: datetime
) -> tuple[int, str]:
    """Writes the node: a new row, or the new key of a node all of whose facilities this code covers."""
    values = {
        "url": request.url.rstrip("/"),
        "public_key": msgspec.json.encode(request.public_key).decode(),
        "contract_version": request.contract_version,
        "sdl_sha256": request.sdl_sha256,
        "enrolled_at": moment(now),
        "revoked_at": None,
        "role": request.role.value,
    }
    known: Any = None
    if request.node_id is not None:
        known = (await connection.execute(select(NODE).where(NODE.c.id == request.node_id))).first()
    if known is not None and known.role == request.role.value:
        copies = select(WAREHOUSE_FACILITY.c.facility).where(WAREHOUSE_FACILITY.c.node == known.pk)
        mine = select(FACILITY.c.code).where((FACILITY.c.node == known.pk) | FACILITY.c.pk.in_(copies))
        served = set((await connection.execute(mine)).scalars())
        if served and served <= set(facilities):
            await connection.execute(update(NODE).where(NODE.c.pk == known.pk).values(values))
            return known.pk, known.id
    node_id = f"node-{secrets.token_hex(6)}"
    result = await connection.execute(insert(NODE).values(id=node_id, **values).returning(NODE.c.pk))
    return result.scalar_one(), node_id


async def _hand_over(connection: AsyncConnection, pk: int, request: EnrolmentRequest, now: datetime) -> None:
    """Gives the facilities to the node."""
    for code, feeds in sorted(request.feeds.items()):
        row = (await connection.execute(select(FACILITY).where(FACILITY.c.code == code))).one()
        await hand_over(connection, row, pk, json.dumps(sorted(set(feeds))), now)


async def _let_speak(connection: AsyncConnection, pk: int, request: EnrolmentRequest, _now: datetime) -> None:
    """Lets a warehouse speak for copies of these facilities' records; whose they are stays as it is."""
    await connection.execute(delete(WAREHOUSE_FACILITY).where(WAREHOUSE_FACILITY.c.node == pk))
    codes = sorted(request.feeds)
    known = await connection.execute(select(FACILITY.c.code, FACILITY.c.pk).where(FACILITY.c.code.in_(codes)))
    pks = {row.code: row.pk for row in known}
    rows = [
        {
            "node": pk,
            "facility": pks[code],
            "declared": json.dumps(sorted(set(request.feeds[code]))),
            "lagging": False,
            "feeds": "[]",
        }
        for code in codes
    ]
    await connection.execute(insert(WAREHOUSE_FACILITY), rows)


async def revoke(store: Store, node_id: str, now: datetime) -> bool:
    """Refuses the node from its next request on; its facilities and rows stay in every ledger. False when there is no such node."""
    async with store.writing() as connection:
        where = (NODE.c.id == node_id) & NODE.c.revoked_at.is_(None)
        result = await connection.execute(update(NODE).where(where).values(revoked_at=moment(now)))
        return result.rowcount == 1


class EnrolmentDesk:
    """The route of enrolment. Unauthenticated, so it is capped for the whole city and every refusal takes as long."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        gateway_key: PublicKey,
        per_minute: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._registry, self._key, self._clock = store, registry, gateway_key, clock
        self._rate = RateLimit(per_minute, lambda: clock().timestamp())

    async def answer(self, request: Request) -> Response:
        """EnrolmentReply as JSON. Raises ClientErrors, which the route's wrapper turns into a Refusal."""
        ready = asyncio.create_task(asyncio.sleep(REFUSAL_SECONDS))
        self._rate.take("enrolment")
        try:
            message = msgspec.json.decode(await read_body(request), type=EnrolmentRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MessageMalformed from None
        try:
            reply = await enrol(self._store, message, self._key, self._clock())
        except EnrolmentRefused:
            await ready
            raise
        finally:
            ready.cancel()
        self._registry.forget()
        return Response(msgspec.json.encode(reply), media_type="application/json")
