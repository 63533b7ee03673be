"""What a feed makes of bytes: units of parsed records, errors and remarks. Plain frozen values; no database, no I/O.

A record's `body` is JSON in the shape of its contract type (schema/clinical.py), camelCase, without the fields of the
Record interface and without relations to other records. The store flattens it by the contract (columns.py), so a feed
never knows about columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from schema.elements import Feed, RecordKind
from schema.identity import Identifier

Body = dict[str, Any]


class Supersede(Enum):
    """How a newer unit treats what the older one held."""

    UNIT = "UNIT"  # the whole unit is replaced: a HOSO of (MA_CSKCB, MA_LK)
    RECORD = "RECORD"  # only records of the same source key are replaced: FHIR resources


@dataclass(frozen=True, slots=True)
class ParsedPatient:
    """The person as one facility knows them. local_id is MA_BN or Patient.id, unique in the facility.

    doubts: why the row may carry a parent's name or card (UNDER_SIX, CHILD_CARD, TEMPORARY_CARD, BIRTH_CERTIFICATE,
    NEWBORN_WEIGHT); a doubtful row stays its own patient (DESIGN 4). birth_date is a PartialDate.
    """

    facility: str
    local_id: str
    identifiers: tuple[Identifier, ...] = ()
    name: str | None = None
    birth_date: str | None = None
    gender: str | None = None  # FHIR administrative gender in capitals, as schema.elements.Gender
    doubts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """One clinical item. source_key is stable within the facility across re-sends: '<MA_LK>/XML2/3', 'Observation/<id>'.

    time: the PartialDate the record sorts by. number: (issuing facility, issuer's number) for documents that have one
    (prescription code, referral letter, accession number); it makes the key by which copies are recognised.
    links: relation name -> source keys of other records ('results' of a DiagnosticReport -> Observations).
    """

    kind: RecordKind
    source_key: str
    table: str
    body: Body
    time: str | None = None
    encounter_key: str | None = None
    number: tuple[str, str] | None = None
    labels: frozenset[str] = frozenset()
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remark:
    """Something noticed that does not stop ingest: code such as UNMAPPED_RESOURCE or NFD_TEXT, where, how often. No patient data."""

    code: str
    where: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class ParsedUnit:
    """What is stored in one transaction: a visit (HOSO) or the FHIR resources of one encounter or one patient.

    version orders units of one unit_key: bytewise greater wins, then the later inbox position. tables names the tables
    the unit carries (for notResent). labels apply to every record of the unit. withdrawn: source keys whose author took
    the record back (entered-in-error); what an older version stored under them is no longer current.
    """

    facility: str
    unit_key: str
    version: str
    patient: ParsedPatient
    records: tuple[ParsedRecord, ...]
    tables: frozenset[str]
    supersede: Supersede
    labels: frozenset[str] = frozenset()
    remarks: tuple[Remark, ...] = ()
    withdrawn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FeedError:
    """Why a part of the bytes could not be used: stable code, table, field, reason in both languages, what to do.

    where: 'HOSO 2', 'line 17', 'entry[3]'. facility and patient, when they could be read, attribute the failure to a
    person (it then counts in coverage); unit_key, when it could be read, lets a later file of that unit settle it. None of
    the three appears in any text.
    """

    code: str
    where: str
    table: str | None
    field: str | None
    reason_vi: str
    reason_en: str
    facility: str | None = None
    patient: ParsedPatient | None = None
    unit_key: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """All that one inbox item gives. Nothing is dropped in silence: what is not mapped is a Remark, what fails a FeedError."""

    units: tuple[ParsedUnit, ...]
    errors: tuple[FeedError, ...] = ()
    remarks: tuple[Remark, ...] = ()


class FeedParser(Protocol):
    """A feed: bytes -> parsed records. `facilities` are the codes this node serves; the first is the default."""

    feed: Feed

    def parse(self, data: bytes) -> ParsedFile: ...
