"""One operation as a stream of payloads, whatever carries it, and server-sent events. WebSockets are web_socket.py.

Server-sent events: GraphQL over SSE, "distinct connections mode" (github.com/enisdenjo/graphql-sse, PROTOCOL.md): POST
/graphql that accepts text/event-stream is answered with events `next` and a last one `complete`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from graphql import OperationType
from starlette.types import Receive, Send

from gateway.access.callers import Caller
from gateway.errors import ClientError, bilingual
from gateway.graph import GatewayContext
from gateway.ledger import mirrored
from gateway.live.live import Event, Listener, Live
from schema.execution import Executor, Request, Result
from schema.over_http import answer

EVENT_STREAM = "text/event-stream"
LOG = logging.getLogger("hanoi_health_graph.live")
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store"),
    (b"x-accel-buffering", b"no"),
]
_JSON = msgspec.json.Encoder()


class Payload(NamedTuple):
    """body: an ExecutionResult as JSON; failed: it holds nothing but errors, and nothing follows."""

    body: bytes
    failed: bool = False
    errors: list[dict[str, Any]] | None = None


class TooManySubscriptions(ClientError):
    """One caller, or one connection, listens to as much as it may."""

    code = "SUBSCRIPTIONS_EXCEEDED"
    status = 429

    def __init__(self) -> None:
        super().__init__("Đang nghe quá nhiều; dừng bớt rồi thử lại", "too many subscriptions at once; end one first")


@dataclass(slots=True)
class Operations:
    """Runs operations for listeners; limit: subscriptions of one caller at a time."""

    executor: Executor
    live: Live
    limit: int
    listening: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Room for one more subscription of this caller; raises TooManySubscriptions."""
        key = (caller.issuer, caller.subject, caller.application)
        if self.listening[key] >= self.limit:
            raise TooManySubscriptions
        self.listening[key] += 1
        try:
            yield
        finally:
            self.listening[key] -= 1
            if not self.listening[key]:
                del self.listening[key]

    def is_subscription(self, request: Request) -> bool:
        """Whether this request asks to listen; a document in error does not."""
        operation = self.executor.operation(request)
        return operation is not None and operation.operation is OperationType.SUBSCRIPTION

    async def payloads(self, listener: Listener, request: Request) -> AsyncGenerator[Payload, None]:
        """What the operation gives: one payload for a query or mutation, one an event for a subscription. Never raises
        but for cancellation."""
        document = self.executor.document(request.query)
        context = GatewayContext(
            listener.caller, request, document, True, self.live.history, {}, live=self.live, listener=listener
        )
        if not self.is_subscription(request):
            result = await self.executor.run(request, context)
            yield _whole(result, context)
            return
        key: str | None = None
        try:
            with self.place(listener.caller):
                events = await self.executor.subscribe(request, context)
                if isinstance(events, Result):
                    yield _whole(events, context)
                    return
                assert isinstance(events, AsyncGenerator)
                async with aclosing(events):
                    async for event in events:
                        key = event.key
                        yield _next(event)
        except ClientError as error:
            yield _failure(error.code, bilingual(error.vi, error.en), key)
        except Exception as error:  # noqa: BLE001 - a listener must hear that it ended, and why is ours to log
            LOG.error("stream failed", extra={"error_type": type(error).__name__})
            yield _failure("INTERNAL_ERROR", "Lỗi nội bộ. Internal error.", key)

    async def server_sent_events(self, listener: Listener, request: Request, receive: Receive, send: Send) -> None:
        """Answers one POST with events until the operation ends or the client leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        sending = asyncio.ensure_future(self._send_events(listener, request, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_events(self, listener: Listener, request: Request, send: Send) -> None:
        seconds = self.live.history.settings.live_send_seconds
        async with aclosing(self.payloads(listener, request)) as payloads:
            async for payload in payloads:
                await _within(seconds, send, b"event: next\ndata: " + one_line(payload.body) + b"\n\n", True)
        await _within(seconds, send, b"event: complete\ndata: \n\n", False)


async def _within(seconds: float, send: Send, body: bytes, more: bool) -> None:
    """Waits while the client takes in what was sent before; a client that does not is left (TimeoutError)."""
    async with asyncio.timeout(seconds):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def one_line(body: bytes) -> bytes:
    """JSON without line ends. Bodies are copied as nodes wrote them, and a line end between two tokens would let a node
    write events of its own; inside a JSON string there can be none."""
    return body.replace(b"\n", b" ").replace(b"\r", b" ")


def _whole(result: Result, context: GatewayContext) -> Payload:
    result = context.whole(result)
    return Payload(answer(result, "application/json").body, result.request_error, result.errors or None)


def _next(event: Event) -> Payload:
    head = b'{"data":{' + _JSON.encode(event.key) + b":" + event.body + b"}"
    if event.coverage is None:
        return Payload(head + b"}")
    return Payload(head + b',"extensions":' + _JSON.encode({"coverage": {event.key: mirrored(event.coverage)}}) + b"}")


def _failure(code: str, message: str, key: str | None) -> Payload:
    error: dict[str, Any] = {"message": message, "extensions": {"code": code}}
    if key is not None:
        error["path"] = [key]
    return Payload(_JSON.encode({"errors": [error]}), True, [error])
