"""Gateway CPU per query for N hospitals: a real gateway process, hospitals replayed, one client asking in a row.

The registry and the locator are filled through the gateway's own enrolment and sync code, so a query walks its whole way:
access token, grant, locator, plan, delegations, scatter, checks, merge, ledger, answer.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from benchmarks import hospital
from benchmarks.replay import ref_of
from compose.demo.launch import RunningCity, free_port, launch, wait_for
from gateway.access.callers import Role
from gateway.city.credentials import Authentic
from gateway.city.enrolment import enrol, invite
from gateway.city.registry import register_facility
from gateway.city.sync import take_in
from gateway.identity.key_ring import LiveKeys, load_keys
from gateway.keys import load_signing_key
from gateway.settings import Settings, load_settings
from gateway.store.engine import Store, open_store
from gateway.store.tables import FACILITY, NODE
from schema.elements import Feed, Gender
from schema.identity import IdentifierKind, canonical
from schema.messages import (
    CONTRACT_VERSION,
    EnrolmentRequest,
    FacilityReport,
    FeedState,
    PublicKey,
    SyncPatient,
    SyncRequest,
)

WARM_UP = 30
WINDOWS = 20  # the quietest one counts: other programs on the machine only ever add


def cpu_seconds(pid: int) -> float:
    """CPU of a process so far, all its living threads, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(t.read_text().split()[0]) for t in threads) / 1e9


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6


@contextmanager
def replaying(folder: Path, recorded: bytes) -> Iterator[str]:
    """A process that answers as every hospital; its base URL."""
    file = folder / "recorded.json"
    file.write_bytes(recorded)
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.replay", str(port), str(file)])
    try:
        wait_for("the replayed hospitals", lambda: _answers(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        return httpx.post(f"http://127.0.0.1:{port}/10000/graphql", content=b"{}").status_code == 200
    except httpx.HTTPError:
        return False


def measure(folder: Path, base: str, hospitals: int, queries: int, concurrent: int = 1) -> dict[str, float]:
    """CPU milliseconds per query of the gateway process, the answer's bytes, and its memory."""
    with launch(folder, [], gateway_options={"locator_fresh_seconds": 86_400.0}) as city:
        asyncio.run(fill(city, base, hospitals))
        patient = canonical(IdentifierKind.CCCD, hospital.CCCD)
        grant = city.give_grant(patient, granteeFacility="01006")
        token = city.token(Role.PRACTITIONER, "doctor", facility="01006")
        body = {
            "query": hospital.QUERY % 100,
            "variables": {
                "by": {"kind": "CCCD", "value": hospital.CCCD},
                "access": {"purpose": "TREAT", "basis": "GRANT", "evidence": grant},
            },
        }
        return asyncio.run(drive(city.gateway.url, city.gateway.pid, token, body, queries, concurrent, hospitals))


async def drive(
    url: str, pid: int, token: str, body: dict[str, object], queries: int, concurrent: int, hospitals: int
) -> dict[str, float]:
    """Ask `queries` times, `concurrent` at once; every answer must be whole."""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:

        async def ask() -> httpx.Response:
            answer = await client.post(f"{url}/graphql", json=body)
            return answer

        first = (await ask()).json()
        coverage = first["data"]["patient"]["coverage"]
        assert coverage["completeness"] == "COMPLETE", coverage
        assert sum(f["outcome"] == "ANSWERED" for f in coverage["facilities"]) == hospitals, coverage
        for _ in range(WARM_UP):
            answer = await ask()
        spent, wall, each = math.inf, math.inf, queries // WINDOWS
        for _ in range(WINDOWS):
            before, began = cpu_seconds(pid), time.perf_counter()
            for _ in range(each // concurrent):
                await asyncio.gather(*(ask() for _ in range(concurrent)))
            spent = min(spent, (cpu_seconds(pid) - before) / each)
            wall = min(wall, (time.perf_counter() - began) / each)
        return {
            "cpu_ms": spent * 1000,
            "wall_ms": wall * 1000,
            "bytes": len(answer.content),
            "memory_mb": memory_mb(pid),
        }


async def fill(city: RunningCity, base: str, hospitals: int) -> None:
    """Enrol the hospitals and let each tell its one patient, through the gateway's own code."""
    settings = load_settings(city.gateway.folder / "gateway.toml", {})
    store = open_store(settings)
    keys = load_keys(settings)
    public = PublicKey.of(load_signing_key(settings.signing_key_file, True).public_key())
    now = datetime.now(UTC)
    try:
        for number in range(hospitals):
            code = str(10_000 + number)
            await _join(store, settings, keys, public, code, f"{base}/{code}", now)
    finally:
        await store.close()
    await asyncio.sleep(settings.registry_fresh_seconds + 0.5)


async def _join(
    store: Store, settings: Settings, keys: LiveKeys, public: PublicKey, code: str, url: str, now: datetime
) -> None:
    await register_facility(store, code, f"Bệnh viện số {code}", now)
    own = PublicKey.of(Ed25519PrivateKey.generate().public_key())
    invitation = await invite(store, [code], now, 1)
    request = EnrolmentRequest(invitation, own, url, {code: [Feed.BHYT_XML.value]}, CONTRACT_VERSION)
    node = await enrol(store, request, public, now)
    async with store.reading() as connection:
        pk = (await connection.execute(select(NODE.c.pk).where(NODE.c.id == node.node_id))).scalar_one()
        facility = (await connection.execute(select(FACILITY.c.pk).where(FACILITY.c.code == code))).scalar_one()
    numbers = [("CCCD", hospital.CCCD), ("BHXH", "0112345678")]  # a second number: every query makes its second read
    patient = SyncPatient(ref_of(code.encode()).decode(), code, numbers, "1985-03-12", Gender.MALE, False)
    report = FacilityReport(code, [FeedState(Feed.BHYT_XML.value, 86_400, now.isoformat(timespec="seconds"))], False)
    message = SyncRequest(node.node_id, 0, 1, 1, 0, CONTRACT_VERSION, [report], [patient])
    await take_in(store, keys, Authentic(pk, node.node_id, {code: facility}), message, settings.identifier_kinds, now)
