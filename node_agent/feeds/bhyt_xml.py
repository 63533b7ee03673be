"""The feed `bhyt_xml`: files of the insurer's XML as any HIS that bills BHYT writes them.

The steps live in feeds/bhyt/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from node_agent.feeds.bhyt import envelope
from node_agent.feeds.bhyt.dossier import units_of
from node_agent.feeds.bhyt.envelope import Dossier
from node_agent.feeds.bhyt.faults import BhytError
from node_agent.feeds.bhyt.patient import attributed
from node_agent.records import FeedError, ParsedFile, ParsedUnit
from schema.elements import Feed

MAX_BYTES = 100 * 1024 * 1024


class BhytXmlFeed:
    """GIAMDINHHS envelopes and XML0 -> ParsedFile. `facilities` are the MA_CSKCB codes this node serves."""

    feed = Feed.BHYT_XML

    def __init__(self, facilities: Sequence[str], max_bytes: int = MAX_BYTES) -> None:
        if not facilities:
            raise ValueError("a node serves at least one facility")
        self._facilities, self._max_bytes = tuple(facilities), max_bytes

    def parse(self, data: bytes) -> ParsedFile:
        """All units of a file, an error for each HOSO that could not be used, and remarks.

        Never raises for bad bytes.
        """
        if len(data) > self._max_bytes:
            return ParsedFile((), (BhytError("FILE_TOO_LARGE").report("file"),))
        if not data.strip(b" \t\r\n\x00\xef\xbb\xbf"):
            return ParsedFile((), (BhytError("FILE_EMPTY").report("file"),))
        read = envelope.read(data)
        units: list[ParsedUnit] = []
        errors: list[FeedError] = [read.fault.report(f"line {read.line}")] if read.fault else []
        whose: dict[tuple[str, str], str] = {}
        for dossier in read.dossiers:
            try:
                made = units_of(dossier, self._facilities)
                for unit in made:
                    # One visit of two people in one file: the later would take the earlier's place without a word.
                    if whose.setdefault((unit.facility, unit.unit_key), unit.patient.local_id) != unit.patient.local_id:
                        raise BhytError("FIELD_INVALID", "XML1", "MA_LK")
                units += made
            except BhytError as fault:
                errors.append(self._report(dossier, fault))
        return ParsedFile(tuple(units), tuple(errors), read.notes.remarks())

    def _report(self, dossier: Dossier, fault: BhytError) -> FeedError:
        """The error of one HOSO, attributed to a facility of this node and, if anything can be read, to the
        patient.
        """
        named = [row.text("MA_CSKCB") for row in dossier.tables.get("XML1", []) + dossier.tables.get("XML0", [])]
        served = [code for code in (*named, dossier.sender) if code in self._facilities]
        facility = served[0] if served else self._facilities[0]
        patient = attributed(dossier.tables, dossier.broken, facility)
        visits = {row.text("MA_LK") for rows in dossier.tables.values() for row in rows} - {None, ""}
        report = fault.report(f"HOSO {dossier.position}", facility, patient)
        return replace(report, unit_key=visits.pop()) if len(visits) == 1 else report
