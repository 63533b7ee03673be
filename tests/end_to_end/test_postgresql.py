"""Two of the city's hospitals again, on PostgreSQL: through a real gateway they answer as they do on SQLite."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from compose.demo.data import build_city
from compose.demo.launch import NodeSpec, launch
from node_agent.settings import load_settings
from schema.clinical import CONNECTION_FIELDS
from tests.end_to_end.conftest import SYSTEMS, TestCity, ledger, rows
from tests.forked import FORKED
from tests.postgres import fresh_database

HOSPITALS = ("01003", "01006")  # one sends the insurer's XML, one FHIR
# What differs from one run to the next: clocks, and the gateway's own pairwise ids of patients.
MASKED = frozenset({"tookMs", "asOf", "feedLagSeconds", "receivedAt"})
WIDE = " ".join(f"f{i}: {name}" for i, name in enumerate(["reason", "days", "class", "id", "treatment"] * 40))
LISTS = " ".join(
    f'{field}_{code}: {field}(first: 100, filter: {{facility: "{code}"}}) {{ edges {{ sortKey facility {{ code }} node {{ id }} }} }}'
    for field in CONNECTION_FIELDS.values()
    for code in HOSPITALS
)
EVERYTHING = f"""query Everything($by: PatientBy!, $access: AccessInput!) {{ patient(by: $by, access: $access) {{
    coverage {{ completeness facilities {{ facility {{ code }} outcome reason records kinds {{ kind outcome records }} }} }}
    patient {{ {LISTS} wide: encounters(first: 100) {{ edges {{ facility {{ code }} node {{ {WIDE} }} }} }} }} }} }}"""


def canonical(answer: dict[str, Any]) -> str:
    """RFC 8785 of what these hospitals are in an answer that holds no floats: ledger lines and edges, clocks masked."""

    def masked(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                k: "*" if k in MASKED and v is not None else masked(v) for k, v in value.items() if k != "completeness"
            }
        return [masked(v) for v in value if theirs(v)] if isinstance(value, list) else value

    def theirs(item: Any) -> bool:
        return not isinstance(item, dict) or "facility" not in item or item["facility"]["code"] in HOSPITALS

    return json.dumps(masked(answer["data"]), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.fixture(scope="module")
def on_postgresql(city: TestCity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCity]:
    """The same files and the same keys of record ids; store and inbox of each node in a database of its own."""
    made = build_city(people=80)
    folder = tmp_path_factory.mktemp("postgresql")
    specs = []
    for f in (f for f in made.facilities if f.code in HOSPITALS):
        data = folder / "nodes" / f.code / "data"
        data.mkdir(parents=True, mode=0o700)
        shutil.copy2(city.running.nodes[f.code].folder / "data" / "record.key", data / "record.key")
        url = fresh_database()
        files = {x.name: x.data for x in made.files if x.facility == f.code}
        options = {"database_url": url, "inbox_url": url}
        specs.append(NodeSpec(f.code, f.name, f.feed, files, SYSTEMS if f.feed == "fhir" else {}, options=options))
    options = {"node_deadline_seconds": 5.0, "request_deadline_seconds": 6.0}
    with launch(folder, specs, gateway_options=options, programs=FORKED) as running:
        running.settle()
        assert not list(folder.glob("nodes/*/data/*.db"))
        yield TestCity(running, made.truth, {})  # type: ignore[arg-type]


def in_time(place: TestCity, number: str) -> dict[str, Any]:
    """The answer once no hospital is too slow for the deadline, which is short and no matter here."""
    for _ in range(30):
        answer = place.ask(number, EVERYTHING)
        if "TIMED_OUT" not in {outcome for outcome, _ in ledger(answer).values()}:
            return answer
        time.sleep(0.3)
    raise AssertionError("a hospital is too slow for the deadline again and again")


def test_every_answer_is_what_the_city_on_sqlite_says_of_these_hospitals(
    city: TestCity, on_postgresql: TestCity
) -> None:
    numbers = [str(p["identifiers"]["cccd"]) for p in city.truth["people"] if p["identifiers"].get("cccd")]
    compared = 0
    for number in [city.showcase, *numbers[:20]]:
        one, two = (in_time(place, number) for place in (city, on_postgresql))
        if two["data"]["patient"]["patient"] is None:  # seen at neither
            assert not set(HOSPITALS) & set(ledger(one)) and '"sortKey"' not in canonical(one)
            continue
        if "WITHHELD" in {outcome for code, (outcome, _) in ledger(one).items() if code in HOSPITALS}:
            continue  # somebody of the other three says otherwise who this is
        assert canonical(one) == canonical(two)
        compared += canonical(two).count('"f199"')
    assert compared > 20


def test_a_node_is_killed_and_its_database_cuts_everybody_off_and_the_answer_is_whole_again(
    city: TestCity, on_postgresql: TestCity
) -> None:
    whole = rows(on_postgresql.ask(city.showcase))
    assert {row[0] for row in whole} == set(HOSPITALS)
    node = on_postgresql.running.nodes["01006"]
    assert node.popen is not None
    node.popen.kill()
    node.popen.wait()
    answer = on_postgresql.ask(city.showcase)
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
    assert ledger(answer)["01006"][0] == "UNREACHABLE"
    assert rows(answer) == [row for row in whole if row[0] != "01006"]
    node.start()
    cut_off(node.folder)
    limit = time.monotonic() + 30
    while rows(on_postgresql.ask(city.showcase)) != whole:
        assert time.monotonic() < limit
        time.sleep(0.2)


def test_an_inbox_replayed_beside_the_running_node_changes_no_answer(on_postgresql: TestCity) -> None:
    """The command is a second agent on the same databases."""
    before = canonical(in_time(on_postgresql, on_postgresql.showcase))
    node = on_postgresql.running.nodes["01006"]
    command = [str(Path(sys.executable).parent / "node-agent"), "inbox", "replay", "--all"]
    done = subprocess.run(command, env=dict(node.environment), capture_output=True, text=True, timeout=300, check=False)
    assert "STORED" in done.stdout, done.stderr
    assert canonical(in_time(on_postgresql, on_postgresql.showcase)) == before


def cut_off(folder: Path) -> None:
    """Ends every connection of this node at the server, as a restart of the database would."""

    async def work() -> None:
        engine = create_async_engine(load_settings(folder / "node.toml", {}).store_url)
        async with engine.connect() as connection:
            mine = "pid <> pg_backend_pid() AND datname = current_database()"
            cut = f"SELECT count(pg_terminate_backend(pid, 2000)) FROM pg_stat_activity WHERE {mine}"
            assert (await connection.execute(text(cut))).scalar_one() >= 1
        await engine.dispose()

    asyncio.run(work())
