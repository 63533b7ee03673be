"""A part that failed counts against its patient until that very part has come in; nothing else makes it go away."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_agent.inbox import State
from node_agent.records import FeedError, ParsedFile, ParsedPatient
from schema.elements import Feed
from schema.identity import Identifier, IdentifierKind
from tests.node_agent.visits import FACILITY, Desk, desk, encounter, hoso, observation, person, resources

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]


def error(unit_key: str | None = "LK1", patient: ParsedPatient | None = None, facility: str = FACILITY) -> FeedError:
    who = patient or person()
    return FeedError("FIELD_MISSING", "HOSO 1", "XML1", "NGAY_VAO", "thiếu", "missing", facility, who, unit_key)


async def failing(node: Desk) -> list[tuple[str, int, str]]:
    """(local id, item, code) of the failures that stand."""
    names = {p["pk"]: p["local_id"] for p in await node.rows("patient")}
    return [(names[f["patient"]], f["inbox"], f["code"]) for f in await node.rows("failure")]


async def test_a_failed_part_makes_its_patient_known_and_counted(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        result = await node.post(errors=[error()])
        assert result.state is State.FAILED
        assert await failing(node) == [("bn1", result.pk, "FIELD_MISSING")]
        assert [i["value"] for i in await node.rows("identifier")] == ["001090123456"]
        assert len(await node.rows("change")) == 1


async def test_a_unit_that_breaks_the_contract_counts_against_its_patient(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        result = await node.post(hoso("1", encounter("e", days="?")))
        assert await failing(node) == [("bn1", result.pk, "CONTRACT_VIOLATION")]


async def test_a_failure_nobody_can_be_found_by_is_only_reported(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(errors=[error(patient=ParsedPatient(FACILITY, "bn7"))])
        await node.post(errors=[error(facility="99999")])
        assert await node.rows("failure") == await node.rows("patient") == []


async def test_a_name_tag_of_a_known_patient_is_enough(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), key="LK0"))
        result = await node.post(errors=[error(patient=ParsedPatient(FACILITY, "bn1"))])
        assert await failing(node) == [("bn1", result.pk, "FIELD_MISSING")]
        assert [p["name"] for p in await node.rows("patient")] == ["Nguyễn Thử"]


async def test_a_replay_that_succeeds_settles_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        result = await node.post(errors=[error()])
        before = len(await node.rows("change"))
        node.feeds[Feed.BHYT_XML].files[b"file 0"] = ParsedFile((hoso("1", encounter("e")),))
        await node.ingest.ingest(result.pk)
        assert await failing(node) == []
        assert len(await node.rows("change")) > before


async def test_a_newer_file_of_the_same_visit_settles_it_and_a_replay_does_not_bring_it_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        failed = await node.post(errors=[error()])
        await node.post(hoso("2", encounter("e")))
        assert await failing(node) == []
        await node.ingest.ingest(failed.pk)
        assert await failing(node) == []


async def test_another_visit_of_the_patient_settles_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        failed = await node.post(errors=[error()])
        await node.post(hoso("2", encounter("e"), key="LK2"))
        assert await failing(node) == [("bn1", failed.pk, "FIELD_MISSING")]


async def test_the_same_visit_in_an_older_file_settles_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        stored = await node.post(hoso("1", encounter("e")))
        failed = await node.post(errors=[error()])
        await node.ingest.ingest(stored.pk)
        assert await failing(node) == [("bn1", failed.pk, "FIELD_MISSING")]


async def test_a_failed_resource_is_settled_by_that_resource_or_its_withdrawal(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        broken = [error("Observation/1"), error("Observation/2")]
        failed = await node.post(resources("1", encounter("Encounter/1")), errors=broken, feed=Feed.FHIR)
        assert failed.state is State.PARTIAL
        await node.post(resources("2", observation("Observation/3"), key="Encounter/3"), feed=Feed.FHIR)
        assert len(await failing(node)) == 2
        await node.post(resources("3", observation("Observation/1"), key="Encounter/4"), feed=Feed.FHIR)
        assert len(await failing(node)) == 1
        await node.post(resources("4", withdrawn=frozenset({"Observation/2"})), feed=Feed.FHIR)
        assert await failing(node) == []


async def test_a_part_without_a_key_is_settled_by_anything_newer_of_the_patient(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(errors=[error(None)])
        await node.post(hoso("1", encounter("x"), key="LK2", patient=person("bn2", "Khác")))
        assert len(await failing(node)) == 1
        await node.post(hoso("2", encounter("e"), key="LK3"))
        assert await failing(node) == []


async def test_people_without_a_readable_local_id_are_not_taken_for_one(tmp_path: Path) -> None:
    numbers = ("001090123457", "001090123458")
    nameless = [person("", identifiers=(Identifier(IdentifierKind.CCCD, n),)) for n in numbers]
    async with desk(tmp_path) as node:
        await node.post(errors=[error("LK1", nameless[0]), error("LK2", nameless[1])])
        await node.post(errors=[error("LK3", person("", identifiers=()), FACILITY)])
        held = {i["patient"]: i["value"] for i in await node.rows("identifier")}
        assert sorted(held.values()) == list(numbers)
        assert {held[f["patient"]] for f in await node.rows("failure") if f["patient"] in held} == set(numbers)


async def test_bare_numbers_of_a_failed_part_change_nothing_of_a_known_person(tmp_path: Path) -> None:
    bare = ParsedPatient(FACILITY, "bn1", (Identifier(IdentifierKind.CCCD, "001090999999"),))
    async with desk(tmp_path) as node:
        await node.post(resources("", observation("Observation/1"), patient=person()), feed=Feed.FHIR)
        await node.post(errors=[error(None, bare)], feed=Feed.FHIR)
        [row] = await node.rows("patient")
        assert (row["name"], row["birth_date"]) == ("Nguyễn Thử", "1990-05-01")
        assert [i["value"] for i in await node.rows("identifier")] == ["001090123456"]


async def test_records_of_somebody_whose_own_resource_failed_are_failures_of_that_person(tmp_path: Path) -> None:
    failed = ParsedPatient(FACILITY, "p9", (Identifier(IdentifierKind.CCCD, "001090123459"),))
    unit = resources("", observation("Observation/9"), key="Encounter/9", patient=ParsedPatient(FACILITY, "p9"))
    async with desk(tmp_path) as node:
        await node.post(unit, errors=[error(None, failed)], feed=Feed.FHIR)
        assert sorted((f["code"], f["unit_key"]) for f in await node.rows("failure")) == [
            ("FIELD_MISSING", None),
            ("UNKNOWN_PATIENT", "Encounter/9"),
        ]
