"""One HTTP call to a node, in two implementations behind one protocol and one test suite (DESIGN 5.4).

A call either returns the body's bytes or raises TransportError; its deadline covers connecting, waiting and reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Protocol

import httpx
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PoolTimeoutError, PyreqwestError


class Fault(Enum):
    """How a call failed."""

    TIMED_OUT = "TIMED_OUT"
    UNREACHABLE = "UNREACHABLE"
    TOO_LARGE = "TOO_LARGE"
    STATUS = "STATUS"
    OVER_BUDGET = "OVER_BUDGET"


class TransportError(Exception):
    """A call that gave no body. status is the HTTP status of Fault.STATUS. early: it broke before the head of an answer."""

    def __init__(self, fault: Fault, status: int | None = None, *, early: bool = False) -> None:
        super().__init__(fault.value)
        self.fault, self.status, self.early = fault, status, early


class Transport(Protocol):
    """POST a body to a node. seconds: the whole call's deadline; cap: the largest body accepted, in bytes."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, cap: int) -> bytes: ...

    async def close(self) -> None: ...


class PyreqwestTransport:
    """The default: a bounded client a node, so that one slow hospital cannot use up another's connections."""

    def __init__(self, connections: int = 20) -> None:
        self.connections = connections
        self._clients: dict[str, Client] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, cap: int) -> bytes:
        """See Transport."""
        # pyreqwest's own timeout covers the whole call and closes the socket. Cancelling does so at once only from the head
        # of the answer on: before it, nothing but this timeout ends the call inside the library. scatter.py holds the
        # backstop around all calls; a timeout of asyncio's on each as well would cost a tenth of the query.
        request = self._client(url).post(url).timeout(timedelta(seconds=seconds)).headers(headers)
        early = True
        try:
            built = request.body_bytes(body).streamed_read_buffer_limit(0).build_streamed()
            async with built as response:
                early = False
                if response.status != 200:
                    raise TransportError(Fault.STATUS, response.status)
                answer = bytes(await response.body_reader.read(cap + 1) or b"")
        except PoolTimeoutError:
            raise TransportError(Fault.OVER_BUDGET) from None
        except TimeoutError:
            raise TransportError(Fault.TIMED_OUT) from None
        except PyreqwestError:
            raise TransportError(Fault.UNREACHABLE, early=early) from None
        if len(answer) > cap:
            raise TransportError(Fault.TOO_LARGE)
        return answer

    async def close(self) -> None:
        """Close all pools."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    def _client(self, url: str) -> Client:
        origin = url[: url.find("/", 8)]
        client = self._clients.get(origin)
        if client is None:
            builder = ClientBuilder().max_connections(self.connections).follow_redirects(False).no_proxy()
            builder = builder.gzip(False).brotli(False).zstd(False).deflate(False)
            client = self._clients[origin] = builder.build()
        return client


class HttpxTransport:
    """The same on httpx, for platforms without the Rust wheel and as the suite's second witness."""

    def __init__(self, connections: int = 20) -> None:
        self.connections = connections
        self._clients: dict[str, httpx.AsyncClient] = {}
        # One for all: each client would read the public roots anew, 20 ms in which the event loop stands still.
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, cap: int) -> bytes:
        """See Transport."""
        origin = url[: url.find("/", 8)]
        client = self._clients.get(origin)
        if client is None:
            # Idle ones are given up before a server's usual 5 s: one that it is just closing would look unreachable.
            limits = httpx.Limits(max_connections=self.connections, keepalive_expiry=2.0)
            client = self._clients[origin] = httpx.AsyncClient(
                limits=limits,
                verify=self._tls,
                trust_env=False,
                follow_redirects=False,
                headers={"accept-encoding": "identity"},
            )
        early = True
        try:
            async with asyncio.timeout(seconds):  # httpx times out each read alone: a dripping node would outlive it
                async with client.stream("POST", url, content=body, headers=dict(headers), timeout=seconds) as response:
                    early = False
                    if response.status_code != 200:
                        raise TransportError(Fault.STATUS, response.status_code)
                    parts, size = [], 0
                    async for part in response.aiter_raw():
                        size += len(part)
                        if size > cap:
                            raise TransportError(Fault.TOO_LARGE)
                        parts.append(part)
        except httpx.PoolTimeout:
            raise TransportError(Fault.OVER_BUDGET) from None
        except (TimeoutError, httpx.TimeoutException):
            raise TransportError(Fault.TIMED_OUT) from None
        except httpx.HTTPError:
            raise TransportError(Fault.UNREACHABLE, early=early) from None
        return b"".join(parts)

    async def close(self) -> None:
        """Close all pools."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()


TRANSPORTS: dict[str, Callable[[int], Transport]] = {"pyreqwest": PyreqwestTransport, "httpx": HttpxTransport}
