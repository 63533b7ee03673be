"""Taking in what nodes tell: identifiers become locator rows and are forgotten; feeds become each facility's health.

`locator_rows` is pure; `take_in` writes; SyncDesk is the handler behind routes.py. No identifier reaches the database,
a log line or an error text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from gateway.city.credentials import Authentic, Credentials, RateLimit, read_body, still_serves
from gateway.city.hand_over import former_nodes, let_go
from gateway.city.registry import Health, Registry, known_feeds
from gateway.errors import KeyBehind, MessageMalformed
from gateway.identity.city_key import CityKey
from gateway.identity.key_ring import KeyRing, LiveKeys
from gateway.identity.rotation import carry_over
from gateway.settings import Settings
from gateway.store.engine import Hold, Store
from gateway.store.schemas import note_contract
from gateway.store.tables import (
    FACILITY_HEALTH,
    KIND_NUMBERS,
    LOCATOR,
    NODE_POSITION,
    WAREHOUSE_FACILITY,
    from_moment,
    moment,
)
from schema.identity import IdentifierError, IdentifierKind, canonical, cccd_agrees
from schema.messages import NodeRole, SyncPatient, SyncReply, SyncRequest

REFS_PER_STATEMENT = 500
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The reply, whether the batch was applied (False: it would have left a gap), the health to note in the registry (none
    of a warehouse, whose copies are not the facilities' own state), and whether the node's contract is another than before."""

    reply: SyncReply
    applied: bool
    health: dict[str, Health]
    contract: bool = False


def locator_rows(
    key: CityKey, node: Authentic, patient: SyncPatient, kinds: frozenset[IdentifierKind]
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """A patient's rows for the locator table, one a usable identifier, and why the others were refused.

    Raises FacilityNotYours. Identifiers are checked again here: a node is believed about its patients, not about shapes.
    """
    facility = node.require(patient.facility)
    gender = patient.gender.value if patient.gender else None
    person = key.person_digest(patient.birth_date, gender)
    rows: dict[bytes, dict[str, Any]] = {}
    refused: Counter[str] = Counter()
    for name, text in patient.identifiers:
        try:
            identifier = canonical(IdentifierKind(name), text)
        except IdentifierError as error:
            refused[error.reason] += 1
            continue
        except ValueError:
            refused["KIND"] += 1
            continue
        if identifier.kind not in kinds:
            refused["KIND"] += 1
            continue
        if identifier.kind is IdentifierKind.MRN and not identifier.value.startswith(f"{patient.facility}:"):
            refused["FACILITY"] += 1  # a local number says nothing outside its facility
            continue
        is_cccd = identifier.kind is IdentifierKind.CCCD
        token = key.patient_token(identifier.kind, identifier.value)
        rows[token] = {
            "token": token,
            "facility": facility,
            "ref": patient.ref,
            "node": node.pk,
            "kind": KIND_NUMBERS[identifier.kind],
            "day": person.day,
            "year": person.year,
            "sex": person.sex,
            "cccd_agrees": cccd_agrees(identifier.value, patient.birth_date, gender) if is_cccd else None,
            "doubtful": patient.doubtful,
        }
    return _with_others(rows), refused


def _with_others(rows: dict[bytes, dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row learns the patient's other numbers by which others may be reached (linking.py). A local number never links."""
    local = KIND_NUMBERS[IdentifierKind.MRN]
    parts = {token: bytes([row["kind"]]) + token[1:] for token, row in sorted(rows.items()) if row["kind"] != local}
    for token, row in rows.items():
        others = b"".join(part for other, part in parts.items() if other != token)
        row["also"] = others if others and token in parts else None
    return list(rows.values())


async def take_in(
    store: Store,
    keys: LiveKeys,
    node: Authentic,
    request: SyncRequest,
    kinds: frozenset[IdentifierKind],
    now: datetime,
) -> TakenIn:
    """Applies one message in one transaction. Raises FacilityNotYours, KeyBehind, and MessageMalformed for impossible
    positions; then nothing changed.

    Rows are written under every live key. A node that has not yet told its patients under the newest is asked to begin
    anew, by the same reply as after a backup.
    """
    if not request.since <= request.position <= request.head:
        raise MessageMalformed
    rows: list[dict[str, Any]] = []
    refused: Counter[str] = Counter()
    newer: dict[bytes, bytes] = {}
    for patient in request.patients:
        mine, why = locator_rows(keys.newest, node, patient, kinds)
        rows += mine
        refused += why
        for key in keys.keys[:-1]:  # equal values give equal places: the n-th row of both is of one identifier
            older, _ = locator_rows(key, node, patient, kinds)
            rows += older
            newer.update((a["token"], b["token"]) for a, b in zip(older, mine, strict=True))
    for report in request.facilities:
        node.require(report.facility)
    try:
        health = _health(request, now)
    except ValueError:  # a date of no calendar
        raise MessageMalformed from None
    refs = {patient.ref for patient in request.patients} | set(request.withdrawn)
    async with store.writing(Hold.BESIDE) as connection:
        where = NODE_POSITION.c.node == node.pk
        # Two messages of one node queue on its row; enrolment and revocation hold everything.
        columns = select(NODE_POSITION.c.accepted, NODE_POSITION.c.key_version).with_for_update()
        accepted, key_version = (await connection.execute(columns.where(where))).one()
        await still_serves(connection, node)
        newest = keys.newest.version
        if key_version > newest:
            raise KeyBehind
        if key_version < newest:
            accepted = 0
            await connection.execute(update(NODE_POSITION).where(where).values(accepted=0, key_version=newest))
        if request.since > accepted:
            # This side came back from a backup, or has a new key: taking the batch would leave a gap nobody ever fills.
            return TakenIn(SyncReply(accepted, now.timestamp()), False, {})
        await _replace(connection, node, refs, rows)
        await carry_over(connection, newer)
        await connection.execute(update(NODE_POSITION).where(where).values(accepted=request.position))
        contract, wants_sdl = await note_contract(
            connection, node.pk, request.contract_version, request.sdl_sha256, request.sdl
        )
        await _write_health(connection, node, request, health)
        if node.role is not NodeRole.WAREHOUSE:
            await let_go(connection, (node.require(code) for code, state in health.items() if state.synced_at))
    own = {} if node.role is NodeRole.WAREHOUSE else health
    reply = SyncReply(request.position, now.timestamp(), dict(sorted(refused.items())), wants_sdl)
    return TakenIn(reply, True, own, contract)


async def _replace(connection: AsyncConnection, node: Authentic, refs: set[str], rows: list[dict[str, Any]]) -> None:
    """All rows of these patients of this node are exchanged, so that a corrected identifier finds nobody any more; also those
    that a former node told of the same store."""
    of_node = LOCATOR.c.node == node.pk
    if former := await former_nodes(connection, node.facilities.values()):
        of_node |= LOCATOR.c.node.in_(former) & LOCATOR.c.facility.in_(node.facilities.values())
    ordered = sorted(refs)
    for i in range(0, len(ordered), REFS_PER_STATEMENT):
        some = ordered[i : i + REFS_PER_STATEMENT]
        await connection.execute(delete(LOCATOR).where(of_node, LOCATOR.c.ref.in_(some)))
    if rows:
        await connection.execute(insert(LOCATOR), rows)


def _health(request: SyncRequest, now: datetime) -> dict[str, Health]:
    return {
        report.facility: Health(
            now if request.pending == 0 else None,
            report.lagging,
            max((from_moment(f.last_received_at) for f in report.feeds if f.last_received_at), default=None),
            known_feeds(f.feed for f in report.feeds),
        )
        for report in request.facilities
    }


async def _write_health(
    connection: AsyncConnection, node: Authentic, request: SyncRequest, health: dict[str, Health]
) -> None:
    known = set((await connection.execute(select(FACILITY_HEALTH.c.facility))).scalars())
    for report in request.facilities:
        pk, state = node.require(report.facility), health[report.facility]
        values: dict[str, Any] = {
            "lagging": state.lagging,
            "as_of": moment(state.as_of) if state.as_of else None,
            "feeds": msgspec.json.encode(report.feeds).decode(),
        }
        if state.synced_at:
            values["synced_at"] = moment(state.synced_at)
        if node.role is NodeRole.WAREHOUSE:
            copy = (WAREHOUSE_FACILITY.c.node == node.pk) & (WAREHOUSE_FACILITY.c.facility == pk)
            await connection.execute(update(WAREHOUSE_FACILITY).where(copy).values(values))
        elif pk in known:
            await connection.execute(update(FACILITY_HEALTH).where(FACILITY_HEALTH.c.facility == pk).values(values))
        else:
            await connection.execute(insert(FACILITY_HEALTH).values(facility=pk, **values))


class SyncDesk:
    """The route of sync: who asks, how often, then take_in."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        keys: KeyRing,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._registry, self._keys, self._clock = store, registry, keys, clock
        self._kinds = settings.identifier_kinds

        def seconds() -> float:
            return clock().timestamp()

        self._credentials = Credentials(store, seconds)
        self._requests = RateLimit(settings.sync_requests_per_minute, seconds)
        self._patients = RateLimit(settings.sync_patients_per_minute, seconds)

    async def answer(self, request: Request) -> Response:
        """SyncReply as JSON. Raises ClientErrors, which the route's wrapper turns into a Refusal."""
        body = await read_body(request)
        try:
            message = msgspec.json.decode(body, type=SyncRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MessageMalformed from None
        node = await self._credentials.authenticate(
            request.headers.get("authorization"), message.node_id, request.url.path, body
        )
        self._requests.take(node.id)
        self._patients.take(node.id, len(message.patients))
        try:
            taken = await take_in(self._store, self._keys.live(), node, message, self._kinds, self._clock())
        except KeyBehind:
            keys = self._keys.live(again=True)
            taken = await take_in(self._store, keys, node, message, self._kinds, self._clock())
        self._registry.note(taken.health)
        if taken.contract:
            self._registry.forget()
        if taken.reply.refused:
            _log.warning("identifiers refused", node=node.id, reasons=taken.reply.refused)
        return Response(msgspec.json.encode(taken.reply), media_type="application/json")
