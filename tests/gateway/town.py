"""A gateway in this process over its real store, with nodes of any age behind its transport: one citizen asks page by page.

Enrolment, sync, locator, plan, calls, scatter, walk and ledger are the gateway's own; a node is the naive oracle.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.access.callers import Caller, Role
from gateway.access.grants import GrantStore
from gateway.app import locator_of
from gateway.city.credentials import Authentic
from gateway.city.enrolment import enrol, invite
from gateway.city.registry import Registry, register_facility
from gateway.city.sync import take_in
from gateway.history import History, Question
from gateway.identity.city_key import create_city_key
from gateway.identity.key_ring import KeyRing
from gateway.identity.locator import People
from gateway.identity.rotation import settle_keys
from gateway.prepare import prepared_of
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.migrate import prepare
from gateway.store.tables import FACILITY, NODE
from gateway.transport import Fault, TransportError
from schema.access import AccessInput, Basis, PatientBy, Purpose
from schema.elements import Gender
from schema.identity import Identifier, IdentifierKind
from schema.messages import (
    EnrolmentRequest,
    FacilityReport,
    FeedState,
    NodeRole,
    PublicKey,
    SyncPatient,
    SyncRequest,
)
from tests.gateway.ages import SDL, Aged
from tests.gateway.asking import compiled, node_patient
from tests.plain import Json

CCCD = "001190054321"
HER = Identifier(IdentifierKind.CCCD, CCCD)
CALLER = Caller(Role.CITIZEN, "citizen", "urn:test", "app", identity=HER)
SELF = AccessInput(purpose=Purpose.PATRQT, basis=Basis.SELF, evidence=None)


@dataclass
class Hospital:
    """An agent: rows by ref, and whether it takes calls. patients: ref -> (facility, rows)."""

    id: str
    aged: Aged
    role: NodeRole
    patients: dict[str, tuple[str, list[Json]]]
    fault: Fault | None = None
    status: int | None = None
    calls: list[Json] = field(default_factory=list)

    def reply(self, body: bytes) -> bytes:
        self.calls.append(json.loads(body))
        if self.fault is not None:
            raise TransportError(self.fault, self.status)
        found = {ref: {**node_patient(code, rows), "ref": ref} for ref, (code, rows) in self.patients.items()}
        for ref, patient in found.items():
            _subjects(patient, ref)
        return self.aged.reply(body, found)


def _subjects(patient: Json, ref: str) -> None:
    """node_patient names a ref of its own in its edges; here a facility may be at several nodes."""
    for name, page in list(patient.items()):
        if callable(page):
            patient[name] = lambda page=page, **given: _renamed(page(**given), ref)


def _renamed(page: Json, ref: str) -> Json:
    return {**page, "edges": [{**edge, "subject": ref} for edge in page["edges"]]}


class Wire:
    """The transport: to whoever lives at the URL."""

    def __init__(self) -> None:
        self.at: dict[str, Hospital] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, cap: int) -> bytes:
        """See Transport."""
        return self.at[url.removesuffix("/graphql")].reply(body)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Town:
    """The gateway and its nodes. Facilities are registered when a node first comes with them."""

    store: Store
    history: History
    wire: Wire
    settings: Settings

    async def node(
        self,
        patients: dict[str, tuple[str, list[Json]]],
        sdl: str = SDL,
        role: NodeRole = NodeRole.SOURCE,
        sync: bool = True,
    ) -> Hospital:
        """Enrols an agent with these patients, all of them the one person, and lets it sync."""
        now = datetime.now(UTC)
        codes = sorted({code for code, _ in patients.values()})
        for code in codes:
            await register_facility(self.store, code, f"Bệnh viện {code}", now)
        number = len(self.wire.at)
        url = f"https://node-{number}.example"
        code = await invite(self.store, codes, now, 7, role)
        key = PublicKey.of(Ed25519PrivateKey.generate().public_key())
        aged = Aged.of(sdl)
        request = EnrolmentRequest(
            code, key, url, {c: ["FHIR"] for c in codes}, "1.0", aged.contract.digest, None, role, sdl
        )
        reply = await enrol(self.store, request, key, now)
        self.history.registry.forget()
        made = self.wire.at[url] = Hospital(reply.node_id, aged, role, patients)
        if sync:
            await self.sync(made)
        return made

    async def sync(self, node: Hospital) -> None:
        """The node tells all it has, once more."""
        now = datetime.now(UTC)
        async with self.store.reading() as connection:
            row = (await connection.execute(select(NODE.c.pk).where(NODE.c.id == node.id))).one()
            pks = {f.code: f.pk for f in await connection.execute(select(FACILITY.c.code, FACILITY.c.pk))}
        codes = sorted({code for code, _ in node.patients.values()})
        heard = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        told = [
            SyncPatient(ref, code, [("CCCD", CCCD)], "1990-05-01", Gender.FEMALE, False)
            for ref, (code, _) in node.patients.items()
        ]
        reports = [FacilityReport(c, [FeedState("FHIR", 86_400, heard)], False) for c in codes]
        message = SyncRequest(node.id, 0, len(told), len(told), 0, "1.0", reports, told)
        who = Authentic(row.pk, node.id, {c: pks[c] for c in codes}, node.role)
        taken = await take_in(self.store, self.history.keys.live(), who, message, self.settings.identifier_kinds, now)
        assert taken.applied
        self.history.registry.forget()

    async def speaks(self, node: Hospital, sdl: str) -> None:
        """The agent was replaced by one of another release."""
        node.aged = Aged.of(sdl)
        from gateway.store.schemas import note_contract

        async with self.store.writing() as connection:
            pk = (await connection.execute(select(NODE.c.pk).where(NODE.c.id == node.id))).scalar_one()
            await note_contract(connection, pk, "1.0", node.aged.contract.digest, sdl)
        self.history.registry.forget()

    async def ask(self, query: str, caller: Caller = CALLER, access: AccessInput = SELF, **variables: Any) -> Json:
        """The caller's answer, a PatientAnswer; the citizen's where nobody else is named."""
        by = {"kind": "CCCD", "value": CCCD}
        question = compiled(query, by=by, access={"purpose": "PATRQT", "basis": "SELF"}, **variables)
        (operation,) = question.document.operations.values()
        prepared = prepared_of(question.scope, operation, tuple(operation.selection_set.selections))  # type: ignore[arg-type]
        asked = Question(caller, PatientBy(kind=IdentifierKind.CCCD, value=CCCD), access, prepared, question.raw)
        answer: Json = json.loads((await self.history.answer(asked)).body)
        return answer


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    """An empty town; with the fixture `database` on either database."""
    settings = Settings(data_folder=folder, demo_mode=True, breaker_failures=1_000, breaker_window=1_000)
    create_city_key(settings.city_key_file)
    store = open_store(settings)
    await prepare(store)
    wire, keys = Wire(), KeyRing(settings)
    await settle_keys(store, keys.live(), datetime.now(UTC))
    registry = Registry(store, settings.registry_fresh_seconds)
    history = History(
        settings, registry, People(locator_of(store)), GrantStore(store, time.time), keys,
        Ed25519PrivateKey.generate(), wire,
    )  # fmt: skip
    try:
        yield Town(store, history, wire, settings)
    finally:
        await store.close()
