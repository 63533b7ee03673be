"""The databases themselves: migrations equal the tables, ids are keyed and stable, a body becomes the rows it should."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from node_agent.errors import ContractViolation, KeyUnusable, StoreTooNew
from node_agent.records import ParsedRecord
from node_agent.store.engine import open_store
from node_agent.store.ids import Ids, load_ids
from node_agent.store.migrate import INBOX_TREE, STORE_TREE, Tree, prepare
from node_agent.store.rows import content_hash, document_key, flatten, search_code
from schema.elements import RecordKind
from tests.node_agent.databases import POSTGRESQL
from tests.node_agent.visits import desk, encounter, observation, settings_in

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]


def differences(connection: Connection, tree: Tree) -> Any:
    other = INBOX_TREE if tree is STORE_TREE else STORE_TREE  # may live in the same database
    others = {*other.metadata.tables, other.version_table}
    options = {
        "version_table": tree.version_table,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "table" or name not in others,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), tree.metadata)


async def test_migrations_make_exactly_the_tables_and_indexes(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        for engine, tree in ((node.store.engine, STORE_TREE), (node.store.inbox_engine, INBOX_TREE)):
            async with engine.connect() as connection:
                assert await connection.run_sync(differences, tree) == []


async def test_a_column_too_many_would_be_noticed(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        async with node.store.writing() as connection:
            await connection.execute(text("ALTER TABLE patient ADD COLUMN colour TEXT"))
            await connection.execute(text("DROP INDEX record_by_time"))
        async with node.store.engine.connect() as connection:
            found = str(await connection.run_sync(differences, STORE_TREE))
        assert "colour" in found
        assert "record_by_time" in found


async def test_preparing_twice_changes_nothing_but_names_and_rhythms(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        facility = [{"code": "01001", "name": "Tên mới"}, {"code": "01002", "name": "Thêm"}]
        await prepare(
            node.store, settings_in(tmp_path, facilities=facility, feeds=[{"feed": "fhir", "rhythm_seconds": 60}])
        )
        assert [(f["code"], f["name"]) for f in await node.rows("facility")] == [
            ("01001", "Tên mới"),
            ("01002", "Thêm"),
        ]
        feeds = {(f["facility"], f["feed"]): f["rhythm_seconds"] for f in await node.rows("feed")}
        assert feeds == {("01001", "BHYT_XML"): 86_400, ("01001", "FHIR"): 60, ("01002", "FHIR"): 60}


async def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        async with node.store.writing() as connection:
            await connection.execute(text("UPDATE alembic_store SET version_num = 'store_9999'"))
        with pytest.raises(StoreTooNew):
            await prepare(node.store, node.settings)


async def test_the_inbox_is_written_through_and_the_store_is_not(tmp_path: Path, database: str) -> None:
    async with desk(tmp_path) as node:
        if database == POSTGRESQL:
            async with node.store.writing_inbox() as connection:
                assert (await connection.execute(text("SHOW synchronous_commit"))).scalar() == "on"
            return
        for engine, synchronous in ((node.store.inbox_engine, 2), (node.store.engine, 1)):
            async with engine.connect() as connection:
                values = [(await connection.execute(text(f"PRAGMA {p}"))).scalar() for p in PRAGMAS]
            assert values == ["wal", synchronous, 1]


PRAGMAS = ("journal_mode", "synchronous", "foreign_keys")


async def test_a_writer_waits_for_the_writer_before_it(tmp_path: Path) -> None:
    """Both read then write: without the lock from the start, the second would fail as a stale snapshot."""
    async with desk(tmp_path) as node:
        second_may_start = asyncio.Event()

        async def first() -> None:
            async with node.store.writing() as connection:
                await connection.execute(text("SELECT count(*) FROM facility"))
                second_may_start.set()
                await asyncio.sleep(0.1)
                await connection.execute(text("UPDATE facility SET name = name || '1'"))

        async def second() -> None:
            await second_may_start.wait()
            async with node.store.writing() as connection:
                await connection.execute(text("SELECT count(*) FROM facility"))
                await connection.execute(text("UPDATE facility SET name = name || '2'"))

        await asyncio.gather(first(), second())
        assert [f["name"] for f in await node.rows("facility")] == ["Bệnh viện Thử nghiệm12"]


def test_the_record_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path / "data"))
    key = tmp_path / "data" / "record.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert open_store(settings_in(tmp_path / "data")).ids == store.ids


def test_a_damaged_record_key_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "record.key").write_bytes(b"short")
    with pytest.raises(KeyUnusable):
        load_ids(tmp_path / "record.key")
    assert (tmp_path / "record.key").read_bytes() == b"short"


def test_ids_are_keyed_and_their_parts_cannot_run_together() -> None:
    ids, other = Ids(b"1" * 32), Ids(b"2" * 32)
    id_ = ids.record("01001", RecordKind.OBSERVATION, "LK1/XML4/1")
    assert len(id_) == 26
    assert id_ == ids.record("01001", RecordKind.OBSERVATION, "LK1/XML4/1")
    assert id_ != other.record("01001", RecordKind.OBSERVATION, "LK1/XML4/1")
    assert ids.ref("0100", "1a") != ids.ref("01001", "a")
    assert ids.ref("01001", "a") != ids.record("01001", RecordKind.ENCOUNTER, "a")
    assert "111" not in repr(ids)


def test_an_embedded_object_becomes_columns_and_a_list_becomes_rows() -> None:
    rows = flatten(observation("o", quantity={"value": "5.6", "unit": "mmol/L"}))
    assert rows.table == "observation"
    assert rows.detail["value"] == "5.6"
    assert rows.detail["code_code"] == "2345-7"
    assert rows.detail["note"] is None
    visit = flatten(encounter("e", reasons=[{"code": "A09"}, {"code": "B20.1*", "system": "x"}]))
    reasons = [row for table, row in visit.children if table == "code"]
    assert [(r["role"], r["ord"], r["code"], r["system"]) for r in reasons] == [
        ("reasons", 0, "A09", None),
        ("reasons", 1, "B20.1*", "x"),
    ]
    assert visit.codes == ("A09", "B201")


def test_a_list_of_words_is_kept_as_json_and_a_truth_as_a_truth() -> None:
    allergy = {"statedNone": False, "code": {"display": "Penicillin"}, "categories": ["medication", "thuốc"]}
    rows = flatten(ParsedRecord(RecordKind.ALLERGY_INTOLERANCE, "a", "AllergyIntolerance", allergy))
    assert rows.detail["categories"] == '["medication","thuốc"]'
    assert rows.detail["stated_none"] is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"class": None}, "class"),
        ({"class": "PICNIC"}, "class"),
        ({"days": "3"}, "days"),
        ({"days": True}, "days"),
        ({"weightKg": 61.5}, "weightKg"),
        ({"weightKg": "61,5"}, "weightKg"),
        ({"admittedAt": "2024-13"}, "admittedAt"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reasons": {}}, "reasons"),
        ({"reasons": ["A09"]}, "reasons[0]."),
        ({"reasons": [{"code": "A09", "shade": 1}]}, "reasons[0].shade"),
        ({"period": "2024"}, "period."),
        ({"outcome": {"kode": "1"}}, "outcome.kode"),
        ({"diagnoses": []}, "diagnoses"),
        ({"advice": "\ud800"}, "*"),
    ],
)
def test_a_body_that_breaks_the_contract_is_refused_by_field_without_its_value(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(ContractViolation) as error:
        flatten(encounter("e", **change))
    assert (error.value.table, error.value.field) == ("XML1", field)
    assert "61,5" not in str(error.value)


def test_a_code_that_must_be_there_is_missed() -> None:
    record = observation("o")
    with pytest.raises(ContractViolation) as error:
        flatten(replace(record, body={k: v for k, v in record.body.items() if k != "code"}))
    assert error.value.field == "code"


def test_the_content_hash_forgets_order_nulls_and_empty_lists_and_nothing_else() -> None:
    one = observation("o", components=[], note=None)
    two = ParsedRecord(RecordKind.OBSERVATION, "p", "Observation", dict(reversed(list(observation("o").body.items()))))
    assert content_hash(one) == content_hash(two)
    assert content_hash(one) != content_hash(observation("o", "5.60"))
    assert content_hash(one) != content_hash(replace(one, kind=RecordKind.PROCEDURE))


def test_copies_of_a_numbered_document_have_one_key() -> None:
    letter = ParsedRecord(RecordKind.REFERRAL, "a", "XML13", {}, number=("01001", "GCT-5"))
    assert document_key(letter) == document_key(replace(letter, source_key="b", body={"note": "x"}))
    assert document_key(letter) != document_key(replace(letter, number=("01002", "GCT-5")))
    assert document_key(letter) != document_key(replace(letter, kind=RecordKind.APPOINTMENT))
    assert document_key(replace(letter, number=None)) is None


@pytest.mark.parametrize(
    ("sent", "found"), [("E11.9", "E119"), ("a17.0†", "A170"), ("M01.1*", "M011"), ("2345-7", "2345-7")]
)
def test_search_codes_are_without_dots_and_daggers(sent: str, found: str) -> None:
    assert search_code(sent) == found


async def test_the_databases_are_for_their_owner_only(tmp_path: Path, database: str) -> None:
    async with desk(tmp_path):
        modes = modes_of(tmp_path)
    if database == POSTGRESQL:
        assert not modes  # nothing clinical is beside the keys
        return
    assert {"store.db", "inbox.db"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes


def modes_of(folder: Path) -> dict[str, int]:
    return {f.name: stat.S_IMODE(f.stat().st_mode) for f in folder.glob("*.db*")}
