"""Telling the gateway which patients this node knows and how its feeds are: the node dials, in batches, for ever.

The change log is read from the position the gateway last accepted, so either side may come back from a backup. What is not
yet told waits in the store. Identifiers leave in the body of these messages only; never in a log line or an error text.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import msgspec
import structlog

from node_agent.changes import read_batch, read_cursor, read_feeds, write_cursor
from node_agent.enrolment import Enrolment, sdl, sdl_sha256
from node_agent.settings import Settings
from node_agent.store.engine import Store
from schema.messages import (
    CONTRACT_VERSION,
    SYNC_PATH,
    Refusal,
    SyncReply,
    SyncRequest,
)
from schema.node_request import sign_request

CALL_SECONDS = 30.0
WAIT_SECONDS_LIMIT = 60.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncState:
    """For the operator: failures in a row with the last one's code, and changes the gateway has not seen."""

    failures: int = 0
    code: str | None = None
    pending: int | None = None
    succeeded_at: datetime | None = None


class _Refused(Exception):
    def __init__(self, code: str, wait_seconds: float | None = None) -> None:
        super().__init__(code)
        self.code, self.wait_seconds = code, wait_seconds


class Sync:
    """The loop. clock gives aware times; backlog says how many inbox items are not yet in the store."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        enrolment: Enrolment,
        client: httpx.AsyncClient,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        backlog: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store, self._enrolment, self._client = store, enrolment, client
        self._every_seconds = settings.sync_seconds
        self._clock, self._backlog = clock, backlog
        self._poked = asyncio.Event()
        self._pokes = self._pokes_told = 0
        self._offset_seconds = 0.0
        self._sdl_sha256, self._sdl_wanted = sdl_sha256(), False
        self.state = SyncState()

    def poke(self) -> None:
        """Something was stored: do not wait for the next round. Cheap; no use while the gateway is away."""
        self._pokes += 1
        self._poked.set()

    @property
    def pending(self) -> int | None:
        """Changes the gateway has not seen, unread files and what was stored since the last round included; None before it."""
        if self.state.pending is None:
            return None
        return self.state.pending + self._backlog() + (self._pokes - self._pokes_told)

    async def run(self) -> None:
        """Syncs until cancelled. Nothing else ends it: what fails is logged by its code and tried again."""
        failures = 0
        while True:
            wait: float | None = None
            try:
                self._poked.clear()
                pokes = self._pokes
                pending = await self.once()
                failures, self._pokes_told = 0, pokes
                self.state = SyncState(0, None, pending, self._clock())
            except _Refused as error:
                wait, code = error.wait_seconds, error.code
                failures += 1
            except Exception as error:  # noqa: BLE001 - the loop outlives everything; an error's text may quote a patient
                code = type(error).__name__
                failures += 1
            if failures:
                self.state = SyncState(failures, code, self.state.pending, self.state.succeeded_at)
                _log.warning("sync failed", code=code, failures=failures)
                await asyncio.sleep(backoff_seconds(failures, random.random()) if wait is None else wait)
            elif pending == 0:
                await self._idle()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(self._every_seconds):
                await self._poked.wait()
        except TimeoutError:
            pass

    async def once(self) -> int:
        """Sends one message, changes or not, and stores what was accepted. How many changes are left after it."""
        async with self._store.reading() as connection:
            since = await read_cursor(connection)
            batch = await read_batch(connection, since, self._enrolment.facilities)
            feeds = await read_feeds(connection, self._enrolment.facilities, self._clock())
        left = batch.head - batch.position
        message = SyncRequest(
            self._enrolment.node_id,
            batch.since,
            batch.position,
            batch.head,
            left + self._backlog(),
            CONTRACT_VERSION,
            feeds,
            batch.patients,
            batch.withdrawn,
            self._sdl_sha256,
            sdl() if self._sdl_wanted else None,
        )
        reply = await self._send(msgspec.json.encode(message))
        self._sdl_wanted = reply.wants_sdl
        accepted = min(reply.accepted, batch.position)
        if reply.refused:
            _log.warning("gateway refused identifiers", reasons=reply.refused)
        if accepted == since < batch.position:
            raise _Refused("NOT_ACCEPTED")
        if accepted != since:
            async with self._store.writing() as connection:
                await write_cursor(connection, accepted)
        return batch.head - accepted

    async def _send(self, body: bytes) -> SyncReply:
        now = self._clock().timestamp() + self._offset_seconds
        token = sign_request(
            self._enrolment.key, self._enrolment.node_id, SYNC_PATH, body, now, secrets.token_urlsafe(16)
        )
        response = await self._client.post(
            self._enrolment.gateway_url + SYNC_PATH,
            content=body,
            headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
            timeout=CALL_SECONDS,
            follow_redirects=False,
        )
        kind: type[SyncReply | Refusal] = SyncReply if response.status_code == 200 else Refusal
        try:
            answer = msgspec.json.decode(response.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _Refused(f"HTTP_{response.status_code}") from None
        # Signatures live for seconds: the gateway's clock counts, whatever this machine's says.
        self._offset_seconds = answer.server_time - self._clock().timestamp()
        if isinstance(answer, SyncReply):
            return answer
        wait = response.headers.get("retry-after", "")
        raise _Refused(answer.code, min(float(wait), WAIT_SECONDS_LIMIT) if wait.isdecimal() else None)


def backoff_seconds(failures: int, chance: float) -> float:
    """Doubling from half a second up to a minute, spread by chance (0 to 1) so that nodes do not return as one."""
    return float(min(WAIT_SECONDS_LIMIT, 0.5 * 2.0 ** min(failures - 1, 10)) * (0.5 + chance / 2))
