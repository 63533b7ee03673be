"""Wiring: the node's parts, its Starlette routes and their lifetime. The only place where things meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node_agent.access import Guard
from node_agent.answer import Ledger
from node_agent.enrolment import load_enrolment
from node_agent.feeds.table import feed_parsers
from node_agent.graph import NodeContext, subgraph
from node_agent.ingest import Ingest
from node_agent.settings import Settings
from node_agent.store.engine import Store, open_store
from node_agent.store.migrate import prepare
from node_agent.store.postgresql import PostgresqlReader
from node_agent.store.reader import Reader, SqliteReader
from node_agent.sync import Sync
from node_agent.watch import watch
from schema.delegation import DelegationError
from schema.execution import Executor, Request
from schema.over_http import Answer, HttpRefusal, answer, media_type, read_get, read_post, refused
from schema.scalars import local_time

MAX_REQUEST_BYTES = 1_048_576
LONGEST_SECONDS = 30.0
_log = structlog.get_logger(__name__)


class Endpoint:
    """POST and GET /graphql, for the gateway only: each request carries a delegation over exactly its body."""

    def __init__(self, executor: Executor, guard: Guard | None, reader: Reader, ledger: Ledger) -> None:
        self.executor, self.guard, self.reader, self.ledger = executor, guard, reader, ledger

    async def answer(self, http: HttpRequest) -> Response:
        """One GraphQL request over HTTP."""
        try:
            made = await self._answer(http)
        except HttpRefusal as refusal:
            made = refused(refusal)
        except DelegationError as error:
            _log.warning("delegation refused", code=error.code)
            made = refused(HttpRefusal(401, error.code, "The delegation is not valid for this request."))
        return Response(made.body, made.status, media_type=None, headers={"content-type": made.content_type})

    async def _answer(self, http: HttpRequest) -> Answer:
        if self.guard is None:
            raise HttpRefusal(503, "NOT_ENROLLED", "This node has not joined the city yet: node-agent enrol.")
        media = media_type(http.headers.get("accept"))
        by_post = http.method == "POST"
        body = await body_of(http) if by_post else http.url.query.encode()
        delegation = self.guard.check(http.headers.get("authorization"), body)
        request: Request = read_post(http.headers.get("content-type"), body) if by_post else read_get(http.query_params)
        document = self.executor.document(request.query)
        context = NodeContext(delegation, request, document, self.reader, self.ledger, seconds_left(http))
        return answer(await self.executor.run(request, context, queries_only=True), media)


async def body_of(http: HttpRequest) -> bytes:
    """The request body, at most MAX_REQUEST_BYTES."""
    body = b""
    async for part in http.stream():
        body += part
        if len(body) > MAX_REQUEST_BYTES:
            raise HttpRefusal(413, "REQUEST_TOO_LARGE", f"A request may have {MAX_REQUEST_BYTES} bytes.")
    return body


def seconds_left(http: HttpRequest) -> float:
    """The time the gateway leaves for this request."""
    given = http.headers.get("deadline-milliseconds", "")
    return min(int(given) / 1000, LONGEST_SECONDS) if given.isdecimal() else LONGEST_SECONDS


def open_reader(store: Store, settings: Settings) -> Reader:
    """The way out of this store, by its kind of database."""
    return SqliteReader(store.path) if store.path else PostgresqlReader(settings.store_url)


def create_app(settings: Settings) -> Starlette:
    """The ASGI application, with feeds watched and the gateway kept informed while it runs."""
    store = open_store(settings)
    enrolment = load_enrolment(settings)
    reader = open_reader(store, settings)
    guard = Guard(enrolment.node_id, enrolment.gateway_keys, time.time) if enrolment else None
    endpoint = Endpoint(Executor(subgraph()), guard, reader, Ledger(reader, time.time))
    client = httpx.AsyncClient(timeout=15, trust_env=False)

    def now() -> datetime:
        return datetime.now(UTC)

    ingest = Ingest(store, settings, feed_parsers(settings), now)
    sync = Sync(store, settings, enrolment, client, now, backlog=ingest.backlog) if enrolment else None

    async def health(_: HttpRequest) -> Response:
        told: dict[str, Any] = {"status": "ok", "enrolled": enrolment is not None, "pending": None}
        if sync is not None:
            last = sync.state.succeeded_at
            told |= {
                "pending": sync.pending,
                "syncedAt": None if last is None else local_time(last.timestamp()),
                "syncFailure": sync.state.code,
            }
        return JSONResponse(told)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await prepare(store, settings)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(store.close)
            await reader.open()
            stack.push_async_callback(reader.close)
            stack.push_async_callback(client.aclose)
            await ingest.resume()
            tasks = [asyncio.create_task(t) for t in background(settings, ingest, sync)]
            stack.push_async_callback(ended, tasks)
            yield

    return Starlette(
        routes=[Route("/graphql", endpoint.answer, methods=["GET", "POST"]), Route("/health", health)],
        lifespan=lifespan,
    )


def background(settings: Settings, ingest: Ingest, sync: Sync | None) -> list[Coroutine[Any, Any, None]]:
    """What runs beside the server: one watcher a folder, and sync."""
    told = sync.poke if sync else lambda: None
    for f in settings.feeds:
        if f.folder:
            ingest.note_unread(str(f.folder), 1)  # nobody has looked yet: not current
    jobs = [watch(f.folder, f.kind, ingest, settings.poll_seconds, told) for f in settings.feeds if f.folder]
    return [*jobs, sync.run()] if sync else jobs


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel and wait."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def serve(settings: Settings) -> None:
    """Run until told to stop. uvicorn's access log stays off: it would write query strings."""
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws="none",
        server_header=False,
        date_header=False,
    )
