"""The corpus in a real gateway store: rows through the feed's reading, the node's sync reading and the gateway's take-in.

Only HTTP is left out. What is measured is counted against the corpus's own truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from gateway.city.credentials import Authentic
from gateway.city.sync import take_in
from gateway.identity.choice import Choice, Located
from gateway.identity.key_ring import load_keys
from gateway.identity.locator import People, SqliteLocator
from gateway.store.tables import FACILITY, NODE, NODE_POSITION
from node_agent.changes import read_batch
from node_agent.feeds.bhyt.patient import patient_of
from node_agent.feeds.bhyt.rows import Notes, Row
from node_agent.settings import Settings
from node_agent.store.engine import Store, open_store
from node_agent.store.migrate import prepare
from node_agent.tables import STORE
from schema.identity import IdentifierKind
from schema.messages import CONTRACT_VERSION, SyncRequest
from tests.corpus_people import City, Person, Sighting
from tests.running import RunningGateway, outside

FACILITIES = tuple(f"{1001 + i:05d}" for i in range(24))
NODES = 3
PATIENT, IDENTIFIER, CHANGE = (STORE.tables[name] for name in ("patient", "identifier", "change"))


class Corpus:
    """The city of `people`, told to a gateway by three nodes of eight facilities each."""

    def __init__(self, folder: Path, people: int, seed: str = "Hà Nội") -> None:
        self.city = City(seed, people, FACILITIES)
        self.gateway = RunningGateway(folder / "gateway", FACILITIES)
        self.keys = load_keys(self.gateway.settings)
        self.people = People(SqliteLocator(self.gateway.database))
        self.truth: dict[tuple[str, str], int] = {}
        share = len(FACILITIES) // NODES
        for i in range(NODES):
            mine = FACILITIES[i * share : (i + 1) * share]
            named: Any = [{"code": code, "name": code} for code in mine]
            feeds: Any = [{"feed": "fhir", "rhythm_seconds": 3600}]
            outside(self._tell(Settings(data_folder=folder / f"node{i}", facilities=named, feeds=feeds), mine))

    async def _tell(self, settings: Settings, facilities: tuple[str, ...]) -> None:
        store = open_store(settings)
        try:
            await prepare(store, settings)
            await self._fill(store, [s for s in self.city.sightings if s.facility in facilities])
            await self._sync(store, facilities)
        finally:
            await store.close()

    async def _fill(self, store: Store, sightings: list[Sighting]) -> None:
        word = {"version": "", "inbox": 0, "position": 0}
        patients: list[dict[str, Any]] = []
        numbers: list[dict[str, Any]] = []
        for pk, sighting in enumerate(sightings, 1):
            read = patient_of(Row("XML1", 1, sighting.cells, Notes()), sighting.facility, sighting.day, {})
            ref = store.ids.ref(sighting.facility, sighting.local_id)
            self.truth[sighting.facility, ref] = sighting.person
            person = {"name": read.name, "birth_date": read.birth_date, "gender": read.gender}
            doubts = " ".join(sorted(read.doubts))
            place = {"ref": ref, "facility": sighting.facility, "local_id": sighting.local_id}
            patients.append({"pk": pk, **place, **person, "doubts": doubts, **word})
            pairs = {(i.kind.value, i.value) for i in read.identifiers} | set(sighting.more)
            numbers += [{"patient": pk, "kind": kind, "value": value, **word} for kind, value in sorted(pairs)]
        async with store.writing() as connection:
            await connection.execute(insert(PATIENT), patients)
            await connection.execute(insert(IDENTIFIER), numbers)
            changes = [{"patient": row["pk"], "at": "2026-06-01T00:00:00.000000Z"} for row in patients]
            await connection.execute(insert(CHANGE), changes)

    async def _sync(self, store: Store, facilities: tuple[str, ...]) -> None:
        from gateway.store.engine import open_store as open_gateway

        gateway, now = open_gateway(self.gateway.settings), self.gateway.now()
        try:
            async with gateway.writing() as connection:
                row = {"url": "https://n", "public_key": "{}", "contract_version": "1.0", "sdl_sha256": ""}
                made = insert(NODE).values(id=f"node-{facilities[0]}", enrolled_at="", **row).returning(NODE.c.pk)
                pk = (await connection.execute(made)).scalar_one()
                await connection.execute(insert(NODE_POSITION).values(node=pk, accepted=0))
                await connection.execute(update(FACILITY).where(FACILITY.c.code.in_(facilities)).values(node=pk))
                codes = (await connection.execute(select(FACILITY.c.code, FACILITY.c.pk))).all()
            node = Authentic(pk, f"node-{facilities[0]}", {c: p for c, p in codes if c in facilities})
            since, head = 0, 1
            while since < head:
                async with store.engine.connect() as connection:
                    batch = await read_batch(connection, since, facilities)
                message = SyncRequest(
                    node.id, since, batch.position, batch.head, 0, CONTRACT_VERSION, [], batch.patients, batch.withdrawn
                )
                kinds = self.gateway.settings.identifier_kinds
                taken = await take_in(gateway, self.keys, node, message, kinds, now)
                since, head = taken.reply.accepted, batch.head
        finally:
            await gateway.close()

    def asked(self) -> Iterator[tuple[str, Person, IdentifierKind, str]]:
        """Every number that is truly somebody's: the way it is asked, whose, kind and value."""
        for p in self.city.people:
            for i, value in enumerate(p.cccd):
                yield ("CCCD" if i == len(p.cccd) - 1 else "old CCCD"), p, IdentifierKind.CCCD, value
            if p.passport:
                yield "PASSPORT", p, IdentifierKind.PASSPORT, p.passport
            if p.bhxh:
                yield "BHXH", p, IdentifierKind.BHXH, p.bhxh
            if p.cmnd:
                yield "CMND", p, IdentifierKind.CMND, p.cmnd

    def whose(self, row: Located) -> int:
        """The person whose row it truly is."""
        return self.truth[row.key]


@dataclass
class Tally:
    """Rows of the people asked for, by what became of them. direct: shown because they bear the number asked for."""

    asked: int = 0
    rows: int = 0
    direct: int = 0
    shown: int = 0
    withheld: int = 0

    def line(self, way: str) -> str:
        """The row of the table in docs/IDENTITY.md."""
        shares = [f"{100 * n / self.rows:.1f} %" for n in (self.direct, self.shown, self.withheld)]
        unseen = f"{100 * (self.rows - self.shown - self.withheld) / self.rows:.1f} %"
        return f"| {way} | {self.asked} | {self.rows} | {' | '.join(shares)} | {unseen} |"


@dataclass
class Measured:
    """Tallies by the way that was asked, and every false merge as (story, way, reason it was shown)."""

    ways: dict[str, Tally] = field(default_factory=dict)
    false: list[tuple[str, str, str]] = field(default_factory=list)
    strangers: int = 0  # rows of other people that were withheld, not shown


async def measure(corpus: Corpus) -> Measured:
    """Asks for everybody by every number of theirs."""
    own: dict[int, set[tuple[str, str]]] = {}
    for key, person in corpus.truth.items():
        own.setdefault(person, set()).add(key)
    found = Measured()
    for way, person, kind, value in corpus.asked():
        tokens = corpus.keys.tokens(kind, value)
        choice: Choice = await corpus.people.find(tokens)
        tally = found.ways.setdefault(way, Tally())
        mine = [row for row in choice.kept if corpus.whose(row) == person.id]
        found.false += [
            (corpus.city.people[corpus.whose(row)].story, way, f"{row.kind.value} {person.story}")
            for row in choice.kept
            if corpus.whose(row) != person.id
        ]
        found.strangers += sum(corpus.whose(row) != person.id for row, _ in choice.withheld)
        tally.asked += 1
        tally.rows += len(own.get(person.id, ()))
        tally.direct += sum(row.token in tokens for row in mine)
        tally.shown += len(mine)
        tally.withheld += len({row.key for row, _ in choice.withheld} & own.get(person.id, set()))
    return found
