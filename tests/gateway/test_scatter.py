"""One result a node, whatever the node does, on time and in the plan's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.plan import NodeRequest, QueryPlan
from gateway.scatter import Send, scatter, sender
from gateway.transport import Fault, PyreqwestTransport, TransportError
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import node, request
from tests.gateway.good_answer import (
    ASKED,
    GOOD,
    PAGES,
    ask,
)
from tests.gateway.misbehaving import Misbehaving


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (TransportError(Fault.TIMED_OUT), Outcome.TIMED_OUT, None),
        (TransportError(Fault.UNREACHABLE), Outcome.UNREACHABLE, None),
        (TransportError(Fault.OVER_BUDGET), Outcome.OVER_BUDGET, None),
        (TransportError(Fault.TOO_LARGE), Outcome.INVALID_RESPONSE, "TOO_LARGE"),
        (TransportError(Fault.STATUS, 401), Outcome.REFUSED, "HTTP_401"),
        (TransportError(Fault.STATUS, 403), Outcome.REFUSED, "HTTP_403"),
        (TransportError(Fault.STATUS, 400), Outcome.INVALID_RESPONSE, "HTTP_400"),
        (TransportError(Fault.STATUS, 404), Outcome.INVALID_RESPONSE, "HTTP_404"),
        (TransportError(Fault.STATUS, 500), Outcome.INVALID_RESPONSE, "HTTP_500"),
        (TransportError(Fault.STATUS, 302), Outcome.INVALID_RESPONSE, "HTTP_302"),
        (RuntimeError("CANARY"), Outcome.UNREACHABLE, "RuntimeError"),
        (MemoryError(), Outcome.UNREACHABLE, "MemoryError"),
    ],
    ids=lambda v: f"{v!r}" if isinstance(v, BaseException) else None,
)
def test_every_fault_of_a_call_has_its_outcome(error: Exception, outcome: Outcome, reason: str | None) -> None:
    result = ask(error)
    assert (result.outcome, result.reason, result.entities) == (outcome, reason, ())


def plan_for(*facilities: str) -> QueryPlan:
    return QueryPlan(tuple(request(f) for f in facilities), (), (RecordKind.ENCOUNTER,), frozenset())


@pytest.mark.anyio
async def test_every_planned_node_gives_one_result_in_the_plans_order() -> None:
    async def send(to: NodeRequest) -> bytes:
        match to.node.id:
            case "node-A":
                await asyncio.sleep(0.05)
                return GOOD
            case "node-B":
                raise TransportError(Fault.UNREACHABLE)
            case "node-C":
                return b"garbage"
        raise ZeroDivisionError

    results = await scatter(plan_for("C", "A", "D", "B"), send, ASKED.subquery, PAGES)
    assert [(r.request.node.id, r.outcome.value) for r in results] == [
        ("node-C", "INVALID_RESPONSE"),
        ("node-A", "ANSWERED"),
        ("node-D", "UNREACHABLE"),
        ("node-B", "UNREACHABLE"),
    ]
    assert results[1].took_ms >= 50 > results[0].took_ms
    assert await scatter(plan_for(), send, ASKED.subquery, PAGES) == ()
    assert len(await scatter(plan_for("B"), send, ASKED.subquery, PAGES)) == 1


@pytest.mark.anyio
async def test_nodes_are_asked_at_once() -> None:
    async def send(_: NodeRequest) -> bytes:
        await asyncio.sleep(0.1)
        return GOOD

    start = time.monotonic()
    await scatter(plan_for(*"ABCDEFGHIJ"), send, ASKED.subquery, PAGES)
    assert time.monotonic() - start < 0.5


@pytest.mark.anyio
async def test_cancelling_is_the_only_thing_that_comes_through() -> None:
    ended: list[str] = []

    async def send(to: NodeRequest) -> bytes:
        try:
            await asyncio.sleep(5)
        finally:
            ended.append(to.node.id)
        return GOOD

    for plan in (plan_for("A"), plan_for("A", "B")):
        ended.clear()
        running = asyncio.create_task(scatter(plan, send, ASKED.subquery, PAGES))
        await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(ended) == len(plan.requests)


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    made = Misbehaving()
    yield made
    made.close()


def sending(left: float, node_seconds: float) -> Send:
    """A real sender; the body is the node's id, and so is the authorization."""
    moment = time.monotonic() + left
    return sender(
        TRANSPORT,
        lambda r: r.node.id.encode(),
        lambda r, body: {"authorization": body.decode()},
        moment,
        node_seconds,
        99,
    )


TRANSPORT = PyreqwestTransport()


def at(url: str) -> NodeRequest:
    return replace(request("A"), node=replace(node("A"), url=url))


@pytest.mark.anyio
async def test_a_call_carries_its_body_its_headers_and_the_tighter_of_both_deadlines(server: Misbehaving) -> None:
    for left, own, expected in ((5.0, 1.5, 1.5), (0.5, 1.5, 0.5)):
        assert await sending(left, own)(at(server.url)) == b"node-A"
        head, body = server.requests[-1]
        headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        assert head.startswith(b"POST /graphql ") and body == b"node-A" and headers[b"authorization"] == b"node-a"
        assert expected * 1000 - 200 < int(headers[b"deadline-milliseconds"]) <= expected * 1000


@pytest.mark.anyio
async def test_a_node_that_hangs_is_left_when_its_time_or_the_requests_is_over(server: Misbehaving) -> None:
    for left, own in ((5.0, 0.2), (0.2, 5.0)):
        start = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await sending(left, own)(at(f"{server.url}/hang?"))
        assert caught.value.fault is Fault.TIMED_OUT and 0.15 < time.monotonic() - start < 0.6


@pytest.mark.anyio
async def test_a_call_whose_time_is_over_is_not_made(server: Misbehaving) -> None:
    with pytest.raises(TransportError) as caught:
        await sending(-0.01, 1)(at(server.url))
    assert caught.value.fault is Fault.TIMED_OUT and server.connections == 0
