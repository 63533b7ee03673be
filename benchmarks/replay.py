"""Many hospitals in one process: answers every node's path with one recorded answer, its ref and facility put in place.

Only for measuring the gateway: what is measured there must not contain the nodes' own work. The recorded answer is a real
node's. Run as `python -m benchmarks.replay PORT FILE`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

REF, FACILITY = b"REFREFREFREFREFREFREFREFRE", b"00000"


class Replay(asyncio.Protocol):
    """The least HTTP/1.1 that keep-alive clients accept: POST /<facility>/graphql with a content-length body."""

    template = b""
    answers: dict[bytes, bytes] = {}  # noqa: RUF012 - one process, filled as paths are seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client's connection."""
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request in the buffer."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            path = self.buffer.split(b" ", 2)[1]
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(self.answer(path))  # type: ignore[attr-defined]

    def answer(self, path: bytes) -> bytes:
        """The recorded answer as this facility would give it."""
        if path not in self.answers:
            facility = path.split(b"/")[1]
            body = self.template.replace(REF, ref_of(facility)).replace(FACILITY, facility)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.answers[path] = head.encode() + body
        return self.answers[path]


def ref_of(facility: bytes) -> bytes:
    """The ref this facility's only patient has."""
    return b"benchbenchbenchbenchb" + facility


async def main(port: int, template: bytes) -> None:
    """Serve until killed."""
    Replay.template = template
    server = await asyncio.get_running_loop().create_server(Replay, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
