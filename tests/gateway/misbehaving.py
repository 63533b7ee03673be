"""A server on a real socket that misbehaves by path, for tests of transports."""

from __future__ import annotations

import asyncio
import threading

CAP = 100_000


class Misbehaving:
    """A server that answers by path. `requests`: heads and bodies as they came; `closed`: paths that ended with the connection."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.closed: list[str] = []
        self.connections = 0
        self.open = 0
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve() -> None:
            server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._stop = asyncio.Event()
            started.set()
            await self._stop.wait()
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
                await self._answer(path, body, reader, writer)
        except ConnectionError:  # by the client while a request was open, or by a path that breaks off
            self.closed.append(path)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    async def _answer(self, path: str, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def gone() -> None:
            await reader.read(1)
            raise ConnectionResetError

        def head(length: int | None, status: str = "200 OK", more: str = "") -> bytes:
            size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
            return f"HTTP/1.1 {status}\r\n{size}\r\n{more}\r\n".encode()

        match path.partition("?")[0]:
            case "/echo" | "/graphql":
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
                await gone()
            case "/drip":
                writer.write(head(CAP))
                waiting = asyncio.ensure_future(gone())
                while not waiting.done():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
                await waiting
            case "/slowhead":
                waiting = asyncio.ensure_future(gone())
                for byte in head(5) * 10:
                    if waiting.done():
                        break
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.02)
                await waiting
            case "/endless":
                writer.write(head(None))
                waiting = asyncio.ensure_future(gone())
                while not waiting.done():
                    writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(0)
                await waiting
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
