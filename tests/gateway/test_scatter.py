"""One result a node, whatever the node does, on time and in the plan's order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from compose.demo.process import free_port
from gateway.plan import NodeRequest, QueryPlan
from gateway.sending import Post, Send, sender
from gateway.transport import TRANSPORTS, Fault, PyreqwestTransport, TransportError
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import node, request, scatter
from tests.gateway.good_answer import ASKED, GOOD, PAGES, ask
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
async def test_when_the_time_of_all_is_over_what_was_gathered_stays_and_the_rest_timed_out() -> None:
    async def send(to: NodeRequest) -> bytes:
        match to.node.id:
            case "node-A" | "node-D":
                return GOOD if to.node.id == "node-A" else b"garbage"
            case "node-B":  # deaf to its own deadline and to being cancelled
                try:
                    await asyncio.sleep(3)
                except asyncio.CancelledError:
                    await asyncio.sleep(0.5)
                    return GOOD
        await asyncio.sleep(3)
        return GOOD

    start = time.monotonic()
    results = await scatter(plan_for("B", "A", "C", "D"), send, ASKED.subquery, PAGES, start + 0.2)
    assert 0.15 < time.monotonic() - start < 0.45
    assert [(r.request.node.id, r.outcome.value, len(r.entities)) for r in results] == [
        ("node-B", "TIMED_OUT", 0),
        ("node-A", "ANSWERED", 1),
        ("node-C", "TIMED_OUT", 0),
        ("node-D", "INVALID_RESPONSE", 0),
    ]
    assert results[0].took_ms >= 200 > results[1].took_ms
    late = await scatter(plan_for("C"), send, ASKED.subquery, PAGES, time.monotonic() - 5)
    assert [r.outcome for r in late] == [Outcome.TIMED_OUT]
    await no_task_left()


@pytest.mark.anyio
async def test_a_call_that_was_cancelled_by_anyone_else_still_gives_a_result() -> None:
    async def send(to: NodeRequest) -> bytes:
        if to.node.id == "node-B":
            raise asyncio.CancelledError
        return GOOD

    results = await scatter(plan_for("B", "A"), send, ASKED.subquery, PAGES)
    assert [r.outcome for r in results] == [Outcome.TIMED_OUT, Outcome.ANSWERED]


@pytest.mark.anyio
async def test_a_fault_in_reading_one_answer_does_not_take_the_others_with_it() -> None:
    async def send(to: NodeRequest) -> bytes:
        return GOOD if to.node.id == "node-A" else b'{"errors": [{}]}'

    results = await scatter(plan_for("A", "B"), send, ASKED.subquery, ())  # pages that do not fit what was asked
    assert [(r.outcome.value, r.reason) for r in results] == [
        ("INVALID_RESPONSE", "ValueError"),
        ("INVALID_RESPONSE", "ERRORS_IN_ANSWER"),
    ]


async def no_task_left() -> None:
    limit = time.monotonic() + 2
    while any(getattr(task.get_coro(), "__name__", "") == "ask_node" for task in asyncio.all_tasks()):
        assert time.monotonic() < limit, "a call goes on that nobody waits for"
        await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_cancelling_is_the_only_thing_that_comes_through_and_it_ends_every_call() -> None:
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
        assert sorted(ended) == [r.node.id for r in plan.requests]
        await no_task_left()


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    made = Misbehaving()
    yield made
    made.close()


def sending(left: float, node_seconds: float) -> Send:
    """A real sender to node A; the body is the node's id, and so is the delegation."""
    return sender(TRANSPORT, {"node-A": Post(b"node-A", "node-A")}, time.monotonic() + left, node_seconds, 99)


TRANSPORT = PyreqwestTransport()


def at(url: str, facility: str = "A") -> NodeRequest:
    return replace(request(facility), node=replace(node(facility), url=url))


@pytest.mark.anyio
@pytest.mark.parametrize("name", TRANSPORTS)
async def test_one_hospital_answers_whatever_the_others_do_to_their_sockets(name: str, server: Misbehaving) -> None:
    plan = {
        "answers": ("", GOOD, "ANSWERED", None),
        "answers nonsense": ("", b"nonsense", "INVALID_RESPONSE", "NOT_JSON"),
        "breaks off": ("/half?", b"", "UNREACHABLE", None),
        "drips for ever": ("/drip?", b"", "TIMED_OUT", None),
        "forbids": ("/403?", b"", "REFUSED", "HTTP_403"),
        "hangs": ("/hang?", b"", "TIMED_OUT", None),
        "has no end": ("/endless?", b"", "INVALID_RESPONSE", "TOO_LARGE"),
        "is another's": ("", GOOD.replace(b"ref-A", b"ref-Z"), "INVALID_RESPONSE", "ANOTHER_PATIENT"),
        "is broken": ("/500?", b"", "INVALID_RESPONSE", "HTTP_500"),
        "is not there": (f"http://127.0.0.1:{free_port()}", b"", "UNREACHABLE", None),
        "sends its head slowly": ("/slowhead?", b"", "TIMED_OUT", None),
    }
    requests = tuple(
        replace(request("A"), node=replace(node(who), url=path if path.startswith("http") else server.url + path))
        for who, (path, *_) in plan.items()
    )
    transport = TRANSPORTS[name](20)
    posts = {r.node.id: Post(body, "any") for r, (_, body, *_) in zip(requests, plan.values(), strict=True)}
    start = time.monotonic()
    send = sender(transport, posts, start + 5, 0.4, 2 * len(GOOD))
    try:
        results = await scatter(replace(plan_for(), requests=requests), send, ASKED.subquery, PAGES, start + 5)
    finally:
        await transport.close()
    assert time.monotonic() - start < 1.5
    assert [(r.request, r.outcome.value, r.reason, len(r.entities)) for r in results] == [
        (asked, outcome, reason, int(outcome == "ANSWERED"))
        for asked, (_, _, outcome, reason) in zip(requests, plan.values(), strict=True)
    ]


@pytest.mark.anyio
async def test_a_call_carries_its_body_its_headers_and_the_tighter_of_both_deadlines(server: Misbehaving) -> None:
    for left, own, expected in ((5.0, 1.5, 1.5), (0.5, 1.5, 0.5)):
        assert await sending(left, own)(at(server.url)) == b"node-A"
        head, body = server.requests[-1]
        headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        assert (
            head.startswith(b"POST /graphql ") and body == b"node-A" and headers[b"authorization"] == b"bearer node-a"
        )
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
