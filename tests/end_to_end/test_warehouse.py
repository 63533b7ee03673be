"""A warehouse beside hospitals, over real processes: its copies lose to the source, stand in for a dead one, and say so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity
from gateway.access.callers import Role
from tests.end_to_end.conftest import HISTORY
from tests.end_to_end.databases import BOTH, launched
from tests.end_to_end.test_completeness import PATIENT, ask, line, spec

pytestmark = BOTH

OWN, OTHER, ALONE = "01003", "01006", "01929"
OLD = hospital.visit(OWN, 500, datetime(2011, 5, 4, 9, 0))  # its own node no longer has this one
N = hospital.ENCOUNTERS
QUERY = HISTORY.replace("outcome reason records failedItems", "outcome reason asOf advice records failedItems")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[RunningCity]:
    copies = {f"{code}-{n}": x for code in (OWN, ALONE) for n, x in hospital.files(code).items()}
    warehouse = NodeSpec(
        OWN,
        "Bệnh viện 01003",
        "bhyt_xml",
        {**copies, "old": OLD},
        also={ALONE: "Bệnh viện Bạch Mai"},
        label="warehouse",
        role="warehouse",
    )
    options = {"breaker_failures": 1000}
    specs = [spec(OWN), spec(OTHER), warehouse]
    with launched(database, tmp_path_factory.mktemp("warehouse"), specs, gateway_options=options) as running:
        running.settle()
        yield running


def seen(part: dict[str, Any]) -> Counter[str]:
    return Counter(e["facility"]["code"] for e in part["patient"]["encounters"]["edges"])


def lines(part: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {f["facility"]["code"]: (f["outcome"], f["reason"]) for f in part["coverage"]["facilities"]}


def test_the_source_s_rows_are_seen_once_and_what_only_the_warehouse_has_beside_them(town: RunningCity) -> None:
    part = ask(town)
    assert seen(part) == {OWN: N + 1, OTHER: N, ALONE: N}
    times = Counter((e["facility"]["code"], e["sortKey"].split("|")[0]) for e in part["patient"]["encounters"]["edges"])
    assert set(times.values()) == {1}
    assert lines(part) == {
        OWN: ("ANSWERED", None),
        OTHER: ("ANSWERED", None),
        ALONE: ("ANSWERED", "WAREHOUSE_ONLY"),
    }
    # One facility has no node of its own: its newest records are not known to be in the copies.
    assert part["coverage"]["completeness"] == "UNCERTAIN"
    assert (part["coverage"]["registered"], part["coverage"]["connected"], part["coverage"]["located"]) == (3, 2, 3)
    counts = {k["kind"]: k["records"] for k in line(part, OWN)["kinds"]}
    assert counts["ENCOUNTER"] == N


@pytest.mark.parametrize("size", [3, 7])
def test_pages_show_no_copy_beside_its_original_and_lose_nothing(town: RunningCity, size: int) -> None:
    query = HISTORY.replace("encounters(first: $first)", "encounters(first: $first, after: $after)")
    query = query.replace("$first: Int = 100", f"$first: Int = {size}, $after: String").replace(
        "edges { sortKey", "pageInfo { hasNextPage endCursor } edges { sortKey"
    )
    token = town.token(Role.CITIZEN, "citizen", identity=PATIENT)
    by = {"kind": "CCCD", "value": hospital.CCCD}
    variables: dict[str, Any] = {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}}
    found: list[tuple[str, str]] = []
    for _ in range(60):
        page = town.ask(token, query, variables)["data"]["patient"]["patient"]["encounters"]
        found += [(e["facility"]["code"], e["sortKey"].split("|")[0]) for e in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = page["pageInfo"]["endCursor"]
    assert len(found) == len(set(found)) == 3 * N + 1


def test_when_the_hospital_is_killed_its_copies_stand_in_and_the_line_says_so(town: RunningCity) -> None:
    node = town.nodes[OWN]
    node.stop(signal.SIGKILL)
    try:
        token = town.token(Role.CITIZEN, "citizen", identity=PATIENT)
        by = {"kind": "CCCD", "value": hospital.CCCD}
        variables = {"by": by, "access": {"purpose": "PATRQT", "basis": "SELF"}}
        part = town.ask(token, QUERY, variables)["data"]["patient"]
        assert seen(part) == {OWN: N + 1, OTHER: N, ALONE: N}
        assert lines(part)[OWN] == ("UNREACHABLE", "WAREHOUSE_COPY")
        assert part["coverage"]["completeness"] == "INCOMPLETE"
        mine = line(part, OWN)
        assert mine["asOf"] and "bản sao" in mine["advice"]
        counts = {k["kind"]: (k["outcome"], k["records"]) for k in mine["kinds"]}
        assert counts["ENCOUNTER"] == ("UNREACHABLE", N + 1)
        assert part["patient"]["allergyStatus"] == "UNKNOWN"
    finally:
        node.start()
    assert lines(ask(town))[OWN] == ("ANSWERED", None)


def test_when_the_warehouse_is_killed_hospitals_answer_as_ever_and_what_it_alone_had_is_missed(
    town: RunningCity,
) -> None:
    node = town.nodes["warehouse"]
    node.stop(signal.SIGKILL)
    try:
        part = ask(town)
        assert seen(part) == {OWN: N, OTHER: N}
        assert lines(part) == {
            OWN: ("ANSWERED", "WAREHOUSE_MISSING"),
            OTHER: ("ANSWERED", None),
            ALONE: ("UNREACHABLE", "WAREHOUSE_ONLY"),
        }
        assert part["coverage"]["completeness"] == "INCOMPLETE"
    finally:
        node.start()


@pytest.mark.parametrize(("role", "code"), [("warehouse", "source"), ("source", "warehouse")])
def test_a_code_for_one_role_takes_in_no_node_of_the_other(
    town: RunningCity, tmp_path: Path, role: str, code: str
) -> None:
    programs = Path(sys.executable).parent
    invite = [str(programs / "city-gateway"), "nodes", "invite", "--facility", OWN, "--role", code]
    made = subprocess.run(invite, capture_output=True, text=True, env=dict(town.gateway.environment), check=True)
    node = {
        **os.environ,
        "NODE_AGENT_DATA_FOLDER": str(tmp_path / "node"),
        "NODE_AGENT_FACILITIES": f'[{{"code": "{OWN}", "name": "x"}}]',
        "NODE_AGENT_ROLE": role,
    }
    enrol = [str(programs / "node-agent"), "enrol", "--gateway", town.gateway.url, "--code", made.stdout.strip()]
    done = subprocess.run(
        [*enrol, "--url", "http://127.0.0.1:9"], capture_output=True, text=True, env=node, check=False
    )
    assert done.returncode and "ENROLMENT_ROLE" in done.stderr
    assert lines(ask(town))[OWN] == ("ANSWERED", None)
