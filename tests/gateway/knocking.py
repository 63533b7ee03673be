"""A gateway without nodes on a real socket, and people who knock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from compose.demo.process import free_port
from gateway.access.callers import DEMO_ISSUER, Role
from gateway.access.issuer import DevelopmentIssuer
from gateway.app import create_app
from gateway.city.registry import register_facility
from gateway.cursor import CursorSeal, Walk, binding_of
from gateway.identity.city_key import create_city_key, load_city_key
from gateway.keys import create_signing_key
from gateway.settings import Settings
from gateway.store.engine import open_store
from gateway.store.migrate import prepare
from schema.identity import Identifier, IdentifierKind
from tests.gateway.asking import compiled, question
from tests.plain import Json
from tests.running import outside, wait_until

CCCD = "001190054321"
BY = {"kind": "CCCD", "value": CCCD}
SELF = {"purpose": "PATRQT", "basis": "SELF"}
NAME = question("name")
PAGED = question("encounters(after: $a, filter: $f) { edges { cursor } }", ", $a: String, $f: RecordFilter")


class Door:
    """A gateway without nodes, and people who knock."""

    def __init__(self, folder: Path, client: httpx.Client, database_url: str) -> None:
        self.client, self.folder, self.database_url = client, folder, database_url
        self.key = load_city_key(folder / "city.key", 1, True)
        self.issuer = DevelopmentIssuer(folder, True, time.time)
        self.citizen = self.token(Role.CITIZEN, "citizen")

    def token(self, role: Role, subject: str, value: str = CCCD, **more: Any) -> str:
        return self.issuer.issue(role, subject, identity=Identifier(IdentifierKind.CCCD, value), **more)

    def post(self, query: str, token: str | None = None, operation: str | None = None, **variables: Any) -> Json:
        body = {"query": query, "operationName": operation, "variables": {"by": BY, "access": SELF, **variables}}
        headers = {"authorization": f"Bearer {token or self.citizen}"}
        found: Json = self.client.post("/graphql", json=body, headers=headers).json()
        return found

    def refused(self, *arguments: Any, **options: Any) -> str:
        """The code of the only error; there is no data about anybody beside it."""
        found = self.post(*arguments, **options)
        assert not any((found.get("data") or {}).values()) and "coverage" not in found.get("extensions", {})
        (error,) = found["errors"]
        return str(error["extensions"]["code"])

    def cursor(
        self, walk: Walk, subject: str = "citizen", purpose: str = "PATRQT", value: str = CCCD, **variables: Any
    ) -> str:
        """A cursor as this gateway would have made it."""
        token = self.key.patient_token(IdentifierKind.CCCD, value)
        (plan,) = compiled(PAGED, **variables).subquery.connections
        bound = binding_of(token, DEMO_ISSUER, subject, purpose, "*||~") + plan.binding(variables)
        return CursorSeal.of(self.key.secret_for("page cursors")).seal(walk, bound)


@contextmanager
def open_door(folder: Path, database_url: str) -> Iterator[Door]:
    """A gateway on this database ("": SQLite in its folder), with one facility and no node."""
    settings = Settings(data_folder=folder, demo_mode=True, database_url=database_url)
    create_city_key(settings.city_key_file)
    create_signing_key(settings.signing_key_file)

    async def register() -> None:
        store = open_store(settings)
        await prepare(store)
        await register_facility(store, "01001", "Bệnh viện A", datetime.now(UTC))
        await store.close()

    outside(register())
    DevelopmentIssuer(folder, True, time.time)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield Door(folder, client, database_url)
    server.should_exit = True
    thread.join(10)
