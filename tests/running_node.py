"""A node's store and its sync loop, for tests of sync end to end. Not the whole agent: no queries and no feeds here."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import delete, insert, select, update

from node_agent.enrolment import enrol
from node_agent.settings import Settings
from node_agent.store.engine import Store, open_store
from node_agent.store.migrate import prepare
from node_agent.sync import Sync, SyncState
from node_agent.tables import STORE
from schema.identity import IdentifierKind
from tests.running import RunningGateway, outside, wait_until

PATIENT, IDENTIFIER, CHANGE, FEED = (STORE.tables[n] for n in ("patient", "identifier", "change", "feed"))


class RunningNode:
    """A node's store and its sync loop in a thread of its own. Writes come from outside, as from another process."""

    def __init__(self, folder: Path, gateway: RunningGateway, *facilities: str, **options: Any) -> None:
        self.gateway, self.shift = gateway, timedelta()
        self.settings = Settings(
            data_folder=folder,
            facilities=[{"code": f, "name": f} for f in facilities],  # type: ignore[arg-type]
            feeds=[{"feed": "fhir", "rhythm_seconds": 3600}],  # type: ignore[arg-type]
            **{"sync_seconds": 0.05, **options},
        )
        self.sync: Sync | None = None
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

        async def work(store: Store) -> None:
            await prepare(store, self.settings)
            async with httpx.AsyncClient() as client:
                self.enrolment = await enrol(
                    self.settings, gateway.url, gateway.invite(*facilities), "http://127.0.0.1:8101", client
                )

        self.with_store(work)

    def with_store(self, work: Any) -> Any:
        async def run() -> Any:
            store = open_store(self.settings)
            try:
                return await work(store)
            finally:
                await store.close()

        return outside(run())

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def put(self, local_id: str, *values: str, facility: str = "", doubts: str = "") -> None:
        """Stores a patient with these CCCD numbers, or changes one."""

        async def work(store: Store) -> None:
            async with store.writing() as connection:
                await put(connection, facility or self.settings.facility_codes[0], local_id, values, doubts)

        self.with_store(work)

    def received(self, at: datetime) -> None:
        async def work(store: Store) -> None:
            async with store.writing() as connection:
                await connection.execute(update(FEED).values(last_received_at=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")))

        self.with_store(work)

    @property
    def state(self) -> SyncState:
        assert self.sync is not None
        return self.sync.state

    def start(self, backlog: int = 0) -> None:
        async def live() -> None:
            store = open_store(self.settings)
            async with httpx.AsyncClient() as client:
                self.sync = Sync(store, self.settings, self.enrolment, client, self.now, lambda: backlog)
                self._task = asyncio.current_task()
                try:
                    await self.sync.run()
                except asyncio.CancelledError:
                    pass
                finally:
                    await store.close()

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(live(),), daemon=True)
        self._thread.start()
        wait_until(lambda: self._task is not None and self.sync is not None)

    def stop(self) -> None:
        if self._thread is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(10)
            assert not self._thread.is_alive()
            self._loop.close()
            self._thread = self._task = None

    def poke(self) -> None:
        assert self.sync is not None
        self._loop.call_soon_threadsafe(self.sync.poke)


async def put(connection: Any, facility: str, local_id: str, values: tuple[str, ...], doubts: str = "") -> None:
    where = (PATIENT.c.facility == facility) & (PATIENT.c.local_id == local_id)
    pk = (await connection.execute(select(PATIENT.c.pk).where(where))).scalar()
    if pk is None:
        row = {
            "ref": f"ref-{facility}-{local_id}",
            "facility": facility,
            "local_id": local_id,
            "doubts": doubts,
        }
        more = {"birth_date": "1980-03-05", "gender": "MALE", "version": "", "inbox": 0, "position": 0}
        pk = (await connection.execute(insert(PATIENT).values(**row, **more).returning(PATIENT.c.pk))).scalar_one()
    await connection.execute(delete(IDENTIFIER).where(IDENTIFIER.c.patient == pk))
    rows = [{"patient": pk, "kind": "CCCD", "value": value, **_word()} for value in values]
    if rows:
        await connection.execute(insert(IDENTIFIER), rows)
    await connection.execute(insert(CHANGE).values(patient=pk, at="2026-03-01T00:00:00.000000Z"))


def _word() -> dict[str, Any]:
    """Columns that say which unit an identifier came from, whichever the store has."""
    plain = {"version": "", "inbox": 0, "position": 0}
    return {name: value for name, value in plain.items() if name in IDENTIFIER.c}


def number(i: int) -> str:
    return f"0010809{i:05d}"


def found(gateway: RunningGateway, value: str) -> list[str]:
    """The refs that the gateway has for a CCCD."""
    return [located.ref for located in gateway.find(IdentifierKind.CCCD, value)]


def synced(gateway: RunningGateway, code: str = "01001") -> datetime | None:
    """When the facility last had told all."""
    return gateway.city().facilities[code].synced_at
