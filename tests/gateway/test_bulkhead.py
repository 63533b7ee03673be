"""One slow hospital holds up its own callers only, and retries are few, early and never the same delegation twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from gateway.bulkhead import Bulkhead, Bulkheads, RetryBudget
from gateway.plan import NodeRequest
from gateway.sending import Post, Send, sender
from gateway.transport import TRANSPORTS, Fault, TransportError
from tests.gateway.asking import node, request


def test_places_are_counted() -> None:
    room = Bulkhead(2, 0)
    assert [room.take() for _ in range(3)] == [True, True, False]
    room.leave()
    assert room.take() and not room.take()


@pytest.mark.anyio
async def test_who_waits_longest_is_next_and_a_full_queue_refuses_at_once() -> None:
    room, order = Bulkhead(1, 2), list[str]()
    assert room.take()

    async def wait(name: str) -> None:
        await room.wait(5)
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(TransportError) as caught:
        await room.wait(5)
    assert caught.value.fault is Fault.OVER_BUDGET
    room.leave()
    await tasks[0]
    assert order == ["a"] and room.busy == 1 and room.waiting == 1
    room.leave()
    await tasks[1]
    room.leave()
    assert (order, room.busy) == (["a", "b"], 0)


@pytest.mark.anyio
async def test_a_place_is_not_lost_when_whoever_waits_for_it_gives_up_at_any_moment() -> None:
    room = Bulkhead(1, 9)
    assert room.take()
    with pytest.raises(TransportError):
        await room.wait(0.01)
    assert room.waiting == 0
    waiting = asyncio.create_task(room.wait(5))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (room.waiting, room.busy) == (0, 1)
    # Handed over and cancelled in the same turn of the loop.
    waiting = asyncio.create_task(room.wait(5))
    await asyncio.sleep(0)
    room.leave()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (room.waiting, room.busy) == (0, 0)


def test_retries_are_a_share_of_the_calls() -> None:
    budget = RetryBudget(0.1, 2.0)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(11):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    assert not RetryBudget(0.0).spend()


@dataclass
class Flaky:
    """A server that gives its answers in turn, the last for ever: 'reset', 'half', 'hang', 'later' or a status."""

    answers: list[str]
    url: str = ""
    tokens: list[str] = field(default_factory=list)
    most_at_once: int = 0
    busy: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = dict(x.lower().split(b": ", 1) for x in head.split(b"\r\n")[1:] if x)
                await reader.readexactly(int(lines[b"content-length"]))
                self.tokens.append(lines[b"authorization"].decode())
                self.busy += 1
                self.most_at_once = max(self.most_at_once, self.busy)
                try:
                    answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    if answer == "reset":
                        return
                    if answer == "half":
                        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")
                        return
                    if answer in ("hang", "later"):
                        await asyncio.sleep(30 if answer == "hang" else 0.05)
                        answer = "200"
                    writer.write(f"HTTP/1.1 {answer} X\r\ncontent-length: 2\r\n\r\n{{}}".encode())
                    await writer.drain()
                finally:
                    self.busy -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def flaky(*answers: str) -> AsyncIterator[Flaky]:
    made = Flaky(list(answers))
    tasks: set[asyncio.Task[None]] = set()

    def on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(made.serve(reader, writer)))

    async with await asyncio.start_server(on, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


def to(server: Flaky, name: str = "A") -> NodeRequest:
    return replace(request(name), node=replace(node(name), url=server.url))


@asynccontextmanager
async def sending(
    bulkheads: Bulkheads, transport: str = "pyreqwest", left: float = 2.0, node_seconds: float = 2.0
) -> AsyncIterator[Send]:
    made = TRANSPORTS[transport](20)
    posts = {f"node-{n}": Post(b"{}", f"first-{n}") for n in "AB"}

    def again(asked: NodeRequest) -> Post:
        return Post(b"{}", f"again-{asked.node.id[-1]}")

    try:
        yield sender(made, posts, time.monotonic() + left, node_seconds, 100, bulkheads, again)
    finally:
        await made.close()


@pytest.mark.anyio
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", ["reset", "503"])
async def test_what_broke_before_any_answer_is_tried_once_more_with_another_delegation(
    transport: str, fault: str
) -> None:
    async with flaky(fault, "200") as server, sending(Bulkheads(4, 4, 0.1), transport) as send:
        assert await send(to(server)) == b"{}"
        assert server.tokens == ["bearer first-a", "bearer again-a"]
    async with flaky(fault) as server, sending(Bulkheads(4, 4, 0.1), transport) as send:
        with pytest.raises(TransportError):
            await send(to(server))
        assert len(server.tokens) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", ["half", "500", "401", "hang"])
async def test_nothing_else_is_tried_again(transport: str, fault: str) -> None:
    async with (
        flaky(fault, "200") as server,
        sending(Bulkheads(4, 4, 0.1), transport, node_seconds=0.4) as send,
    ):
        with pytest.raises(TransportError):
            await send(to(server))
        assert len(server.tokens) == 1


@pytest.mark.anyio
async def test_without_time_or_budget_nothing_is_tried_again() -> None:
    for bulkheads, left in ((Bulkheads(4, 4, 0.1), 0.2), (Bulkheads(4, 4, 0.0), 2.0)):
        async with flaky("503", "200") as server, sending(bulkheads, left=left) as send:
            with pytest.raises(TransportError) as caught:
                await send(to(server))
            assert caught.value.status == 503 and len(server.tokens) == 1


@pytest.mark.anyio
async def test_a_slow_node_is_called_by_few_at_once_and_holds_up_no_other() -> None:
    bulkheads = Bulkheads(2, 3, 0.1)
    async with flaky("hang") as slow, flaky("later") as quick, sending(bulkheads, node_seconds=0.5) as send:
        calls = [asyncio.ensure_future(send(to(slow))) for _ in range(12)]
        await asyncio.sleep(0.1)
        refused = [c for c in calls if c.done()]
        assert len(refused) == 12 - 2 - 3 and slow.most_at_once == 2
        start = time.monotonic()
        assert await send(to(quick, "B")) == b"{}"
        assert time.monotonic() - start < 0.4
        results = await asyncio.gather(*calls, return_exceptions=True)
        faults = sorted(r.fault.value for r in results if isinstance(r, TransportError))
        assert faults.count("TIMED_OUT") >= 2 and set(faults) == {"OVER_BUDGET", "TIMED_OUT"} and len(faults) == 12
        assert slow.most_at_once == 2 and bulkheads.of("node-A").busy == 0


@pytest.mark.anyio
async def test_whoever_waits_gets_through_when_a_place_is_free_in_time() -> None:
    bulkheads = Bulkheads(2, 10, 0.1)
    async with flaky("later") as server, sending(bulkheads) as send:
        assert await asyncio.gather(*(send(to(server)) for _ in range(8))) == [b"{}"] * 8
        assert server.most_at_once == 2 and bulkheads.of("node-A").busy == 0
