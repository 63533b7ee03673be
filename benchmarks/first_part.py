"""How soon the first hospital's part is there while another takes three seconds, beside what that first hospital takes.

Two real nodes over SQLite answer at once, a third behind a proxy holds its answer back. Wall times, so the quieter the
machine the truer; compared are medians of runs that alternate. Run as `python -m benchmarks.first_part [RUNS]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks import hospital
from compose.demo.launch import NodeSpec, RunningCity, launch
from gateway.access.callers import Role
from schema.identity import IdentifierKind, canonical
from tests.fault_proxy import FaultProxy

SLOW_SECONDS = 3.0
ROWS = "sortKey facility { code } node { id kind ... on Encounter { class diagnoses { code display } } }"
LISTEN = f"""subscription($by: PatientBy!, $access: AccessInput!) {{ history(by: $by, access: $access, first: 100) {{
  ... on HistoryPart {{ facility {{ code }} coverage {{ outcome records tookMs }} edges {{ {ROWS} }} }}
  ... on HistoryClosed {{ coverage {{ completeness }} }} }} }}"""
QUERY = f"""query($by: PatientBy!, $access: AccessInput!, $where: TimelineFilter) {{ patient(by: $by, access: $access) {{
  coverage {{ completeness }} patient {{ timeline(first: 100, filter: $where) {{ edges {{ {ROWS} }} }} }} }} }}"""
FAST = ("01001", "01002")


async def first_part(socket: ClientConnection, number: int, variables: dict[str, object]) -> tuple[float, float]:
    """Milliseconds until the first part, and of these what its node took. The stream is then ended."""
    began = time.perf_counter()
    message = {"id": str(number), "type": "subscribe", "payload": {"query": LISTEN, "variables": variables}}
    await socket.send(msgspec.json.encode(message).decode())
    while True:
        heard = msgspec.json.decode(await socket.recv())
        if heard.get("id") == str(number):
            break
    took = (time.perf_counter() - began) * 1000
    part = heard["payload"]["data"]["history"]
    assert part["facility"]["code"] in FAST and part["edges"], heard
    await socket.send(msgspec.json.encode({"id": str(number), "type": "complete"}).decode())
    return took, float(part["coverage"]["tookMs"])


async def drive(city: RunningCity, grant: str, runs: int) -> dict[str, float]:
    """Medians in milliseconds."""
    token = city.token(Role.PRACTITIONER, "doctor", facility="01006")
    access = {"purpose": "TREAT", "basis": "GRANT", "evidence": grant}
    variables: dict[str, object] = {"by": {"kind": "CCCD", "value": hospital.CCCD}, "access": access}
    url, bearer = city.gateway.url, f"Bearer {token}"
    parts, inner, alone = [], [], []
    async with (
        httpx.AsyncClient(trust_env=False, headers={"authorization": bearer}, timeout=30) as client,
        connect(f"ws{url[4:]}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket,
    ):
        await socket.send(
            msgspec.json.encode({"type": "connection_init", "payload": {"authorization": bearer}}).decode()
        )
        await socket.recv()
        for number in range(runs + 5):
            took, node = await first_part(socket, number, variables)
            body = {"query": QUERY, "variables": {**variables, "where": {"facility": FAST[number % 2]}}}
            began = time.perf_counter()
            answer = await client.post(f"{url}/graphql", json=body)
            one = (time.perf_counter() - began) * 1000
            assert len(answer.json()["data"]["patient"]["patient"]["timeline"]["edges"]) > 0
            if number >= 5:
                parts.append(took)
                inner.append(node)
                alone.append(one)
    return {"first_part_ms": median(parts), "node_ms": median(inner), "alone_ms": median(alone)}


def measure(folder: Path, runs: int) -> dict[str, float]:
    """first_part_ms: from asking to the first part; alone_ms: a query to one fast hospital only; node_ms: that node's answer
    as the gateway saw it."""
    proxy = FaultProxy()
    proxy.delay = SLOW_SECONDS
    specs = [NodeSpec(c, f"Bệnh viện {c}", "bhyt_xml", hospital.files(c)) for c in FAST]
    slow = NodeSpec("01003", "Bệnh viện 01003", "bhyt_xml", hospital.files("01003"), advertised=proxy.advertise)
    with launch(folder, [*specs, slow]) as city:
        city.settle()
        grant = city.give_grant(canonical(IdentifierKind.CCCD, hospital.CCCD), granteeFacility="01006")
        result = asyncio.run(drive(city, grant, runs))
    proxy.close()
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        print(measure(Path(place) / "city", int(sys.argv[1]) if len(sys.argv) > 1 else 100))
