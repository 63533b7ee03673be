"""A server on a real socket that misbehaves by path, for tests of transports."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from itertools import repeat

CAP = 100_000


class Misbehaving:
    """A server that answers by path. `requests`: heads and bodies as they came; `closed`: paths that ended with the connection.

    most_at_once: requests that were being answered at the same time.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.closed: list[str] = []
        self.connections = 0
        self.open = 0
        self.most_at_once = self._busy = 0
        self._own: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._stop = asyncio.Event()
            started.set()
            await self._stop.wait()
            server.close()
            # A connection that was just accepted is not one of its own yet: cancelled there, its socket would stay open.
            while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
                for task in self._own:
                    task.cancel()
                await asyncio.wait(tasks, timeout=0.05)
            await asyncio.sleep(0.02)  # aborted transports close in the next rounds of the loop

        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(serve(),), daemon=True)
        self._thread.start()
        started.wait(5)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        own: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment]
        self._own.add(own)
        path = ""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0
                )
                body = await reader.readexactly(length)
                self.requests.append((head, body))
                path = head.split()[1].decode()
                self._busy += 1
                self.most_at_once = max(self.most_at_once, self._busy)
                try:
                    await self._answer(path, body, reader, writer)
                finally:
                    self._busy -= 1
        except ConnectionError:  # by the client while a request was open, or by a path that breaks off
            self.closed.append(path)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._own.discard(own)
            writer.transport.abort()

    async def _answer(self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write_until_gone(parts: Iterable[bytes], pause: float = 0) -> None:
            # The reading task's exception is always taken: asyncio would log it with its traceback when it is collected,
            # which on Python 3.11.7 parses source and breaks a parse that runs meanwhile, pytest's own included (gh-106905).
            gone = asyncio.ensure_future(reader.read(1))
            try:
                for part in parts:
                    if gone.done():
                        break
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause)
                await gone
            finally:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
            raise ConnectionResetError

        def head(length: int | None, status: str = "200 OK", more: str = "") -> bytes:
            size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
            return f"HTTP/1.1 {status}\r\n{size}\r\n{more}\r\n".encode()

        match path.partition("?")[0]:
            case "/echo" | "/graphql":
                writer.write(head(len(body)) + body)
            case "/later":
                await asyncio.sleep(0.02)
                writer.write(head(len(body)) + body)
            case "/big":
                writer.write(head(CAP) + b"x" * CAP)
            case "/toobig":
                writer.write(head(CAP + 1) + b"x" * (CAP + 1))
            case "/chunked":
                writer.write(head(None) + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            case "/redirect":
                writer.write(head(0, "302 Found", f"location: {self.url}/echo\r\n"))
            case "/gzip":
                writer.write(head(3, more="content-encoding: gzip\r\n") + b"abc")
            case "/hang":
                await write_until_gone(())
            case "/drip":
                writer.write(head(CAP))
                await write_until_gone(repeat(b"x"), 0.02)
            case "/slowhead":
                await write_until_gone((bytes([byte]) for byte in head(5)), 0.02)
            case "/endless":
                writer.write(head(None))
                await write_until_gone(repeat(b"2000\r\n" + b"x" * 0x2000 + b"\r\n"))
            case "/half":
                writer.write(head(100) + b"half")
                await writer.drain()
                raise ConnectionResetError
            case "/garbage":
                writer.write(b"this is no HTTP\r\n\r\n")
                await writer.drain()
                raise ConnectionResetError
            case "/nothing":
                raise ConnectionResetError
            case status:
                writer.write(head(4, f"{status[1:]} Status") + b"body")
        await writer.drain()
