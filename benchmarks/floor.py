"""The floor: what a program costs that only fans out, parses, sorts and encodes. No identity, no access, no ledger, no server.

Run as `python -m benchmarks.floor BASE_URL HOSPITALS QUERIES`; prints CPU milliseconds per query.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import sys
import time
from datetime import timedelta

import msgspec
from pyreqwest.client import ClientBuilder

WINDOWS = 20
BODY = b'{"query":"x"}'


async def main(base: str, hospitals: int, queries: int) -> None:
    """Measure."""
    client = ClientBuilder().no_proxy().gzip(False).build()
    urls = [f"{base}/{10_000 + n}/graphql" for n in range(hospitals)]

    async def ask(url: str) -> bytes:
        request = client.post(url).timeout(timedelta(seconds=5)).body_bytes(BODY).streamed_read_buffer_limit(0)
        async with request.build_streamed() as response:
            return bytes(await response.body_reader.read(10_000_000))

    async def query() -> int:
        bodies = await asyncio.gather(*(ask(url) for url in urls))
        edges = [e for b in bodies for e in msgspec.json.decode(b)["data"]["_entities"][0]["c0"]["edges"]]
        edges.sort(key=lambda e: (e["sortKey"], e["facility"], e["id"]), reverse=True)
        return len(msgspec.json.encode({"data": {"edges": edges}}))

    for _ in range(20):
        await query()
    best, each = math.inf, queries // WINDOWS
    for _ in range(WINDOWS):
        start = time.process_time()
        for _ in range(each):
            size = await query()
        best = min(best, (time.process_time() - start) / each)
    print(f"{best * 1000:.3f} {size}")
    await client.close()


if __name__ == "__main__":
    runner = asyncio.run if sys.platform == "win32" else importlib.import_module("uvloop").run
    runner(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
