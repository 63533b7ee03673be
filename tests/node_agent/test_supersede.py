"""Which versions stand: the rules one by one, and that neither the order of arrival nor a replay can change the outcome."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_agent.labels import Label
from node_agent.records import ParsedRecord, ParsedUnit, Supersede
from node_agent.store.supersede import Held, Version, resolve
from schema.elements import Feed, RecordKind
from tests.node_agent.visits import (
    FACILITY,
    Desk,
    condition,
    content,
    desk,
    encounter,
    hoso,
    observation,
    person,
    resources,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]


async def test_the_newer_version_replaces_the_whole_visit(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o1"), observation("o2")))
        await node.post(hoso("2", encounter("e"), observation("o1", "7")))
        assert await node.current() == {"o1": "7"}
        assert len(await node.rows("record")) == 5  # older versions stay
        assert [u["current"] for u in await node.rows("unit")] == [False, True]


async def test_rows_of_a_table_the_newer_version_lacks_stay_and_say_so(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o1"), observation("n", "5", "XML5")))
        await node.post(hoso("2", encounter("e"), observation("o1", "7")))
        assert await node.current() == {"o1": "7", "n": "5"}
        standing = {r["source_key"]: r["not_resent"] for r in await node.rows("record") if r["current"]}
        assert standing == {"e": False, "o1": False, "n": True}


async def test_a_table_sent_empty_is_not_a_table_left_out(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("n", "5", "XML5")))
        await node.post(hoso("2", encounter("e"), tables=frozenset({"XML1", "XML5"})))
        assert await node.current() == {}


async def test_an_older_version_that_comes_late_fills_in_only_what_is_missing(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("3", encounter("e"), observation("o1", "7")))
        await node.post(hoso("1", encounter("e"), observation("o1", "5"), observation("n", "1", "XML5")))
        await node.post(hoso("2", encounter("e"), observation("n", "2", "XML5")))
        assert await node.current() == {"o1": "7", "n": "2"}
        assert {u["version"]: u["current"] for u in await node.rows("unit")} == {"3": True, "1": False, "2": False}


async def test_a_check_in_and_the_visit_are_one_encounter(tmp_path: Path) -> None:
    check_in = replace(encounter("e", status="IN_PROGRESS"), table="XML0")
    async with desk(tmp_path) as node:
        await node.post(hoso("2", encounter("e")))
        await node.post(hoso("!", check_in))
        current = [r for r in await node.rows("record") if r["current"]]
        assert [(r["source_table"], r["not_resent"]) for r in current] == [("XML1", False)]


async def test_of_equal_versions_the_later_item_stands(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o", "1")))
        await node.post(hoso("1", encounter("e"), observation("o", "2")))
        assert await node.current() == {"o": "2"}


async def test_a_visit_typed_under_the_wrong_patient_moves_with_all_its_rows(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("n", "5", "XML5"), patient=person("wrong")))
        before = len(await node.rows("change"))
        await node.post(hoso("2", encounter("e"), patient=person("right", "Trần Thử")))
        names = {p["pk"]: p["local_id"] for p in await node.rows("patient")}
        assert {names[r["patient"]] for r in await node.rows("record") if r["current"]} == {"right"}
        assert {names[c["patient"]] for c in (await node.rows("change"))[before:]} == {"wrong", "right"}


async def test_of_fhir_resources_each_is_replaced_by_itself(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(resources("1", encounter("Encounter/1"), observation("Observation/1")), feed=Feed.FHIR)
        await node.post(resources("2", observation("Observation/2", "9")), feed=Feed.FHIR)
        await node.post(resources("0", observation("Observation/1", "late and old")), feed=Feed.FHIR)
        assert await node.current() == {"Observation/1": "5.6", "Observation/2": "9"}
        assert not any(r["not_resent"] for r in await node.rows("record"))


async def test_a_resource_that_moved_to_another_encounter_is_there_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(resources("1", encounter("Encounter/1"), observation("Observation/1")), feed=Feed.FHIR)
        moved = replace(observation("Observation/1", "9"), encounter_key="Encounter/2")
        await node.post(resources("2", moved, key="Encounter/2"), feed=Feed.FHIR)
        assert await node.current() == {"Observation/1": "9"}


@pytest.mark.parametrize(("code", "label"), [("B20", Label.HIV), ("F20.0", Label.PSYCHIATRIC)])
async def test_where_attendance_is_the_secret_one_record_labels_the_unit_and_no_longer_once_taken_back(
    tmp_path: Path, code: str, label: Label
) -> None:
    async def labels(node: Desk) -> dict[str, int]:
        return {r["source_key"]: r["labels"] for r in await node.rows("record") if r["current"]}

    async with desk(tmp_path) as node:
        await node.post(resources("1", encounter("Encounter/1"), observation("Observation/1")), feed=Feed.FHIR)
        assert await labels(node) == {"Encounter/1": 0, "Observation/1": 0}
        before = len(await node.rows("change"))
        await node.post(resources("2", condition("Condition/1", code)), feed=Feed.FHIR)
        assert await labels(node) == dict.fromkeys(("Encounter/1", "Observation/1", "Condition/1"), int(label))
        assert len(await node.rows("change")) > before
        await node.post(resources("3", withdrawn=frozenset({"Condition/1"})), feed=Feed.FHIR)
        assert await labels(node) == {"Encounter/1": 0, "Observation/1": 0}


async def test_an_hiv_table_not_sent_again_still_labels_the_visit(tmp_path: Path) -> None:
    paper = ParsedRecord(RecordKind.DOCUMENT_REFERENCE, "p", "XML6", {"type": {"display": "Hồ sơ"}})
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), paper))
        await node.post(hoso("2", encounter("e"), observation("o")))
        assert {r["source_key"]: r["labels"] for r in await node.rows("record") if r["current"]} == {
            "e": 1,
            "o": 1,
            "p": 1,
        }


async def test_other_labels_stay_where_they_are_and_on_what_repeats_them(tmp_path: Path) -> None:
    paper = ParsedRecord(RecordKind.DOCUMENT_REFERENCE, "p", "XML7", {"type": {"display": "Giấy ra viện"}})
    async with desk(tmp_path) as node:
        await node.post(
            hoso("1", encounter("e"), condition("c", "A15.0"), condition("d", "J00"), observation("o"), paper)
        )
        found = {r["source_key"]: Label(r["labels"]) for r in await node.rows("record")}
        assert {k for k, bits in found.items() if bits} == {"e", "c", "p"}
        assert set(found.values()) == {Label(0), Label.TB}


TABLES = ("XML1", "XML2", "XML4", "XML5")
Versions = list[Version]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Held], Versions]:
    """Versions of two unit keys and their records, few enough keys that everything collides."""
    held: list[Held] = []
    versions: Versions = []
    for number in range(draw(st.integers(1, 7))):
        key = (FACILITY, draw(st.sampled_from(["LK1", "LK2"])))
        tables = draw(st.frozensets(st.sampled_from(TABLES)))
        rank = (draw(st.sampled_from("123")), number, 0)
        gone = draw(st.frozensets(st.sampled_from(["a", "b"]), max_size=1))
        unit = Version(number, key, draw(st.integers(1, 2)), rank, tables, draw(st.sampled_from([0, 1, 2])), gone)
        versions.append(unit)
        for table in sorted(tables):
            for name in draw(st.lists(st.sampled_from("abc"), max_size=3)):
                kind = {"XML1": "ENCOUNTER", "XML5": "CONDITION"}.get(table, "OBSERVATION")
                id_ = f"{key[1]}/{kind}/{name}"
                held.append(Held(len(held), id_, kind, table, draw(st.sampled_from([0, 1, 4])), unit, name))
    return held, versions


@given(histories(), st.randoms(use_true_random=False), st.sampled_from(Supersede))
def test_the_outcome_does_not_depend_on_the_order_of_what_is_held(
    history: tuple[list[Held], Versions], rng: random.Random, supersede: Supersede
) -> None:
    held, versions = history
    expected = resolve(held, versions, supersede)
    rng.shuffle(held)
    rng.shuffle(versions)
    assert resolve(held, versions, supersede) == expected


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from(Supersede))
def test_one_id_has_at_most_one_current_record_and_the_newest_version_loses_nothing(
    history: tuple[list[Held], Versions], supersede: Supersede
) -> None:
    held, versions = history
    standing = resolve(held, versions, supersede)
    assert standing.keys() == {r.pk for r in held}
    current = [r for r in held if standing[r.pk].current]
    assert len({r.id for r in current}) == len(current)
    for key in {v.key for v in versions}:
        top = max((v for v in versions if v.key == key), key=lambda v: v.rank)
        later = [v for v in versions if v.rank >= top.rank] if supersede is Supersede.RECORD else []
        taken = {name for v in later for name in v.withdrawn}
        sent = {r.id for r in held if r.unit.pk == top.pk and r.source_key not in taken}
        assert sent <= {r.id for r in current if r.unit.pk == top.pk}
        if supersede is Supersede.UNIT:
            older = [r for r in current if r.unit.key == key and r.unit.pk != top.pk]
            assert not [r for r in older if r.table in top.tables and r.kind != "ENCOUNTER"]
        mine = [r for r in current if r.unit.key == key]
        assert all(standing[r.pk].labels & r.labels == r.labels for r in mine)
        if any(r.labels & Label.HIV and r.kind == "CONDITION" for r in mine):
            assert all(standing[r.pk].labels & Label.HIV for r in mine)


def some_units(draw: Callable[[st.SearchStrategy[Any]], Any], supersede: Supersede) -> list[ParsedUnit]:
    versions = draw(st.lists(st.sampled_from("123456"), min_size=1, max_size=5, unique=True))
    units = []
    for version in versions:
        records: list[ParsedRecord] = [
            observation(f"{table}/{name}", version, table)
            for table in draw(st.sets(st.sampled_from(["XML4", "XML5"])))
            for name in sorted(draw(st.sets(st.sampled_from("ab"))))
        ]
        if draw(st.booleans()):
            records.append(condition("c", draw(st.sampled_from(["B20", "J00", "F20"]))))
        who = person(draw(st.sampled_from(["bn1", "bn2"])), f"Tên {version}")
        make = hoso if supersede is Supersede.UNIT else resources
        units.append(
            make(
                version,
                *records,
                key=draw(st.sampled_from(["LK1", "LK1", "LK2"])) if make is resources else "LK1",
                patient=who,
            )
        )
    return units


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_order_of_arrival_and_any_replays_end_in_one_store(data: st.DataObject) -> None:
    supersede = data.draw(st.sampled_from(Supersede))
    units = some_units(data.draw, supersede)
    order = data.draw(st.permutations(range(len(units))))
    replays = data.draw(st.lists(st.integers(1, len(units)), max_size=4))

    async def arrive(folder: Path, numbers: Sequence[int], again: Sequence[int]) -> object:
        (folder / "record.key").write_bytes(b"k" * 32)
        async with desk(folder) as node:
            feed = Feed.BHYT_XML if supersede is Supersede.UNIT else Feed.FHIR
            for n in numbers:
                await node.post(units[n], feed=feed)
            for pk in again:
                await node.ingest.ingest(pk)
            return await content(node, received=False)

    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        first = asyncio.run(arrive(Path(one), range(len(units)), ()))
        assert asyncio.run(arrive(Path(two), order, replays)) == first
