"""A gateway's node door on a real loopback socket, for tests of both sides. Not the whole gateway: no queries here."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette

from compose.demo.process import free_port
from gateway.app import locator_of
from gateway.city.enrolment import invite, revoke
from gateway.city.registry import City, Registry, read_city, register_facility
from gateway.city.routes import node_routes
from gateway.identity.choice import Located, place
from gateway.identity.city_key import CityKey, create_city_key, load_city_key
from gateway.identity.key_ring import KeyRing
from gateway.identity.locator import SqliteLocator, located
from gateway.keys import create_signing_key, load_signing_key
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.migrate import prepare
from gateway.store.tables import METADATA
from schema.identity import IdentifierKind
from schema.messages import NodeRole, PublicKey

T = TypeVar("T")
WAIT_SECONDS = 10.0


def wait_until(ready: Any, seconds: float = WAIT_SECONDS) -> None:
    """Polls until `ready()` is true; fails after the limit."""
    limit = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


class RunningGateway:
    """Starts and stops on one port and one folder, as often as a test likes. `shift` moves its clock."""

    def __init__(self, folder: Path, facilities: tuple[str, ...] = ("01001", "01002"), **options: Any) -> None:
        self.settings = Settings(data_folder=folder, **options)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.shift = timedelta()
        create_city_key(self.settings.city_key_file)
        create_signing_key(self.settings.signing_key_file)
        self.signing_key = load_signing_key(self.settings.signing_key_file)
        self.key: CityKey = load_city_key(self.settings.city_key_file)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

        async def register(store: Store) -> None:
            await prepare(store)
            for code in facilities:
                await register_facility(store, code, f"Bệnh viện {code}", self.now())

        self.with_store(register)

    @property
    def database(self) -> Path:
        """The SQLite file; none on PostgreSQL."""
        return self.settings.data_folder / "gateway.db"

    def now(self) -> datetime:
        """The gateway's clock."""
        return datetime.now(UTC) + self.shift

    def with_store(self, work: Any) -> Any:
        """Runs `await work(store)` on a store of its own, as the command line does."""

        async def run() -> Any:
            store = open_store(self.settings)
            try:
                return await work(store)
            finally:
                await store.close()

        return outside(run())

    def invite(self, *facilities: str, days: int = 7, role: NodeRole = NodeRole.SOURCE) -> str:
        """A one-time code."""
        code: str = self.with_store(lambda store: invite(store, facilities, self.now(), days, role))
        return code

    def revoke(self, node_id: str) -> None:
        """Revokes a node behind the running server's back."""
        assert self.with_store(lambda store: revoke(store, node_id, self.now()))

    def city(self) -> City:
        """The registry as the database has it."""
        city: City = self.with_store(read_city)
        return city

    def find(self, kind: IdentifierKind, value: str) -> tuple[Located, ...]:
        """What the locator knows of an identifier."""
        token = self.key.patient_token(kind, value)

        async def work(store: Store) -> tuple[Located, ...]:
            locator = locator_of(store)
            try:
                return tuple(sorted((located(row) for row in await locator.find((token,))), key=place))
            finally:
                if isinstance(locator, SqliteLocator):
                    locator.close()

        found: tuple[Located, ...] = self.with_store(work)
        return found

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """A look into the database."""
        if not self.database.exists():
            return [tuple(row) for row in self.with_store(lambda store: _rows(store, sql))]
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def content(self) -> bytes:
        """All that the database holds: the bytes of SQLite's files, or every row of PostgreSQL as text."""
        if self.database.exists():
            return b"".join(file.read_bytes() for file in self.database.parent.glob("gateway.db*"))
        texts = [str(self.rows(f"SELECT t::text FROM {name} t")) for name in METADATA.tables]
        return "\n".join(texts).encode()

    def app(self) -> Starlette:
        """The routes for nodes, and a lifespan that closes the store."""
        store = open_store(self.settings)
        registry = Registry(store)
        gateway_key = PublicKey.of(self.signing_key.public_key())

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            yield
            await store.close()

        return Starlette(
            routes=node_routes(store, registry, KeyRing(self.settings), gateway_key, self.settings, self.now),
            lifespan=lifespan,
        )

    def start(self) -> None:
        """Returns when it listens."""
        config = uvicorn.Config(self.app(), host="127.0.0.1", port=self.port, log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started)

    def stop(self) -> None:
        """Returns when the port is closed."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(WAIT_SECONDS)
            assert not self._thread.is_alive()
            self._server = None


async def _rows(store: Store, sql: str) -> Any:
    async with store.reading() as connection:
        return (await connection.exec_driver_sql(sql)).fetchall()


def outside(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a loop of its own, also from within a running one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
