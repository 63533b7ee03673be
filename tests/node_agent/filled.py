"""A node's store filled through ingest with hand-made units; its answers, and the naive ones to hold them against."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema
from sqlalchemy import text

from node_agent.answer import Ledger
from node_agent.app import open_reader
from node_agent.graph import NodeContext, subgraph
from node_agent.ingest import Ingest
from node_agent.records import FeedError, ParsedFile, ParsedPatient, ParsedRecord, ParsedUnit, Supersede
from node_agent.settings import Settings
from node_agent.store.engine import open_store
from node_agent.store.migrate import prepare
from node_agent.store.reader import Reader
from schema.delegation import Allowed, Subject, new_delegation
from schema.elements import Feed, RecordKind
from schema.execution import Executor, Request, Result
from schema.over_http import GRAPHQL_RESPONSE, answer
from schema.scalars import sort_time
from tests import plain
from tests.node_agent.databases import urls
from tests.node_agent.naive import (
    EVERYTHING,
    NODE,
    codes_of,
    naive_patient,
    representations,
)
from tests.plain import Json

FACILITY = "01001"
OTHER_FACILITY = "01002"
NOW = datetime(2026, 3, 1, 2, 3, 4, tzinfo=UTC)
DATES = (
    None,
    "2023",
    "2024",
    "2024-02",
    "2024-02-29",
    "2024-02-29T07:30+07:00",
    "2024-03-01T00:00:00.5+07:00",
    "2025-12-31",
)


class HandMadeFeed:
    """A feed whose bytes are the number of a file made beforehand."""

    def __init__(self, feed: Feed = Feed.FHIR) -> None:
        self.feed, self.files = feed, list[ParsedFile]()

    def parse(self, data: bytes) -> ParsedFile:
        return self.files[int(data)]


@dataclass
class Person:
    """A patient of a facility and their records."""

    patient: ParsedPatient
    records: list[ParsedRecord] = field(default_factory=list)
    labels: frozenset[str] = frozenset()

    @property
    def unit(self) -> ParsedUnit:
        tables = frozenset(r.table for r in self.records)
        key = f"unit-{self.patient.local_id}"
        return ParsedUnit(
            self.patient.facility, key, "1", self.patient, tuple(self.records), tables, Supersede.UNIT, self.labels
        )


@dataclass
class Filled:
    """The store, and the node's schema over it."""

    settings: Settings
    people: dict[str, Person]
    ids: Any
    runner: asyncio.Runner
    reader: Reader
    executor: Executor = field(default_factory=lambda: Executor(subgraph()))

    def close(self) -> None:
        self.runner.run(self.reader.close())
        self.runner.close()

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """What a statement of any kind gives, committed, past the node."""

        async def work() -> list[tuple[Any, ...]]:
            store = open_store(self.settings)
            try:
                async with store.writing() as connection:
                    result = await connection.execute(text(sql), values)
                    return [tuple(row) for row in result] if result.returns_rows else []
            finally:
                await store.close()

        return self.runner.run(work())

    def ref(self, name: str) -> str:
        patient = self.people[name].patient
        return str(self.ids.ref(patient.facility, patient.local_id))

    def run(
        self,
        query: str,
        *names: str,
        allowed: Allowed = EVERYTHING,
        delegated: tuple[str, ...] | None = None,
        seconds: float = 10,
        operation: str | None = None,
        **variables: Any,
    ) -> Result:
        """The node's result for `query($r: [_Any!]!, …)` about these people."""
        refs = [self.ref(n) for n in names]
        subjects = tuple(Subject(r, "GRANT", "g") for r in (refs if delegated is None else map(self.ref, delegated)))
        request = Request(query, {"r": representations(refs), **variables}, operation)
        delegation = new_delegation(
            audience="n",
            body=b"",
            now=0,
            jti="j" * 22,
            purpose="TREAT",
            subjects=subjects,
            allowed=allowed,
            contract="1.0",
        )
        ledger = Ledger(self.reader, NOW.timestamp)
        context = NodeContext(delegation, request, self.executor.document(query), self.reader, ledger, seconds)
        return self.runner.run(self.executor.run(request, context))

    def body(self, query: str, *names: str, **options: Any) -> bytes:
        """The bytes that go over the wire."""
        return answer(self.run(query, *names, **options), GRAPHQL_RESPONSE).body

    def refusal(self, query: str, *names: str, **options: Any) -> str:
        """The code of the only error; data must be absent or null."""
        result = self.run(query, *names, **options)
        assert not result.data and len(result.errors) == 1, result
        return str(result.errors[0]["extensions"]["code"])

    def naive(self, query: str, *names: str, allowed: Allowed = EVERYTHING, **variables: Any) -> Any:
        """`data` as the contract has it, from the units themselves."""
        rows = self._rows()
        entities = [
            naive_patient(self.ref(n), self.people[n].patient, [r for r in rows if r["name"] == n], allowed)
            for n in names
        ]
        root = {"_entities": lambda representations: entities}
        return plain.answer(NODE, query, root, {"r": representations([self.ref(n) for n in names]), **variables})

    def _rows(self) -> list[Json]:
        columns = "id,labels,content_hash,key,received_at"
        stored = {r[0]: r[1:] for r in self.rows(f"SELECT {columns} FROM record WHERE current")}
        out = []
        for name, person in self.people.items():
            for seq, record in enumerate(person.records):
                out.append(self._row(name, person, record, seq, stored))
        return out

    def _row(self, name: str, person: Person, record: ParsedRecord, seq: int, stored: dict[str, Any]) -> Json:
        facility = person.patient.facility
        rid = self.ids.record(facility, record.kind, record.source_key)
        encounter = record.encounter_key and self.ids.record(facility, RecordKind.ENCOUNTER, record.encounter_key)
        labels, digest, key, received = stored[rid]
        spine = {
            "id": rid,
            "kind": record.kind.value,
            "facility": {"__typename": "Facility", "code": facility, "name": f"Bệnh viện {facility}"},
            "feed": "FHIR",
            "encounterId": encounter,
            "receivedAt": received,
            "notResent": False,
        }
        body = {**plain.completed(NODE, plain.type_of(record.kind), record.body), **spine}
        links = {
            role: [self.ids.record(facility, RecordKind.OBSERVATION, t) for t in targets]
            for role, targets in record.links.items()
        }
        return {
            "name": name, "seq": seq, "body": body, "labels": labels, "hash": digest, "key": key, "links": links,
            "sort": sort_time(record.time), "facility": facility, "id": rid, "kind": record.kind.value,
            "encounter": encounter, "codes": sorted(codes_of(body)),
        }  # fmt: skip


def make_person(seed: int, facility: str, local_id: str, encounters: int = 3, schema: GraphQLSchema = NODE) -> Person:
    """A random person with records of every kind; some belong to an encounter, some to none."""
    rng = random.Random(seed)
    patient = ParsedPatient(facility, local_id, (), f"Trần Thử {local_id}", "1980-03-05", "FEMALE")
    person = Person(patient)
    keys = [f"{local_id}-visit{n}" for n in range(encounters)]
    for n, key in enumerate(keys):
        person.records.append(make_record(rng, RecordKind.ENCOUNTER, key, None, schema))
        observations = [f"{key}/o{i}" for i in range(3)]
        for kind in RecordKind:
            if kind is RecordKind.ENCOUNTER:
                continue
            count = 3 if kind in (RecordKind.OBSERVATION, RecordKind.CONDITION) else 1
            for i in range(count):
                source = observations[i] if kind is RecordKind.OBSERVATION else f"{key}/{kind.value}/{i}"
                record = make_record(rng, kind, source, key if (n + i) % 4 else None, schema)
                if kind is RecordKind.DIAGNOSTIC_REPORT:
                    record = replace(record, links={"results": tuple(reversed(observations))})
                person.records.append(record)
    return person


def make_record(
    rng: random.Random, kind: RecordKind, source: str, encounter: str | None, schema: GraphQLSchema = NODE
) -> ParsedRecord:
    body = plain.make_body(schema, plain.type_of(kind), rng)
    number = ("01929", source) if kind is RecordKind.REFERRAL else None
    return ParsedRecord(kind, source, kind.value, body, rng.choice(DATES), encounter, number)


def fill(folder: Path, people: dict[str, Person], errors: tuple[FeedError, ...] = ()) -> Filled:
    """A store with these people in it, through the node's own ingest."""
    settings = Settings(
        data_folder=folder,
        facilities=[{"code": f, "name": f"Bệnh viện {f}"} for f in (FACILITY, OTHER_FACILITY)],  # type: ignore[arg-type]
        feeds=[{"feed": "fhir"}],  # type: ignore[arg-type]
        **urls(folder),
    )
    feed = HandMadeFeed()
    feed.files.append(ParsedFile(tuple(p.unit for p in people.values()), errors))
    ids: list[Any] = []

    async def work() -> Reader:
        store = open_store(settings)
        try:
            await prepare(store, settings)
            ingest = Ingest(store, settings, {Feed.FHIR: feed}, lambda: NOW)
            result = await ingest.receive(Feed.FHIR, "file", b"0")
            assert errors or not result.errors, result.errors
            ids.append(store.ids)
            reader = open_reader(store, settings)
            await reader.open()
            return reader
        finally:
            await store.close()

    runner = asyncio.Runner()
    reader = runner.run(work())
    return Filled(settings, people, ids[0], runner, reader)
