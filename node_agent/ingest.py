"""The way in: receive (bytes safe) -> parse -> ready -> store -> conclude. Wires the stages; rules live in store/.

Whatever happens after `receive` has committed the bytes, the item can be replayed and ends in the same store. Exceptions
become INTERNAL_ERROR with the exception's type alone, since its text may quote a patient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.errors import FeedNotConfigured, UnitError, UnknownFacility, UnknownPatient
from node_agent.inbox import Clock, Inbox, Item, State, local_text, utc_text
from node_agent.problem import Problem, Severity, from_exception, from_feed, from_refusal, from_remark
from node_agent.records import FeedParser, ParsedFile, ParsedUnit, Supersede
from node_agent.settings import Settings
from node_agent.store.engine import Store
from node_agent.store.failures import Failure, replace_failures
from node_agent.store.held import is_overtaken
from node_agent.store.patients import is_bare
from node_agent.store.prepare import ReadyUnit, Source, ready
from node_agent.store.write import forget_units, write_units
from node_agent.tables import STORE
from schema.elements import Feed

BATCH_RECORDS = 150  # keeps a transaction near 50 ms (DESIGN 8); one larger unit is still one transaction
_UNIT, _FEED = STORE.tables["unit"], STORE.tables["feed"]
T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiveResult:
    """What became of an item: units stored, and its problems (errors and remarks)."""

    pk: int
    state: State
    units: int
    errors: tuple[Problem, ...]


@dataclass(slots=True)
class _Attempt:
    """One pass over an item, filling up."""

    item: Item
    source: Source
    at: str
    stored: list[ReadyUnit] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    facilities: set[str] = field(default_factory=set)


class Ingest:
    """The way in of one node. One item at a time: the store has one writer, and order makes logs readable."""

    def __init__(self, store: Store, settings: Settings, feeds: Mapping[Feed, FeedParser], clock: Clock) -> None:
        self.inbox = Inbox(store, clock)
        self._store, self._settings, self._feeds, self._clock = store, settings, feeds, clock
        self._one = asyncio.Lock()
        self._unread: dict[str, int] = {}

    def backlog(self) -> int:
        """Files seen in watched folders and not yet in the store; while there are any, the node is not current."""
        return sum(self._unread.values())

    def note_unread(self, folder: str, files: int) -> None:
        """A watcher tells how many files of its folder are waiting."""
        self._unread[folder] = files

    async def receive(self, feed: Feed, name: str, data: bytes) -> ReceiveResult:
        """Keeps the bytes, then ingests them. Raises FeedNotConfigured before keeping anything, and nothing after.

        Bytes that came before are only counted, unless an attempt at them was never concluded, or something newer took
        their place: then the hospital takes that back.
        """
        if feed not in self._feeds:
            raise FeedNotConfigured(feed.value)
        item = await undivided(self.inbox.receive(feed, name, data))
        if item.state is not State.DUPLICATE:
            return await self.ingest(item.pk)
        twin = await self.inbox.twin(item)
        if twin.state is State.RECEIVED:
            return await self.ingest(twin.pk)
        async with self._store.engine.connect() as connection:
            overtaken = await is_overtaken(connection, twin.pk)
        if overtaken:
            return await self._attempt(item)
        await undivided(self._alive(item))
        return ReceiveResult(item.pk, item.state, 0, ())

    async def ingest(self, pk: int) -> ReceiveResult:
        """Ingests an item, for the first time or again (a duplicate stands for the item it repeats). Raises InboxItemNotFound."""
        item = await self.inbox.item(pk)
        if item.state is State.DUPLICATE and item.duplicate_of is not None:
            item = await self.inbox.item(item.duplicate_of)
        return await self._attempt(item)

    async def _attempt(self, item: Item) -> ReceiveResult:
        source = Source(item.feed, item.pk, local_text(item.received_at))
        attempt = _Attempt(item, source, utc_text(self._clock()))
        async with self._one:
            try:
                state = await self._run(attempt)
            except Exception as error:  # noqa: BLE001 - a fault of ours must leave an item that can be replayed
                attempt.problems.append(from_exception(error, "*"))
                state = State.PARTIAL if attempt.stored else State.FAILED
            await undivided(self.inbox.conclude(item.pk, state, len(attempt.stored), attempt.problems))
        _log.info(
            "inbox item ingested",
            item=item.pk,
            feed=item.feed.value,
            state=state.value,
            units=len(attempt.stored),
        )
        return ReceiveResult(item.pk, state, len(attempt.stored), tuple(attempt.problems))

    async def resume(self) -> list[ReceiveResult]:
        """Ingests what a stop or a crash left RECEIVED, and what the store has lost, oldest first. For start.

        A store that was replaced by an empty or an older one would otherwise answer as if it were whole.
        """
        async with self._store.engine.connect() as connection:
            held = set((await connection.execute(select(_UNIT.c.inbox).distinct())).scalars())
        items = [item for item in await self.inbox.items() if item.state is not State.DUPLICATE]
        lost = {item.pk for item in items if item.units and item.pk not in held}
        if lost:
            _log.warning("the store lacks what the inbox holds", items=len(lost))
        again = {State.RECEIVED, State.FAILED, State.PARTIAL} if lost else {State.RECEIVED}
        return [await self.ingest(item.pk) for item in items if item.pk in lost or item.state in again]

    async def _run(self, attempt: _Attempt) -> State:
        parser = self._feeds.get(attempt.item.feed)
        if parser is None:
            raise FeedNotConfigured(attempt.item.feed.value)
        parsed = await asyncio.to_thread(parser.parse, await self.inbox.content(attempt.item.pk))
        self._note(attempt, parsed)
        placed = sorted(enumerate(parsed.units), key=lambda pair: is_bare(pair[1].patient))
        for batch in _batches(placed):
            await self._store_batch(attempt, batch)
        await undivided(self._finish(attempt, parsed))
        errors = any(p.severity is Severity.ERROR for p in attempt.problems)
        return State.STORED if not errors else State.PARTIAL if attempt.stored else State.FAILED

    def _note(self, attempt: _Attempt, parsed: ParsedFile) -> None:
        for index, error in enumerate(parsed.errors):
            attempt.problems.append(from_feed(error))
            if error.facility in self._settings.facility_codes:
                attempt.facilities.add(error.facility)
                if error.patient:
                    place = len(parsed.units) + index
                    attempt.failures.append(Failure(error.facility, error.patient, error.unit_key, place, error.code))
        attempt.problems += map(from_remark, parsed.remarks)

    async def _store_batch(self, attempt: _Attempt, batch: Sequence[tuple[int, ParsedUnit]]) -> None:
        units = await asyncio.to_thread(self._ready, attempt, batch)
        for supersede in Supersede:
            if some := [u for u in units if u.supersede is supersede]:
                await undivided(self._write(attempt, some))

    def _ready(self, attempt: _Attempt, batch: Sequence[tuple[int, ParsedUnit]]) -> list[ReadyUnit]:
        units = []
        for position, unit in batch:
            try:
                if unit.facility not in self._settings.facility_codes:
                    raise UnknownFacility
                units.append(ready(unit, position, attempt.source, self._store.ids))
            except UnitError as error:
                self._fail(attempt, unit, position, from_refusal(error, position))
            except Exception as error:  # noqa: BLE001
                self._fail(attempt, unit, position, from_exception(error, f"unit {position + 1}"))
        return units

    async def _write(self, attempt: _Attempt, units: Sequence[ReadyUnit]) -> None:
        """One transaction; if it fails it is taken back whole, and each of its units gets a transaction of its own."""
        try:
            async with self._store.writing() as connection:
                stored, unknown = await write_units(connection, self._store.ids, units, attempt.at)
        except Exception as error:  # noqa: BLE001
            if len(units) == 1:
                self._fail(
                    attempt,
                    units[0],
                    units[0].position,
                    from_exception(error, f"unit {units[0].position + 1}"),
                )
                return
            for unit in units:
                await self._write(attempt, [unit])
            return
        attempt.stored += stored
        attempt.facilities.update(u.facility for u in stored)
        attempt.problems += [from_remark(r) for u in stored for r in u.remarks]
        for unit in unknown:
            self._fail(attempt, unit, unit.position, from_refusal(UnknownPatient(), unit.position))

    def _fail(self, attempt: _Attempt, unit: ParsedUnit | ReadyUnit, position: int, problem: Problem) -> None:
        attempt.problems.append(problem)
        if unit.facility in self._settings.facility_codes:
            failure = Failure(unit.facility, unit.patient, unit.unit_key, position, problem.code)
            attempt.failures.append(failure)

    async def _finish(self, attempt: _Attempt, parsed: ParsedFile) -> None:
        """Takes out units that this item gave before and gives no more, and settles failures."""
        kept = {(u.facility, u.unit_key, u.version, u.position) for u in attempt.stored}
        mine = select(_UNIT).where(_UNIT.c.inbox == attempt.item.pk)
        async with self._store.writing() as connection:
            gone = [
                r.pk
                for r in await connection.execute(mine)
                if (r.facility, r.unit_key, r.version, r.position) not in kept
            ]
            if gone:
                mode = Supersede.UNIT if attempt.item.feed is Feed.BHYT_XML else Supersede.RECORD
                await forget_units(connection, gone, parsed.units[0].supersede if parsed.units else mode, attempt.at)
            await replace_failures(connection, self._store.ids, attempt.item.pk, attempt.failures, attempt.at)
            await self._mark_alive(connection, attempt.item, attempt.facilities)

    async def _alive(self, duplicate: Item) -> None:
        """A hospital that sends the same file again is not silent."""
        async with self._store.writing() as connection:
            query = select(_UNIT.c.facility).where(_UNIT.c.inbox == duplicate.duplicate_of).distinct()
            await self._mark_alive(connection, duplicate, set((await connection.execute(query)).scalars()))

    async def _mark_alive(self, connection: AsyncConnection, item: Item, facilities: set[str]) -> None:
        for facility in sorted(facilities):
            mine = (_FEED.c.facility == facility) & (_FEED.c.feed == item.feed.value)
            last = (await connection.execute(select(_FEED.c.last_received_at).where(mine))).one_or_none()
            if last is None:
                rhythm = self._settings.rhythm(item.feed, facility)
                row = {"facility": facility, "feed": item.feed.value, "rhythm_seconds": rhythm}
                await connection.execute(insert(_FEED).values(**row, last_received_at=item.received_at))
            elif last[0] is None or last[0] < item.received_at:
                await connection.execute(update(_FEED).where(mine).values(last_received_at=item.received_at))


async def undivided(work: Coroutine[Any, Any, T]) -> T:
    """Awaits work that must not be cut in two: a cancellation meanwhile is let through only when it has ended.

    A connection whose statement is cancelled may keep SQLite's write lock for as long as anything refers to the statement.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


def _batches(units: Sequence[tuple[int, ParsedUnit]]) -> Iterator[list[tuple[int, ParsedUnit]]]:
    batch: list[tuple[int, ParsedUnit]] = []
    size = 0
    for place, unit in units:
        if batch and size + len(unit.records) > BATCH_RECORDS:
            yield batch
            batch, size = [], 0
        batch.append((place, unit))
        size += len(unit.records) + 1
    if batch:
        yield batch
