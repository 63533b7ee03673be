"""One hospital's files in two databases: whatever is asked, both write the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from compose.demo.data import build_city
from node_agent.answer import Ledger
from node_agent.app import open_reader
from node_agent.feeds.table import feed_parsers
from node_agent.graph import NodeContext, subgraph
from node_agent.ingest import Ingest
from node_agent.settings import Settings
from node_agent.store.engine import open_store
from node_agent.store.migrate import prepare
from node_agent.store.reader import Reader
from schema.clinical import CONNECTION_FIELDS
from schema.delegation import Allowed, Subject, new_delegation
from schema.elements import Feed, RecordKind
from schema.execution import Executor, Request
from schema.over_http import GRAPHQL_RESPONSE, answer
from tests import plain
from tests.end_to_end.conftest import SYSTEMS
from tests.node_agent import databases
from tests.node_agent.crossed import EDGE, ask
from tests.node_agent.filled import NOW
from tests.node_agent.naive import EVERYTHING, NODE, representations


@dataclass
class Hospital:
    """A node's way out over one database."""

    reader: Reader
    runner: asyncio.Runner
    refs: list[str]

    def __post_init__(self) -> None:
        self.executor = Executor(subgraph())

    def body(self, query: str, ref: str, allowed: Allowed) -> bytes:
        request = Request(query, {"r": representations([ref])}, None)
        about = {"purpose": "TREAT", "subjects": (Subject(ref, "GRANT", "g"),), "allowed": allowed, "contract": "1.0"}
        delegation = new_delegation(audience="n", body=b"", now=0, jti="j" * 22, **about)  # type: ignore[arg-type]
        ledger = Ledger(self.reader, NOW.timestamp)
        context = NodeContext(delegation, request, self.executor.document(query), self.reader, ledger, 10)
        return answer(self.runner.run(self.executor.run(request, context)), GRAPHQL_RESPONSE).body


def opened(folder: Path) -> Hospital:
    """Two hospitals' files of the demo, read by the node's own feeds; the key of ids is the same in every folder."""
    city = build_city(people=80)
    feeds = {f.code: f.feed for f in city.facilities}
    settings = Settings(
        data_folder=folder,
        facilities=[{"code": f.code, "name": f.name} for f in city.facilities],  # type: ignore[arg-type]
        feeds=[{"feed": "bhyt_xml"}, {"feed": "fhir"}],  # type: ignore[arg-type]
        identifier_systems=SYSTEMS,  # type: ignore[arg-type]
        **databases.urls(folder),
    )
    (folder / "record.key").write_bytes(b"k" * 32)
    (folder / "record.key").chmod(0o600)

    async def work() -> tuple[Reader, list[str]]:
        store = open_store(settings)
        await prepare(store, settings)
        ingest = Ingest(store, settings, feed_parsers(settings), lambda: NOW)
        for file in city.files[::4]:
            await ingest.receive(Feed(feeds[file.facility].upper()), file.name, file.data)
        await store.close()
        reader = open_reader(store, settings)
        await reader.open()
        return reader, [str(row[0]) for row in await reader.fetch_all("SELECT ref FROM patient ORDER BY ref", (), 5)]

    runner = asyncio.Runner()
    return Hospital(*[(made := runner.run(work()))[0], runner, made[1]])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hospital, Hospital]]:
    made = []
    for name in (databases.SQLITE, databases.POSTGRESQL):
        databases.use(name)
        made.append(opened(tmp_path_factory.mktemp(name)))
    databases.use(databases.SQLITE)
    yield made[0], made[1]
    for hospital in made:
        hospital.runner.run(hospital.reader.close())
        hospital.runner.close()
    databases.drop(databases.made())


def test_every_field_of_every_patient_is_the_same_bytes(both: tuple[Hospital, Hospital]) -> None:
    fields = " ".join(
        f"{field}(first:200){{edges{{{EDGE} node{{{plain.full_selection(NODE, plain.type_of(kind), 2)}}}}} pageInfo{{hasNextPage}}}}"
        for kind, field in CONNECTION_FIELDS.items()
    )
    who = "ref name birthDate gender ledger{facility failedItems asOf lagging feedLagSeconds}"
    query = ask(f"{who} {fields} timeline(first:200){{edges{{{EDGE} node{{id kind facility{{name}}}}}}}}")
    sqlite, postgresql = both
    assert sqlite.refs == postgresql.refs and len(sqlite.refs) > 30
    seen = 0
    for ref in sqlite.refs:
        body = sqlite.body(query, ref, EVERYTHING)
        assert body == postgresql.body(query, ref, EVERYTHING)
        entity = msgspec.json.decode(body)["data"]["_entities"][0]
        seen += len(entity["timeline"]["edges"])
        assert entity["ref"] == ref
    assert seen > 500


def test_labels_and_periods_close_the_same_rows(both: tuple[Hospital, Hospital]) -> None:
    query = ask(
        f"timeline(first:200){{edges{{{EDGE}}}}} encounters{{edges{{node{{id observations{{id}} diagnoses{{code}}}}}}}}"
    )
    closed = 0
    for allowed in (Allowed(None, 2**31 - 1, "", "~"), Allowed(None, 0, "2025", "2026~")):
        for ref in both[0].refs:
            bodies = [hospital.body(query, ref, allowed) for hospital in both]
            assert bodies[0] == bodies[1]
            closed += bodies[0] != both[0].body(query, ref, EVERYTHING)
    assert closed > 5


def test_a_selection_of_two_hundred_aliased_fields_is_the_same_on_both(both: tuple[Hospital, Hospital]) -> None:
    names = ["reason", "treatment", "days", "notResent", "weightKg", "class", "id", "admittedAt"]
    fields = " ".join(f"f{i}: {names[i % len(names)]}" for i in range(200))
    query = ask(f"encounters(first:200){{edges{{node{{{fields}}}}}}}")
    for ref in both[0].refs:
        body, other = (hospital.body(query, ref, EVERYTHING) for hospital in both)
        assert body == other
        edges = msgspec.json.decode(body)["data"]["_entities"][0]["encounters"]["edges"]
        assert all(len(edge["node"]) == 200 for edge in edges)


@pytest.mark.parametrize("kind", RecordKind, ids=lambda k: k.value)
def test_pages_of_one_row_walk_the_same_way(both: tuple[Hospital, Hospital], kind: RecordKind) -> None:
    field = CONNECTION_FIELDS[kind]
    query = ask(f"{field}(first:1{{after}}){{edges{{sortKey facility id}} pageInfo{{hasNextPage}}}}")
    for ref in both[0].refs[:6]:
        after = ""
        for _ in range(5):
            body, other = (h.body(query.replace("{after}", after), ref, EVERYTHING) for h in both)
            assert body == other
            edges = msgspec.json.decode(body)["data"]["_entities"][0][field]["edges"]
            if not edges:
                break
            after = ',after:"{sortKey}|{facility}|{id}"'.format(**edges[0])
