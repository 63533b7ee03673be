"""A parsed unit made ready to write: ids, spine rows, detail rows, labels. Pure; the writer (write.py) only adds numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from node_agent.labels import labels_of, unit_labels
from node_agent.records import ParsedPatient, ParsedRecord, ParsedUnit, Remark, Supersede
from node_agent.store.ids import Ids
from node_agent.store.rows import BodyRows, Row, document_key, flatten, target_kind
from node_agent.store.supersede import Rank
from schema.elements import Feed, RecordKind
from schema.scalars import sort_time


@dataclass(frozen=True, slots=True)
class ReadyRecord:
    """One record's rows without their numbers; the spine lacks pk, patient, unit and standing."""

    spine: Row
    body: BodyRows
    links: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ReadyUnit:
    """One unit's rows without their numbers."""

    facility: str
    unit_key: str
    version: str
    inbox: int
    position: int
    tables: frozenset[str]
    labels: int
    supersede: Supersede
    patient: ParsedPatient
    records: tuple[ReadyRecord, ...]
    remarks: tuple[Remark, ...]
    withdrawn: frozenset[str] = frozenset()

    @property
    def rank(self) -> Rank:
        """What orders versions of one unit key."""
        return self.version, self.inbox, self.position


@dataclass(frozen=True, slots=True)
class Source:
    """Where units come from. received_at: PartialDate of the inbox item, in Vietnam's local time."""

    feed: Feed
    inbox: int
    received_at: str


def ready(unit: ParsedUnit, position: int, source: Source, ids: Ids) -> ReadyUnit:
    """The unit's rows. Raises ContractViolation."""
    records, remarks = _distinct(unit)
    return ReadyUnit(
        unit.facility,
        unit.unit_key,
        unit.version,
        source.inbox,
        position,
        unit.tables,
        unit_labels(unit),
        unit.supersede,
        unit.patient,
        tuple(_record(unit.facility, record, source, ids) for record in records),
        unit.remarks + remarks,
        unit.withdrawn,
    )


def _record(facility: str, record: ParsedRecord, source: Source, ids: Ids) -> ReadyRecord:
    body = flatten(record)
    labels = labels_of(record)
    encounter = record.encounter_key
    spine: Row = {
        "id": ids.record(facility, record.kind, record.source_key),
        "facility": facility,
        "kind": record.kind.value,
        "feed": source.feed.value,
        "source_table": record.table,
        "source_key": record.source_key,
        "encounter_id": ids.record(facility, RecordKind.ENCOUNTER, encounter) if encounter else None,
        "sort_time": sort_time(record.time),
        "received_at": source.received_at,
        "labels": labels,
        "own_labels": labels,
        "key": document_key(record),
        "content_hash": body.content_hash,
    }
    links = tuple(
        {"role": role, "ord": n, "target_id": ids.record(facility, target_kind(record, role), target)}
        for role, targets in record.links.items()
        for n, target in enumerate(targets)
    )
    return ReadyRecord(spine, body, links)


def _distinct(unit: ParsedUnit) -> tuple[list[ParsedRecord], tuple[Remark, ...]]:
    """Two rows of one key in a HOSO are two rows (an STT typed twice): the second is kept under its own key, and said.

    Among FHIR resources the later one is a newer state of the same, which resolve() sees to.
    """
    if unit.supersede is Supersede.RECORD:
        return list(unit.records), ()
    seen: dict[tuple[RecordKind, str], int] = {}
    out: list[ParsedRecord] = []
    repeated: dict[str, int] = {}
    for record in unit.records:
        place = (record.kind, record.source_key)
        seen[place] = seen.get(place, 0) + 1
        if seen[place] > 1:
            record = replace(record, source_key=f"{record.source_key}#{seen[place]}")
            repeated[record.table] = repeated.get(record.table, 0) + 1
        out.append(record)
    return out, tuple(Remark("DUPLICATE_SOURCE_KEY", table, n) for table, n in sorted(repeated.items()))
