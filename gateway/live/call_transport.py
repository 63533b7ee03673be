"""The third transport: one connection a call, on asyncio and httptools, for calls that may be given up at any moment.

What subscriptions need (live.py): a call that is cancelled closes its socket at once, which pyreqwest does only when the
node answers, at a fifth of httpx's CPU. No pool, so no connection that a node is just closing looks unreachable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools
import httpx

from gateway.transport import Fault, TransportError

READ_BYTES = 65_536


class _Answer:
    """What httptools calls while it reads an answer; raises out of it when the body is beyond the cap."""

    def __init__(self, cap: int) -> None:
        self.cap, self.size, self.parts, self.status, self.done = cap, 0, list[bytes](), 0, False
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        if self.status != 200:
            raise TransportError(Fault.STATUS, self.status)

    def on_body(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > self.cap:
            raise TransportError(Fault.TOO_LARGE)
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.done = True


class CallTransport:
    """See gateway.transport.Transport. connections: at a time to one node; who finds no room in time is OVER_BUDGET."""

    def __init__(self, connections: int = 20) -> None:
        self.connections = connections
        self._rooms: dict[str, asyncio.Semaphore] = {}
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float, cap: int) -> bytes:
        """See Transport."""
        place = urlsplit(url)
        room = self._rooms.setdefault(place.netloc, asyncio.Semaphore(self.connections))
        entered = False
        try:
            async with asyncio.timeout(seconds), room:
                entered = True
                return await self._call(place.scheme, place.hostname or "", place.port, url, body, headers, cap)
        except TimeoutError:
            raise TransportError(Fault.TIMED_OUT if entered else Fault.OVER_BUDGET) from None
        except (OSError, EOFError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise TransportError(Fault.UNREACHABLE) from None

    async def _call(
        self, scheme: str, host: str, port: int | None, url: str, body: bytes, headers: Mapping[str, str], cap: int
    ) -> bytes:
        tls = self._tls if scheme == "https" else None
        reader, writer = await asyncio.open_connection(host, port or (443 if tls else 80), ssl=tls)
        try:
            place = urlsplit(url)
            target = (place.path or "/") + (f"?{place.query}" if place.query else "")
            given = {**headers, "host": place.netloc, "content-length": str(len(body)), "connection": "close"}
            head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
            if "\n" in head.replace("\r\n", "") or "\r" in head.replace("\r\n", ""):
                raise OSError("a header holds a line end")
            writer.write(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            await writer.drain()
            answer = _Answer(cap)
            while not answer.done:
                part = await reader.read(READ_BYTES)
                if not part:
                    raise EOFError
                try:
                    answer.parser.feed_data(part)
                except httptools.HttpParserCallbackError as error:
                    if isinstance(error.__context__, TransportError):
                        raise error.__context__ from None
                    raise
            return b"".join(answer.parts)
        finally:
            # Not closed in order: what is given up must not wait for a node that may never read or write again.
            with contextlib.suppress(OSError):
                writer.transport.abort()

    async def close(self) -> None:
        """There is nothing between two calls."""
