"""Node CPU per query: a real node agent over SQLite, one patient with 20 encounters, asked with real delegations."""

from __future__ import annotations

import math
import secrets
import sqlite3
import time
from pathlib import Path

import httpx
import msgspec

from benchmarks import hospital
from benchmarks.gateway import WINDOWS, cpu_seconds, memory_mb
from benchmarks.replay import FACILITY, REF
from compose.demo.launch import NodeSpec, RunningCity, launch
from gateway.graph import city_schema
from gateway.keys import load_signing_key
from gateway.subquery import compile_subquery
from node_agent.answer import bindings
from node_agent.compile import Compiler
from node_agent.dialect import SQLITE
from node_agent.graph import subgraph
from schema.delegation import RESTRICTED_ALL, Allowed, Subject, new_delegation, sign_delegation
from schema.execution import Executor

CODE = "01003"


def subquery_text() -> tuple[str, str]:
    """What the gateway asks a node for the bench's query, and the prefix of its own variables."""
    executor = Executor(city_schema())
    document = executor.document(hospital.QUERY % 100)
    operation = next(iter(document.operations.values()))
    _, scope = document.scope({})
    made = compile_subquery(scope, operation, tuple(operation.selection_set.selections))  # type: ignore[arg-type]
    return made.text, made.prefix


def measure(folder: Path, queries: int) -> tuple[dict[str, float], bytes]:
    """CPU milliseconds per query of the node process (threads included), and one recorded answer made neutral for replay."""
    spec = NodeSpec(CODE, "Bệnh viện đo", "bhyt_xml", hospital.files(CODE))
    with launch(folder, [spec]) as city:
        city.settle()
        node = city.nodes[CODE]
        ref, node_id = _ref(node.folder), _node_id(node.folder)
        text, prefix = subquery_text()
        variables = {
            f"{prefix}refs": [{"__typename": "Patient", "ref": ref}],
            f"{prefix}first0": 100,
            f"{prefix}after0": None,
        }
        body = msgspec.json.encode({"query": text, "variables": variables})
        key = load_signing_key(city.gateway.folder / "gateway.key", True)
        with httpx.Client() as client:
            headers = [_headers(city, key, node_id, ref, body) for _ in range(queries + 31)]
            answer = client.post(f"{node.url}/graphql", content=body, headers=headers.pop())
            assert answer.status_code == 200 and "errors" not in answer.json(), answer.text[:500]
            edges = answer.json()["data"]["_entities"][0]["c0"]["edges"]
            assert len(edges) == hospital.ENCOUNTERS
            assert all(len(e["n0"]["diagnoses"]) == 3 and len(e["n0"]["prescriptions"][0]["items"]) == 4 for e in edges)
            for _ in range(30):
                client.post(f"{node.url}/graphql", content=body, headers=headers.pop())
            spent, each = math.inf, queries // WINDOWS
            for window in range(WINDOWS):
                before = cpu_seconds(node.pid)
                for made in headers[window * each : (window + 1) * each]:
                    client.post(f"{node.url}/graphql", content=body, headers=made)
                spent = min(spent, (cpu_seconds(node.pid) - before) / each)
        statement = statement_ms(node.folder, text, variables, ref)
        recorded = answer.content.replace(ref.encode(), REF).replace(CODE.encode(), FACILITY)
        result = {
            "cpu_ms": spent * 1000,
            "statement_ms": statement,
            "bytes": len(answer.content),
            "memory_mb": memory_mb(node.pid),
        }
        return result, recorded


def statement_ms(folder: Path, text: str, variables: dict[str, object], ref: str) -> float:
    """CPU milliseconds of the one SQL statement alone, on the node's own file: what of the node's CPU is not Python."""
    document = Executor(subgraph()).document(text)
    operation = next(iter(document.operations.values()))
    _, scope = document.scope(variables)
    made = Compiler(SQLITE, scope).patient(tuple(operation.selection_set.selections))  # type: ignore[arg-type]
    bound = {**bindings(made, variables, Allowed(None, RESTRICTED_ALL, "", "~")), "ref": ref}
    values = [bound[name] for name in made.parameters]
    connection = sqlite3.connect(folder / "data" / "store.db", cached_statements=512)
    try:
        for _ in range(20):
            connection.execute(made.sql, values).fetchall()
        start = time.process_time()
        for _ in range(500):
            connection.execute(made.sql, values).fetchall()
        return (time.process_time() - start) / 500 * 1000
    finally:
        connection.close()


def _headers(city: RunningCity, key: object, node_id: str, ref: str, body: bytes) -> dict[str, str]:
    delegation = new_delegation(
        audience=node_id,
        body=body,
        now=time.time() + 2,  # within the leeway; the batch is used up within its life
        jti=secrets.token_urlsafe(16),
        purpose="TREAT",
        subjects=(Subject(ref, "GRANT", "bench"),),
        allowed=Allowed(None, RESTRICTED_ALL, "", "~"),
        contract="1.0",
    )
    token = sign_delegation(key, delegation)  # type: ignore[arg-type]
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _ref(folder: Path) -> str:
    connection = sqlite3.connect(folder / "data" / "store.db")
    try:
        (ref,) = connection.execute("SELECT ref FROM patient").fetchone()
    finally:
        connection.close()
    return str(ref)


def _node_id(folder: Path) -> str:
    return str(msgspec.json.decode((folder / "data" / "enrolment.json").read_bytes())["node_id"])
