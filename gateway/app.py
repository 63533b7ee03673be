"""Wiring: the gateway's parts, its Starlette routes and their lifetime. The only place where things meet."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Lifespan, Receive, Scope, Send

from gateway.access.callers import Authenticator, Unauthenticated
from gateway.access.grants import GrantStore
from gateway.access.issuer import demo_trust
from gateway.city.registry import Registry
from gateway.city.routes import node_routes
from gateway.door.operations import EVENT_STREAM, Operations
from gateway.door.web_socket import WebSocketEndpoint
from gateway.errors import StoreUnavailable, bilingual
from gateway.graph import GatewayContext, city_schema
from gateway.history import History
from gateway.identity.key_ring import KeyRing
from gateway.identity.locator import Locator, People, SqliteLocator
from gateway.identity.locator_postgres import PostgresLocator
from gateway.identity.rotation import settle_keys
from gateway.keys import load_signing_key
from gateway.live.call_transport import CallTransport
from gateway.live.live import Listener, Live
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.migrate import prepare
from gateway.transport import TRANSPORTS
from schema.execution import Executor, Request
from schema.messages import PublicKey
from schema.over_http import Answer, HttpRefusal, answer, media_type, read_get, read_post, refused

MAX_REQUEST_BYTES = 1_048_576


class Front(Starlette):
    """Starlette, but for queries, which go straight to their endpoint: its middleware and router cost as much as the plan."""

    def __init__(self, endpoint: Endpoint, routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette]) -> None:
        super().__init__(routes=routes, lifespan=lifespan)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection or request."""
        query = scope["type"] == "http" and scope["path"] == "/graphql" and scope["method"] in ("GET", "POST")
        await (self._endpoint if query else super().__call__)(scope, receive, send)


class Endpoint:
    """POST and GET /graphql, straight on ASGI: Starlette's request and response objects would cost more than parsing."""

    def __init__(
        self, executor: Executor, authenticator: Authenticator, history: History, operations: Operations
    ) -> None:
        self.executor, self.authenticator, self.history = executor, authenticator, history
        self.operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One GraphQL request over HTTP."""
        more: list[tuple[bytes, bytes]] = []
        try:
            made = await self._answer(scope, receive)
            if isinstance(made, Streamed):
                await self.operations.server_sent_events(*made, receive, send)
                return
        except Unauthenticated as error:
            made = refused(HttpRefusal(401, error.code, bilingual(error.vi, error.en)))
            more = [(b"www-authenticate", b'Bearer realm="hanoi-health-graph"')]
        except HttpRefusal as refusal:
            made = refused(refusal)
        headers = [
            (b"content-type", made.content_type.encode()),
            (b"content-length", str(len(made.body)).encode()),
            *more,
        ]
        await send({"type": "http.response.start", "status": made.status, "headers": headers})
        await send({"type": "http.response.body", "body": made.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | Streamed:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        accept, by_post = headers.get(b"accept"), scope["method"] == "POST"
        streaming = by_post and accept is not None and EVENT_STREAM in accept.lower()
        media = EVENT_STREAM if streaming else media_type(accept)
        caller = await self.authenticator.authenticate(headers.get(b"authorization"))
        if by_post:
            request = read_post(headers.get(b"content-type"), await body_of(receive))
        else:
            request = read_get(QueryParams(scope["query_string"]))
        if streaming:
            # Clients that could take JSON as well get a stream only for what cannot be anything else.
            if self.operations.is_subscription(request) or not accepts_json(accept):
                return Streamed(Listener(caller, headers[b"authorization"]), request)
            media = media_type(accept)
        document = self.executor.document(request.query)
        context = GatewayContext(caller, request, document, by_post, self.history, {})
        result = await self.executor.run(request, context, queries_only=not by_post)
        return answer(context.whole(result), media)


class Streamed(NamedTuple):
    """A request that is answered with server-sent events."""

    listener: Listener
    request: Request


def accepts_json(accept: str | None) -> bool:
    """Whether an answer that is no stream would be taken too."""
    try:
        media_type(accept)
    except HttpRefusal:
        return False
    return True


async def body_of(receive: Receive) -> bytes:
    """The request body, at most MAX_REQUEST_BYTES."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpRefusal(400, "BAD_REQUEST", "The connection was closed before the request was whole.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_REQUEST_BYTES:
            raise HttpRefusal(413, "REQUEST_TOO_LARGE", f"A request may have {MAX_REQUEST_BYTES} bytes.")
    return body


def make_history(settings: Settings, store: Store, registry: Registry) -> History:
    """The query pipeline over this store."""
    return History(
        settings=settings,
        registry=registry,
        people=People(locator_of(store)),
        grants=GrantStore(store, time.time),
        keys=KeyRing(settings),
        signing_key=load_signing_key(settings.signing_key_file, settings.demo_mode),
        transport=TRANSPORTS[settings.transport](settings.max_connections_per_node),
    )


def locator_of(store: Store) -> Locator:
    """The locator that fits the database."""
    if store.points is not None:
        return PostgresLocator(store.points)
    assert store.path is not None
    return SqliteLocator(store.path)


def create_app(settings: Settings) -> Starlette:
    """The ASGI application."""
    store = open_store(settings)
    registry = Registry(store, settings.registry_fresh_seconds)
    history = make_history(settings, store, registry)

    def now() -> datetime:
        return datetime.now(UTC)

    issuers = [*settings.issuers, *([demo_trust(settings.data_folder)] if settings.demo_mode else [])]
    client = httpx.AsyncClient(timeout=10)
    executor, authenticator = Executor(city_schema()), Authenticator(issuers, settings.demo_mode, time.time, client)
    live = Live(history, CallTransport(settings.max_connections_per_node), authenticator)
    operations = Operations(executor, live, settings.live_subscriptions_per_caller)
    endpoint = Endpoint(executor, authenticator, history, operations)
    public = PublicKey.of(history.signing_key.public_key())

    async def health(_: HttpRequest) -> Response:
        try:
            city = await registry.snapshot()
        except StoreUnavailable as error:
            return JSONResponse({"status": error.code}, error.status)
        counts = {"facilities": len(city.facilities), "nodes": len(city.nodes)}
        return JSONResponse({"status": "ok", **counts, "circuits": history.breakers.counts()})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await prepare(store)
        await settle_keys(store, history.keys.live(), now())
        settle_memory()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(store.close)
            stack.push_async_callback(client.aclose)
            stack.push_async_callback(history.transport.close)
            stack.push_async_callback(live.transport.close)
            yield

    return Front(
        endpoint,
        routes=[
            Route("/graphql", endpoint, methods=["GET", "POST"]),  # what is no GET or POST gets its 405 there
            WebSocketRoute("/graphql", WebSocketEndpoint(operations)),
            Route("/health", health),
            *node_routes(store, registry, history.keys, public, settings, now),
        ],
        lifespan=lifespan,
    )


def settle_memory() -> None:
    """Schemas and modules stay for good: the collector need not look at them again at every turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def serve(settings: Settings) -> None:
    """Run until told to stop. uvicorn's access log stays off: it would write query strings."""
    uvicorn.run(
        create_app(settings),
        host=settings.listen_host,
        port=settings.listen_port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=MAX_REQUEST_BYTES,
        ws_per_message_deflate=False,  # compressing secrets beside what a client chose tells of them by length
        # Every query may end; a listener would stay for longer than anybody wants to wait.
        timeout_graceful_shutdown=ceil(settings.request_deadline_seconds) + 1,
        server_header=False,
        date_header=False,
    )
