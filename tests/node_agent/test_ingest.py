"""From bytes to rows: what a stored unit looks like, what a bad part costs, and that a replay or a crash changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from node_agent.inbox import State
from node_agent.ingest import BATCH_RECORDS
from node_agent.problem import Severity
from node_agent.records import FeedError, ParsedFile, ParsedPatient, ParsedRecord, Remark
from node_agent.store.rows import search_code
from schema.elements import Feed, RecordKind
from schema.identity import Identifier, IdentifierKind
from tests.node_agent.databases import lose_store
from tests.node_agent.visits import FACILITY, NOW, Desk, content, desk, encounter, hoso, observation, person, resources

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
CANARY = "CANARY-001090123456"


async def test_a_unit_becomes_spine_detail_children_links_and_codes(tmp_path: Path) -> None:
    report = ParsedRecord(
        RecordKind.DIAGNOSTIC_REPORT,
        "DiagnosticReport/1",
        "DiagnosticReport",
        {"code": {"code": "58410-2"}},
        encounter_key="Encounter/1",
        number=(FACILITY, "SO-7"),
        links={"results": ("Observation/1", "Observation/2")},
    )
    async with desk(tmp_path) as node:
        result = await node.post(
            resources("2024", encounter("Encounter/1"), observation("Observation/1"), report), feed=Feed.FHIR
        )
        assert (result.state, result.units, result.errors) == (State.STORED, 1, ())
        ids = node.store.ids
        spine = {r["source_key"]: r for r in await node.rows("record")}
        assert [r["seq"] for r in spine.values()] == [0, 1, 2]
        row = spine["DiagnosticReport/1"]
        assert row["id"] == ids.record(FACILITY, RecordKind.DIAGNOSTIC_REPORT, "DiagnosticReport/1")
        assert row["encounter_id"] == spine["Encounter/1"]["id"]
        assert (row["kind"], row["feed"], row["sort_time"]) == ("DIAGNOSTIC_REPORT", "FHIR", "")
        assert row["received_at"] == "2026-03-01T09:03:04+07:00"
        assert len(row["key"]) == len(row["content_hash"]) == 32
        assert (row["current"], row["not_resent"], row["labels"]) == (True, False, 0)
        assert spine["Observation/1"]["sort_time"] == "2024-01-02T07:30:00.000000"
        targets = [(x["role"], x["ord"], x["target_id"]) for x in await node.rows("link")]
        expected = [ids.record(FACILITY, RecordKind.OBSERVATION, f"Observation/{n}") for n in (1, 2)]
        assert targets == [("results", n, target) for n, target in enumerate(expected)]
        assert {c["code"] for c in await node.rows("search_code")} == {"2345-7", "58410-2"}
        [patient] = await node.rows("patient")
        assert patient["ref"] == ids.ref(FACILITY, "bn1")
        assert [(i["kind"], i["value"]) for i in await node.rows("identifier")] == [("CCCD", "001090123456")]
        assert [c["patient"] for c in await node.rows("change")] == [patient["pk"]]


async def test_one_bad_unit_costs_the_others_nothing_and_says_where_it_is_bad(tmp_path: Path) -> None:
    bad = hoso("1", encounter("e2", days=CANARY), key="LK2", patient=person("bn2"))
    async with desk(tmp_path) as node:
        result = await node.post(hoso("1", encounter("e1")), bad, hoso("1", encounter("e3"), key="LK3"))
        assert (result.state, result.units) == (State.PARTIAL, 2)
        [problem] = await node.ingest.inbox.problems(result.pk)
        assert (problem.severity, problem.code, problem.place) == (Severity.ERROR, "CONTRACT_VIOLATION", "unit 2")
        assert (problem.table, problem.field) == ("XML1", "days")
        assert problem.reason_vi and problem.reason_en
        assert CANARY not in str(problem)
        assert {r["source_key"] for r in await node.rows("record")} == {"e1", "e3"}
        assert (await node.ingest.inbox.item(result.pk)).error_code == "CONTRACT_VIOLATION"


async def test_a_unit_the_database_refuses_is_taken_back_alone(tmp_path: Path) -> None:
    """Two visits claim one record: the second breaks the rule of one current row an id, which only the database sees."""
    async with desk(tmp_path) as node:
        result = await node.post(
            hoso("1", encounter("same")), hoso("1", encounter("same"), key="LK2"), hoso("1", encounter("e3"), key="LK3")
        )
        assert (result.state, result.units) == (State.PARTIAL, 2)
        assert [(p.code, p.place) for p in result.errors] == [("INTERNAL_ERROR", "unit 2")]
        assert {u["unit_key"] for u in await node.rows("unit")} == {"LK1", "LK3"}


async def test_errors_and_remarks_of_the_feed_are_kept_with_the_item(tmp_path: Path) -> None:
    error = FeedError("TABLE_MISSING", "HOSO 2", "XML1", None, "thiếu bảng", "table missing")
    async with desk(tmp_path) as node:
        unit = replace(hoso("1", encounter("e")), remarks=(Remark("NFD_TEXT", "XML1/HO_TEN", 3),))
        result = await node.post(unit, errors=[error])
        assert result.state is State.PARTIAL
        kept = [
            (p.severity.value, p.code, p.place, p.table, p.count) for p in await node.ingest.inbox.problems(result.pk)
        ]
        assert kept == [("ERROR", "TABLE_MISSING", "HOSO 2", "XML1", 1), ("REMARK", "NFD_TEXT", "XML1/HO_TEN", None, 3)]
        assert (await node.post(errors=[error])).state is State.FAILED
        assert (await node.post(replace(unit, version="2"))).state is State.STORED  # remarks alone are no failure


async def test_a_fault_of_a_feed_is_told_by_its_type_and_not_by_its_text(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        with capture_logs() as logs:
            result = await node.ingest.receive(Feed.BHYT_XML, "a", CANARY.encode())  # no such file: KeyError(CANARY)
        assert (result.state, [p.code for p in result.errors]) == (State.FAILED, ["INTERNAL_ERROR"])
        assert "KeyError" in result.errors[0].reason_en
        assert CANARY not in str(logs) + str(result)
        node.feeds[Feed.BHYT_XML].files[CANARY.encode()] = ParsedFile((hoso("1", encounter("e")),))
        assert (await node.ingest.ingest(result.pk)).state is State.STORED
        item = await node.ingest.inbox.item(result.pk)
        assert (item.state, item.error_code, item.attempts) == (State.STORED, None, 2)
        assert await node.ingest.inbox.problems(result.pk) == []


async def test_a_facility_this_node_does_not_serve_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        result = await node.post(replace(hoso("1", encounter("e")), facility="99999"))
        assert (result.state, result.errors[0].code) == (State.FAILED, "UNKNOWN_FACILITY")
        assert await node.rows("patient") == []


async def test_records_of_a_patient_nobody_described_wait_for_a_replay(tmp_path: Path) -> None:
    nameless = resources("1", observation("Observation/1"), patient=ParsedPatient(FACILITY, "bn1"))
    async with desk(tmp_path) as node:
        waiting = await node.post(nameless, feed=Feed.FHIR)
        assert (waiting.state, waiting.errors[0].code) == (State.FAILED, "UNKNOWN_PATIENT")
        assert await node.rows("patient") == await node.rows("record") == []
        await node.post(resources("1", key="Patient/bn1"), feed=Feed.FHIR)
        assert (await node.ingest.ingest(waiting.pk)).state is State.STORED
        assert [p["name"] for p in await node.rows("patient")] == ["Nguyễn Thử"]
        assert len(await node.rows("record")) == 1


async def test_a_patient_described_later_in_the_same_file_is_known(tmp_path: Path) -> None:
    nameless = [
        resources("1", *(observation(f"Observation/{u}-{n}") for n in range(BATCH_RECORDS)), key=f"Encounter/{u}")
        for u in range(3)
    ]
    bare = ParsedPatient(FACILITY, "bn1")
    async with desk(tmp_path) as node:
        units = [*(replace(u, patient=bare) for u in nameless), resources("1", key="Patient/bn1")]
        assert (await node.post(*units, feed=Feed.FHIR)).state is State.STORED


async def test_two_rows_of_one_key_in_a_visit_are_both_kept_and_said(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        result = await node.post(
            hoso("1", encounter("e"), observation("LK1/XML4/1", "5"), observation("LK1/XML4/1", "6"))
        )
        assert await node.current() == {"LK1/XML4/1": "5", "LK1/XML4/1#2": "6"}
        assert [(p.code, p.count) for p in result.errors] == [("DUPLICATE_SOURCE_KEY", 1)]
        assert result.state is State.STORED


async def test_the_newest_word_on_a_patient_stands_whatever_comes_last(tmp_path: Path) -> None:
    right = (Identifier(IdentifierKind.CCCD, "001090123457"),)
    cmnd = Identifier(IdentifierKind.CMND, "012345670")
    async with desk(tmp_path) as node:
        await node.post(hoso("2", encounter("e2"), key="LK2", patient=person(name="Mới", identifiers=right)))
        old = person(name="Cũ", identifiers=(*person().identifiers, cmnd))
        await node.post(hoso("1", encounter("e1"), key="LK1", patient=old))
        [patient] = await node.rows("patient")
        assert patient["name"] == "Mới"
        numbers = {(i["kind"], i["value"]) for i in await node.rows("identifier")}
        assert numbers == {("CCCD", "001090123457"), ("CMND", "012345670")}


async def fill(node: Desk) -> list[int]:
    """Items of several kinds, some failing, some superseding; their numbers."""
    results = [
        await node.post(hoso("1", encounter("e1"), observation("o1"), observation("o2", table="XML5"))),
        await node.post(hoso("3", encounter("e1"), observation("o1", "7"))),
        await node.post(hoso("2", encounter("e1"), observation("o1", "6"), observation("o2", "8", table="XML5"))),
        await node.post(
            hoso("1", encounter("x", days="?"), key="LK9", patient=person("bn9")), hoso("1", encounter("y"), key="LK8")
        ),
        await node.post(resources("1", encounter("Encounter/1"), observation("Observation/1")), feed=Feed.FHIR),
        await node.post(
            resources("2", observation("Observation/1", "9"), withdrawn=frozenset({"Encounter/1"})), feed=Feed.FHIR
        ),
    ]
    assert {r.state for r in results} == {State.STORED, State.PARTIAL}
    return [r.pk for r in results]


async def test_replaying_any_item_or_all_gives_the_same_store(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        items = await fill(node)
        before = await content(node)
        assert len(before["failure"]) == 1
        for order in (*([pk] for pk in items), items, items[::-1]):
            node.now = node.now.replace(year=node.now.year + 1)
            for pk in order:
                await node.ingest.ingest(pk)
            assert await content(node) == before


async def test_what_an_item_gives_no_more_after_a_replay_is_taken_out(tmp_path: Path) -> None:
    """As when a better feed reads the same bytes differently."""
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o", "5")))
        newer = await node.post(hoso("2", encounter("e"), observation("o", "6")), hoso("2", encounter("f"), key="LK2"))
        node.feeds[Feed.BHYT_XML].files[b"file 1"] = ParsedFile((hoso("1", encounter("f"), key="LK2"),))
        await node.ingest.ingest(newer.pk)
        assert await node.current() == {"o": "5"}
        assert {u["unit_key"] for u in await node.rows("unit") if u["current"]} == {"LK1", "LK2"}


async def test_a_stop_at_any_moment_is_made_good_by_resume(tmp_path: Path) -> None:
    units = [
        hoso("1", encounter(f"e{n}"), *(observation(f"o{n}-{k}") for k in range(60)), key=f"LK{n}") for n in range(9)
    ]
    async with desk(tmp_path / "whole") as node:
        await node.post(*units)
        expected = await content(node, received=False)
    stopped = set()
    for wait in range(0, 56, 8):
        async with desk(tmp_path / str(wait)) as node:
            (tmp_path / "whole" / "record.key").replace(tmp_path / "key") if not (tmp_path / "key").exists() else None
            node.feeds[Feed.BHYT_XML].files[b"a"] = ParsedFile(tuple(units))
            item = await node.ingest.inbox.receive(Feed.BHYT_XML, "a", b"a")
            task = asyncio.create_task(node.ingest.ingest(item.pk))
            await asyncio.sleep(wait / 400)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            stopped.add((await node.ingest.inbox.item(item.pk)).state)
            await node.ingest.resume()
            assert (await node.ingest.inbox.item(item.pk)).state is State.STORED
            found = await content(node, received=False)
            assert {t: len(r) for t, r in found.items()} == {t: len(r) for t, r in expected.items()}
            if node.store.path:  # PostgreSQL has no such check, nor a file of ours that a stop could tear
                async with node.store.engine.connect() as connection:
                    assert (await connection.execute(text("PRAGMA integrity_check"))).scalar() == "ok"
                    assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []
    assert State.RECEIVED in stopped  # some of the stops came in the middle


async def test_texts_longer_than_an_index_holds_cost_nobody_anything(tmp_path: Path) -> None:
    """PostgreSQL's indexes end at 2.7 kB; a part that failed beside such a text must still count against its patient."""
    words = " ".join(sha256(b"%d" % n).hexdigest() for n in range(200))  # nothing that could be compressed
    long = person(f"x{words}", "Lê Dài", identifiers=())
    spoken = observation("o", code={"asSent": words, "display": words})
    async with desk(tmp_path) as node:
        for _ in range(2):
            await node.post(
                hoso("1", encounter("e"), spoken, patient=long),
                errors=[bad_part("LK9"), replace(bad_part("LK8"), patient=long)],
            )
        assert {p["local_id"][:1] for p in await node.rows("patient")} == {"x", "b"}
        assert len(await node.rows("patient")) == 2
        assert {f["unit_key"] for f in await node.rows("failure")} == {"LK8", "LK9"}
        assert search_code(words) in {c["code"] for c in await node.rows("search_code")}
        assert len(await node.current()) == 1


async def test_the_last_time_a_feed_brought_something_does_not_go_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        first = await node.post(hoso("1", encounter("e")))
        node.now = NOW.replace(month=4)
        await node.post(hoso("2", encounter("e")))
        await node.ingest.ingest(first.pk)
        feeds = {f["feed"]: f["last_received_at"] for f in await node.rows("feed")}
        assert feeds == {"BHYT_XML": "2026-04-01T02:03:04.000000Z", "FHIR": None}


async def test_what_the_store_lost_is_made_again_from_the_inbox_failures_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e")), errors=[bad_part("LK9")])
        await node.post(hoso("1", encounter("f"), key="LK2"))
        await node.post(errors=[bad_part("LK8")])
        before, files = await content(node), node.feeds[Feed.BHYT_XML].files
        assert await node.ingest.resume() == []
    lose_store(tmp_path)
    async with desk(tmp_path) as node:
        node.feeds[Feed.BHYT_XML].files.update(files)
        assert [r.state for r in await node.ingest.resume()] == [State.PARTIAL, State.STORED, State.FAILED]
        assert await content(node) == before


def bad_part(unit_key: str) -> FeedError:
    return FeedError("FIELD_MISSING", "HOSO 2", "XML1", "NGAY_VAO", "thiếu", "missing", FACILITY, person(), unit_key)
