"""graphql-transport-ws, to the letter (github.com/enisdenjo/graphql-ws, PROTOCOL.md), straight on ASGI.

One task reads; each operation is a task that sends. A client that does not take in what is sent is left after
live_send_seconds: nothing is queued for it but what its socket holds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.access.callers import Unauthenticated
from gateway.door.operations import Operations, TooManySubscriptions
from gateway.errors import bilingual
from gateway.live.live import Listener
from schema.execution import Request

PROTOCOL = "graphql-transport-ws"
OPERATIONS_LIMIT = 32  # of one connection: queries and mutations count too
_JSON = msgspec.json.Encoder()


class Closing(Exception):
    """The connection must be closed with this code of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Gone(Exception):
    """The client has left, or does not take in what is sent."""


class _Message(msgspec.Struct):
    type: str
    id: str | None = None
    payload: Any = None


class _Asked(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the protocol's name
    extensions: dict[str, Any] | None = None


_MESSAGES = msgspec.json.Decoder(_Message)


class WebSocketEndpoint:
    """GET /graphql with an upgrade."""

    def __init__(self, operations: Operations) -> None:
        self.operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        await Connection(self.operations, scope, receive, send).run()


class Connection:
    """One client's connection, from handshake to close."""

    def __init__(self, operations: Operations, scope: Scope, receive: Receive, send: Send) -> None:
        self.operations, self.scope, self.receive, self._send = operations, scope, receive, send
        self.settings = operations.live.history.settings
        self.listener: Listener | None = None
        self.running: dict[str, asyncio.Task[None]] = {}
        self.tasks: set[asyncio.Task[None]] = set()  # those a client completed too, until they have let go
        self.reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Returns when the connection is over and none of its operations is left."""
        if (await self.receive())["type"] != "websocket.connect":
            return
        spoken = PROTOCOL in self.scope["subprotocols"]
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL if spoken else None, "headers": []})
        self.reading = asyncio.ensure_future(self._read())
        try:
            if not spoken:
                raise Closing(4406, "Subprotocol not acceptable")
            await self.reading
        except Closing as closing:
            await self._close(closing)
        except (Gone, asyncio.CancelledError):
            if (here := asyncio.current_task()) is not None and here.cancelling():
                raise  # the server ends; otherwise it was an operation that found the client gone
        finally:
            left = [self.reading, *self.tasks]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _read(self) -> None:
        limit = time.monotonic() + self.settings.live_init_seconds
        while True:
            waiting = None if self.listener else max(0.0, limit - time.monotonic())
            try:
                async with asyncio.timeout(waiting):
                    message = await self.receive()
            except TimeoutError:
                raise Closing(4408, "Connection initialisation timeout") from None
            if message["type"] == "websocket.disconnect":
                raise Gone
            await self._take(_read_message(message.get("text")))

    async def _take(self, message: _Message) -> None:
        match message.type:
            case "connection_init":
                await self._initialise(message.payload)
            case "ping":
                await self._say({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(message)
            case "complete":
                if message.id is None:
                    raise Closing(4400, "Invalid message")
                if task := self.running.pop(message.id, None):
                    task.cancel()
            case _:
                raise Closing(4400, "Invalid message")

    async def _initialise(self, payload: Any) -> None:
        if self.listener is not None:
            raise Closing(4429, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise Closing(4400, "Invalid message")
        authorization = _authorization(payload or {}, self.scope)
        try:
            caller = await self.operations.live.authenticator.authenticate(authorization)
        except Unauthenticated:
            raise Closing(4403, "Forbidden") from None
        self.listener = Listener(caller, authorization or "")
        await self._say({"type": "connection_ack"})

    def _subscribe(self, message: _Message) -> None:
        if self.listener is None:
            raise Closing(4401, "Unauthorized")
        if not message.id:
            raise Closing(4400, "Invalid message")
        try:
            asked = msgspec.convert(message.payload, _Asked)
        except msgspec.ValidationError:
            raise Closing(4400, "Invalid message") from None
        if message.id in self.running:
            raise Closing(4409, f"Subscriber for {message.id[:20]} already exists")
        request = Request(asked.query, asked.variables, asked.operationName)
        task = asyncio.ensure_future(self._operate(message.id, self.listener, request))
        self.running[message.id] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _operate(self, key: str, listener: Listener, request: Request) -> None:
        here = asyncio.current_task()
        try:
            if len(self.tasks) > OPERATIONS_LIMIT:
                error = TooManySubscriptions()
                text = {"message": bilingual(error.vi, error.en), "extensions": {"code": error.code}}
                return await self._end(key, here, {"id": key, "type": "error", "payload": [text]})
            async with aclosing(self.operations.payloads(listener, request)) as payloads:
                async for payload in payloads:
                    if payload.failed:
                        return await self._end(key, here, {"id": key, "type": "error", "payload": payload.errors})
                    await self._say({"id": key, "type": "next", "payload": msgspec.Raw(payload.body)})
            await self._end(key, here, {"id": key, "type": "complete"})
        except Gone:
            assert self.reading is not None
            self.reading.cancel()
        finally:
            if self.running.get(key) is here:
                del self.running[key]

    async def _end(self, key: str, task: asyncio.Task[None] | None, message: Mapping[str, Any]) -> None:
        # The id is free before the client can know: it may use it again at once.
        if self.running.get(key) is task:
            del self.running[key]
        await self._say(message)

    async def _say(self, message: Mapping[str, Any]) -> None:
        text = _JSON.encode(message).decode()
        try:
            async with asyncio.timeout(self.settings.live_send_seconds):
                await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):  # TimeoutError, the server's ClientDisconnected, or a send after its close
            raise Gone from None

    async def _close(self, closing: Closing) -> None:
        try:
            async with asyncio.timeout(self.settings.live_send_seconds):
                await self._send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})
        except (OSError, RuntimeError):
            pass


def _read_message(text: str | None) -> _Message:
    if text is None:
        raise Closing(4400, "Invalid message")
    try:
        return _MESSAGES.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Closing(4400, "Invalid message") from None


def _authorization(payload: Mapping[str, Any], scope: Scope) -> str | None:
    """From connection_init, where a browser must put it; else the handshake's header."""
    for name, value in payload.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return None
