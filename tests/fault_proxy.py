"""A proxy before a real node that can misbehave on command: what tests of partial failure put between gateway and node.

It runs in a thread of its own on loopback. `fault` is set by the test; NONE passes everything through untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from enum import Enum

from compose.demo.process import free_port


class Fault(Enum):
    """How the node's answer is spoiled."""

    NONE = "none"
    HANG = "hang"  # accepts, reads, never answers
    DRIP = "drip"  # one byte of the true answer every 0.2 s
    CUT = "cut"  # half of the true answer, then the connection closes
    GARBAGE = "garbage"  # 200 and bytes that are not JSON
    HTML = "html"  # 200 and a log-in page
    INVALID_UTF8 = "invalid_utf8"  # the true answer with a broken character in a name
    OTHER_PATIENT = "other_patient"  # the true answer, but one row belongs to somebody else
    ERRORS_BESIDE_DATA = "errors_beside_data"
    DEEP = "deep"  # 100,000 nested lists
    ENDLESS = "endless"  # bytes without end
    STATUS_500 = "status_500"
    STATUS_403 = "status_403"
    RESET_ONCE = "reset_once"  # the node answers, its answer is thrown away with the connection; the next one passes
    BUSY_ONCE = "busy_once"  # 503 instead of the node's answer; the next one passes


class FaultProxy:
    """`url` is where the gateway finds the node; `target` is set once the node's own port is known.

    delay: seconds that a true answer is held back.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.target = ""
        self.fault = Fault.NONE
        self.delay = 0.0
        self.requests = 0
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", self.port):
            self._up.set()
            await self._stop.wait()
        here = asyncio.current_task()
        open_ones = [task for task in asyncio.all_tasks() if task is not here]
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    def advertise(self, url: str) -> str:
        """For NodeSpec.advertised: stand before this node."""
        self.target = url
        return self.url

    def close(self) -> None:
        """Stop serving and end every connection."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(_header(head, b"content-length") or 0)
                body = await reader.readexactly(length) if length else b""
                self.requests += 1
                await self._answer(head, body, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        if fault is Fault.HANG:
            await asyncio.sleep(60)
            return
        if fault in (Fault.STATUS_500, Fault.STATUS_403):
            code = fault.value[-3:].encode()
            writer.write(b"HTTP/1.1 " + code + b" X\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
            return
        status, answer = await self._forward(head, body)
        await asyncio.sleep(self.delay)
        if fault in (Fault.RESET_ONCE, Fault.BUSY_ONCE):
            self.fault = Fault.NONE
            if fault is Fault.RESET_ONCE:
                raise ConnectionResetError
            writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 2\r\n\r\n{}")
            await writer.drain()
            return
        if fault is Fault.ENDLESS:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
            while True:
                writer.write(b'{"data":' + b" " * 65_536)
                await writer.drain()
        spoiled = _spoil(answer, fault)
        told = f"content-type: application/json\r\ncontent-length: {len(spoiled)}\r\n\r\n"
        writer.write((status if fault is Fault.NONE else b"HTTP/1.1 200 OK") + b"\r\n" + told.encode())
        if fault is Fault.DRIP:
            for byte in spoiled:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.2)
        elif fault is Fault.CUT:
            writer.write(spoiled[: len(spoiled) // 2])
            await writer.drain()
            raise ConnectionResetError
        else:
            writer.write(spoiled)
            await writer.drain()

    async def _forward(self, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        host, _, port = self.target.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [x for x in head.split(b"\r\n") if x and not x.lower().startswith(b"connection:")]
        writer.write(b"\r\n".join([*lines, b"connection: close", b"", b""]) + body)
        await writer.drain()
        try:
            raw = await reader.read()
        finally:
            writer.close()
        answered, _, content = raw.partition(b"\r\n\r\n")
        return answered.partition(b"\r\n")[0], content


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _spoil(answer: bytes, fault: Fault) -> bytes:
    if fault is Fault.GARBAGE:
        return b"\x00\x01 not json at all"
    if fault is Fault.HTML:
        return "<html><body>Đăng nhập</body></html>".encode()
    if fault is Fault.INVALID_UTF8:
        return answer.replace(b'"node":{', b'"node":{', 1).replace(b'"n0":{"', b'"n0":{"\xff', 1)
    if fault is Fault.OTHER_PATIENT:
        at = answer.index(b'"subject":"') + len(b'"subject":"')
        return answer[:at] + b"z" * 26 + answer[at + 26 :]
    if fault is Fault.ERRORS_BESIDE_DATA:
        return answer[:-1] + b',"errors":[{"message":"half"}]}'
    if fault is Fault.DEEP:
        return b'{"data":{"_entities":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    return answer
