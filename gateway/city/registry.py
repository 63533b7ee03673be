"""The city as the gateway knows it: every registered facility and every enrolled node, as one frozen value in memory.

Health changes what is said of a facility, never whether it is in here: the denominator of every ledger is this set.
Writing facilities and nodes is enrolment.py; writing health is sync.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, insert, select, update

from gateway.contracts.contract import Contract, contract_of, unread
from gateway.store.engine import Store
from gateway.store.schemas import read_schemas
from gateway.store.tables import CITY_KEY, FACILITY, FACILITY_HEALTH, NODE, WAREHOUSE_FACILITY, from_moment, moment
from schema.elements import Feed
from schema.messages import NodeRole


@dataclass(frozen=True, slots=True)
class FacilityState:
    """A facility. node_id is None until an agent is enrolled for it. synced_at: when the locator last held all it knew.

    as_of: when its feeds last brought something. Both are aware UTC times, None for never. newer_feeds: it also has feeds of a
    later release, of which nobody here knows what they carry.
    """

    code: str
    name: str
    node_id: str | None = None
    feeds: frozenset[Feed] = frozenset()
    synced_at: datetime | None = None
    lagging: bool = False
    as_of: datetime | None = None
    newer_feeds: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """An enrolled agent. public_key: its JWK as JSON text. A revoked node stays, because the locator may still name it.

    contract: its own where that is not the gateway's.
    """

    id: str
    url: str
    facilities: tuple[str, ...]
    public_key: str
    contract_version: str
    revoked: bool = False
    role: NodeRole = NodeRole.SOURCE
    contract: Contract | None = None

    @property
    def warehouse(self) -> bool:
        """Whether it holds copies of other nodes' facilities."""
        return self.role is NodeRole.WAREHOUSE


@dataclass(frozen=True, slots=True)
class Copy:
    """What a warehouse that is not revoked holds of one facility. Fields as in FacilityState."""

    node_id: str
    feeds: frozenset[Feed] = frozenset()
    synced_at: datetime | None = None
    lagging: bool = False
    as_of: datetime | None = None
    newer_feeds: bool = False


@dataclass(frozen=True, slots=True)
class City:
    """facilities by code and nodes by id, both in sorted order; copies by facility code, of warehouses that are
    not revoked; warehouses by node id, all of them; key_version: the newest of the city key. Never changed in place.

    memory: what others made of this value alone, by whoever made it; it goes with the value.
    """

    facilities: Mapping[str, FacilityState]
    nodes: Mapping[str, Node]
    copies: Mapping[str, tuple[Copy, ...]] = field(default_factory=lambda: MappingProxyType({}))
    key_version: int = 0
    warehouses: frozenset[str] = field(init=False)
    memory: dict[Any, Any] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "warehouses", frozenset(n.id for n in self.nodes.values() if n.warehouse))


@dataclass(frozen=True, slots=True)
class Health:
    """What sync learned of one facility; synced_at None leaves the older one."""

    synced_at: datetime | None
    lagging: bool
    as_of: datetime | None
    feeds: frozenset[Feed]


class Registry:
    """Holds the city. Reads the database when this process wrote to it, and otherwise once in fresh_seconds."""

    def __init__(
        self, store: Store, fresh_seconds: float = 2.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._fresh_seconds, self._monotonic = store, fresh_seconds, monotonic
        self._city: City | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()

    async def snapshot(self) -> City:
        """The city. Does not wait when the value in memory is fresh."""
        if self._city is not None and self._monotonic() - self._read_at < self._fresh_seconds:
            return self._city
        async with self._lock:
            if self._city is None or self._monotonic() - self._read_at >= self._fresh_seconds:
                started = self._monotonic()
                self._city = await read_city(self._store)
                self._read_at = started
            return self._city

    def forget(self) -> None:
        """To be called after enrolment: the next snapshot reads the database."""
        self._city = None

    def note(self, health: Mapping[str, Health]) -> None:
        """Puts what sync just wrote into the value in memory; reading 700 facilities for each heartbeat would cost too much."""
        if self._city is None:
            return
        facilities = dict(self._city.facilities)
        for code in health.keys() & facilities.keys():
            old, new = facilities[code], health[code]
            facilities[code] = replace(
                old,
                feeds=old.feeds | new.feeds,
                synced_at=new.synced_at or old.synced_at,
                lagging=new.lagging,
                as_of=new.as_of,
            )
        self._city = replace(self._city, facilities=MappingProxyType(facilities))


async def read_city(store: Store) -> City:
    """The city as the database has it."""
    async with store.reading() as connection:
        nodes = (await connection.execute(select(NODE))).all()
        health = {row.facility: row for row in await connection.execute(select(FACILITY_HEALTH))}
        rows = sorted((await connection.execute(select(FACILITY))).all(), key=lambda row: str(row.code))
        copied = (await connection.execute(select(WAREHOUSE_FACILITY).order_by(WAREHOUSE_FACILITY.c.node))).all()
        key_version: int = (
            await connection.execute(select(func.coalesce(func.max(CITY_KEY.c.version), 0)))
        ).scalar_one()
        schemas = await read_schemas(connection, unread(n.sdl_sha256 for n in nodes))
    ids = {node.pk: node.id for node in nodes}
    facilities = {row.code: _facility(row, ids.get(row.node), health.get(row.pk)) for row in rows}
    codes = {row.pk: row.code for row in rows}
    served = {node.id: tuple(f.code for f in facilities.values() if f.node_id == node.id) for node in nodes}
    copies: dict[str, tuple[Copy, ...]] = {}
    for row in copied:
        code, node_id = codes[row.facility], ids[row.node]
        served[node_id] = tuple(sorted({*served[node_id], code}))
        copies[code] = (*copies.get(code, ()), _copy(row, node_id))
    known = MappingProxyType({n.id: _node(n, served[n.id], schemas) for n in sorted(nodes, key=lambda n: str(n.id))})
    live = {code: tuple(c for c in some if not known[c.node_id].revoked) for code, some in sorted(copies.items())}
    live = {code: some for code, some in live.items() if some}
    return City(MappingProxyType(facilities), known, MappingProxyType(live), key_version)


def _node(row: Any, facilities: tuple[str, ...], schemas: Mapping[str, str]) -> Node:
    contract = contract_of(row.sdl_sha256, row.contract_version, schemas)
    revoked, role = row.revoked_at is not None, NodeRole(row.role)
    return Node(row.id, row.url, facilities, row.public_key, row.contract_version, revoked, role, contract)


def _copy(row: Any, node_id: str) -> Copy:
    names = {*json.loads(row.declared), *(state["feed"] for state in json.loads(row.feeds))}
    newer = not names <= Feed.__members__.keys()
    synced_at = from_moment(row.synced_at) if row.synced_at else None
    as_of = from_moment(row.as_of) if row.as_of else None
    return Copy(node_id, known_feeds(names), synced_at, row.lagging, as_of, newer)


def known_feeds(names: Iterable[str]) -> frozenset[Feed]:
    """Those that this release knows."""
    return frozenset(Feed(name) for name in names if name in Feed.__members__)


def _facility(row: Any, node_id: str | None, health: Any) -> FacilityState:
    names = {*json.loads(row.feeds), *(state["feed"] for state in json.loads(health.feeds if health else "[]"))}
    feeds, newer = known_feeds(names), not names <= Feed.__members__.keys()
    if health is None:
        return FacilityState(row.code, row.name, node_id, feeds, newer_feeds=newer)
    synced_at = from_moment(health.synced_at) if health.synced_at else None
    as_of = from_moment(health.as_of) if health.as_of else None
    return FacilityState(row.code, row.name, node_id, feeds, synced_at, health.lagging, as_of, newer)


async def register_facility(store: Store, code: str, name: str, now: datetime) -> bool:
    """Adds a facility of the city, or renames it (True). It counts in every ledger from now on, connected or not."""
    new, _ = await register_facilities(store, {code: name}, now)
    return not new


async def register_facilities(store: Store, names: Mapping[str, str], now: datetime) -> tuple[int, int]:
    """The same of many, by code, all or none of them; how many were new, and how many got another name."""
    async with store.writing() as connection:
        known = {r.code: r.name for r in await connection.execute(select(FACILITY.c.code, FACILITY.c.name))}
        new = {code: name for code, name in names.items() if code not in known}
        renamed = {code: name for code, name in names.items() if known.get(code, name) != name}
        for code, name in renamed.items():
            await connection.execute(update(FACILITY).where(FACILITY.c.code == code).values(name=name))
        rows = [{"code": c, "name": n, "registered_at": moment(now), "feeds": "[]"} for c, n in new.items()]
        if rows:
            await connection.execute(insert(FACILITY), rows)
    return len(new), len(renamed)
