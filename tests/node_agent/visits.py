"""Hand-made units, a feed that gives them, and the content of a store without its row numbers. For tests of the way in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from node_agent.ingest import Ingest
from node_agent.records import (
    FeedError,
    ParsedFile,
    ParsedPatient,
    ParsedRecord,
    ParsedUnit,
    Supersede,
)
from node_agent.settings import Settings
from node_agent.store.engine import Store, open_store
from node_agent.store.migrate import prepare
from node_agent.tables import CHILD, DETAIL, STORE
from schema.elements import Feed, RecordKind
from schema.identity import Identifier, IdentifierKind
from tests.node_agent.databases import urls

FACILITY = "01001"
NOW = datetime(2026, 3, 1, 2, 3, 4, tzinfo=UTC)
ICD10 = "http://hl7.org/fhir/sid/icd-10"
Rows = list[dict[str, Any]]


class ByName:
    """A feed whose bytes name a file made beforehand."""

    def __init__(self, feed: Feed = Feed.BHYT_XML) -> None:
        self.feed, self.files = feed, dict[bytes, ParsedFile]()

    def parse(self, data: bytes) -> ParsedFile:
        """The file of that name; a KeyError for one that was never made, as a feed with a fault would raise."""
        return self.files[data]


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings of a node of one hospital, both feeds configured."""
    given: dict[str, Any] = {
        "data_folder": folder,
        "facilities": [{"code": FACILITY, "name": "Bệnh viện Thử nghiệm"}],
        "feeds": [{"feed": "bhyt_xml"}, {"feed": "fhir"}],
        **urls(folder),
    }
    return Settings(**{**given, **more})


class Desk:
    """A store with its ingest; `post` sends a file of units."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings, self.now = store, settings, NOW
        self.feeds = {feed: ByName(feed) for feed in (Feed.BHYT_XML, Feed.FHIR)}
        self.ingest = Ingest(store, settings, self.feeds, lambda: self.now)

    async def post(self, *units: ParsedUnit, errors: Iterable[FeedError] = (), feed: Feed = Feed.BHYT_XML) -> Any:
        """Makes a file of these units and errors, and receives it."""
        data = f"file {len(self.feeds[feed].files)}".encode()
        self.feeds[feed].files[data] = ParsedFile(units, tuple(errors))
        return await self.ingest.receive(feed, data.decode(), data)

    async def rows(self, table: str) -> Rows:
        """All rows of a table."""
        async with self.store.engine.connect() as connection:
            found = await connection.execute(select(STORE.tables[table]).order_by(*STORE.tables[table].primary_key))
            return [dict(row) for row in found.mappings()]

    async def current(self) -> dict[str, str]:
        """Source key -> value of the current observations."""
        values = {row["pk"]: row["value"] for row in await self.rows("observation")}
        records = await self.rows("record")
        return {r["source_key"]: values[r["pk"]] for r in records if r["current"] and r["pk"] in values}


@asynccontextmanager
async def desk(folder: Path, **more: Any) -> AsyncIterator[Desk]:
    """A fresh node's way in."""
    settings = settings_in(folder, **more)
    store = open_store(settings)
    await prepare(store, settings)
    try:
        yield Desk(store, settings)
    finally:
        await store.close()


def person(local_id: str = "bn1", name: str = "Nguyễn Thử", **more: Any) -> ParsedPatient:
    """A made-up patient with one number."""
    given: dict[str, Any] = {
        "identifiers": (Identifier(IdentifierKind.CCCD, "001090123456"),),
        "name": name,
        "birth_date": "1990-05-01",
        "gender": "MALE",
    }
    return ParsedPatient(FACILITY, local_id, **{**given, **more})


def encounter(key: str, **more: Any) -> ParsedRecord:
    """An encounter with one practitioner."""
    body = {"status": "FINISHED", "class": "AMBULATORY", "practitioners": [{"licence": "7", "name": "BS Thử"}]}
    return ParsedRecord(RecordKind.ENCOUNTER, key, "XML1", {**body, **more}, time="2024-01-02")


def observation(key: str, value: str = "5.6", table: str = "XML4", **more: Any) -> ParsedRecord:
    """A result."""
    body = {"code": {"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}, "value": value}
    return ParsedRecord(RecordKind.OBSERVATION, key, table, {**body, **more}, time="2024-01-02T07:30+07:00")


def condition(key: str, code: str) -> ParsedRecord:
    """A diagnosis in ICD-10."""
    body = {"code": {"system": ICD10, "code": code, "asSent": code}}
    return ParsedRecord(RecordKind.CONDITION, key, "XML1", body)


def hoso(
    version: str, *records: ParsedRecord, key: str = "LK1", patient: ParsedPatient | None = None, **more: Any
) -> ParsedUnit:
    """A visit of the insurer's XML, replaced as a whole; its tables are those of its records unless given."""
    given: dict[str, Any] = {"tables": frozenset(r.table for r in records), **more}
    return ParsedUnit(FACILITY, key, version, patient or person(), records, supersede=Supersede.UNIT, **given)


def resources(
    version: str, *records: ParsedRecord, key: str = "Encounter/1", patient: ParsedPatient | None = None, **more: Any
) -> ParsedUnit:
    """The FHIR resources of an encounter, replaced one by one."""
    tables = frozenset(r.table for r in records)
    return ParsedUnit(
        FACILITY, key, version, patient or person(), records, tables=tables, supersede=Supersede.RECORD, **more
    )


async def content(desk: Desk, *, received: bool = True) -> dict[str, list[tuple[Any, ...]]]:
    """What the store holds, row numbers replaced by what they stand for; the change log and counters left out.

    received=False also leaves out which inbox item things came from, to compare different orders of arrival.
    """
    names = {r["pk"]: (r["facility"], r["local_id"]) for r in await desk.rows("patient")}
    units = {r["pk"]: (r["unit_key"], r["version"]) for r in await desk.rows("unit")}
    records = {
        r["pk"]: (r["id"], units[r["unit"]], r["inbox"] if received else 0, r["seq"]) for r in await _placed(desk)
    }
    arrival = set() if received else {"inbox", "position", "received_at", "seq", "last_received_at"}
    meaning: dict[str, dict[int, Any]] = {"patient": names, "unit": units, "record": records}
    skipped = {"change", "cursor"} | (set() if received else {"feed"})
    dump: dict[str, list[tuple[Any, ...]]] = {}
    for table in STORE.tables:
        if table in skipped:
            continue
        rows = []
        for row in await desk.rows(table):
            kept = {k: meaning[k][v] if k in meaning and k != table else v for k, v in row.items() if k not in arrival}
            if "pk" in kept:
                pk = kept.pop("pk")
                if table in {t.name for t in DETAIL.values()}:
                    kept["of"] = records[pk]
            rows.append(tuple((k, kept[k]) for k in sorted(kept)))
        dump[table] = sorted(rows, key=repr)
    assert set(dump) >= set(CHILD)
    return dump


async def _placed(desk: Desk) -> Rows:
    inbox = {u["pk"]: u["inbox"] for u in await desk.rows("unit")}
    return [{**r, "inbox": inbox[r["unit"]]} for r in await desk.rows("record")]
