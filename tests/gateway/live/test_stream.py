"""Results as they come: the fast first, one None when time is over, the late after it, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from gateway.breaker import Breakers, Rules
from gateway.live.stream import CLOSING_SECONDS, stream
from gateway.plan import NodeRequest, QueryPlan
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import request
from tests.gateway.good_answer import ASKED, GOOD, PAGES


def plan_for(*facilities: str) -> QueryPlan:
    return QueryPlan(tuple(request(f) for f in facilities), (), (RecordKind.ENCOUNTER,), frozenset())


class Nodes:
    """Nodes that take the given seconds; `cancelled` are those whose calls were given up."""

    def __init__(self, **seconds: float) -> None:
        self.seconds, self.cancelled = seconds, list[str]()

    async def send(self, to: NodeRequest) -> bytes:
        name = to.node.id.removeprefix("node-")
        try:
            await asyncio.sleep(self.seconds[name])
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return GOOD if name == "A" else b"garbage"

    async def run(self, deadline: float, until: float, breakers: Breakers | None = None) -> list[str | None]:
        start, found = time.monotonic(), list[str | None]()
        plan = plan_for(*self.seconds)
        asking = stream(plan, self.send, ASKED.subquery, PAGES, start + deadline, start + until, breakers)
        async with aclosing(asking) as coming:
            async for result in coming:
                found.append(None if result is None else result.request.node.id.removeprefix("node-"))
        return found


@pytest.mark.anyio
async def test_results_come_as_nodes_answer_and_the_end_when_all_are_in() -> None:
    nodes = Nodes(C=0.4, A=0.2, B=0.0)
    start = time.monotonic()
    assert await nodes.run(5, 10) == ["B", "A", "C", None]
    assert time.monotonic() - start < 2
    assert await Nodes().run(5, 10) == [None]


@pytest.mark.anyio
async def test_after_the_deadline_the_late_still_come_and_the_rest_is_given_up() -> None:
    nodes = Nodes(A=0.0, B=0.6, C=60.0)
    start = time.monotonic()
    assert await nodes.run(0.3, 1.2) == ["A", None, "B"]
    assert 1.1 < time.monotonic() - start < 3
    assert nodes.cancelled == ["C"]


@pytest.mark.anyio
async def test_who_stops_listening_ends_every_call() -> None:
    nodes, before = Nodes(A=0.0, B=60.0, C=60.0), asyncio.all_tasks()
    async with aclosing(stream(plan_for("A", "B", "C"), nodes.send, ASKED.subquery, PAGES, 2**60, 2**60)) as coming:
        first = await anext(coming)
        assert first is not None and first.request.node.id == "node-A"
    assert sorted(nodes.cancelled) == ["B", "C"]
    assert asyncio.all_tasks() == before


@pytest.mark.anyio
async def test_a_call_that_is_deaf_to_being_cancelled_holds_nobody_up_for_long() -> None:
    async def send(_: NodeRequest) -> bytes:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(CLOSING_SECONDS + 1)
        return GOOD

    start = time.monotonic()
    async with aclosing(stream(plan_for("A"), send, ASKED.subquery, PAGES, start, start + 60)) as coming:
        assert await anext(coming) is None
    assert time.monotonic() - start < CLOSING_SECONDS + 0.9
    await asyncio.sleep(1.2)


@pytest.mark.anyio
async def test_a_breaker_hears_of_a_silent_node_at_the_deadline_and_leaves_it_alone_next_time() -> None:
    breakers = Breakers(Rules(run=1, slow_seconds=0.2, pause_seconds=60, pause_limit_seconds=60))
    assert await Nodes(A=0.0, C=60.0).run(0.3, 0.5, breakers) == ["A", None]
    assert breakers.counts()["open"] == 1
    plan, asked = plan_for("A", "C"), Nodes(A=0.0, C=0.0)
    results = stream(plan, asked.send, ASKED.subquery, PAGES, 2**60, 2**60, breakers)
    found = {r.request.node.id: r.outcome async for r in results if r is not None}
    assert found == {"node-A": Outcome.ANSWERED, "node-C": Outcome.CIRCUIT_OPEN}


@pytest.mark.anyio
async def test_a_probe_whose_listener_left_says_nothing_and_the_next_question_is_one() -> None:
    moment = 0.0
    breakers = Breakers(Rules(run=1, slow_seconds=0.2), clock=lambda: moment)
    ticket = breakers.admit("node-C")
    assert ticket is not None
    breakers.settle("node-C", ticket, True)
    moment = 1.5
    nodes = Nodes(A=0.0, C=60.0)
    async with aclosing(
        stream(plan_for("A", "C"), nodes.send, ASKED.subquery, PAGES, 2**60, 2**60, breakers)
    ) as coming:
        first = await anext(coming)
        assert first is not None and first.request.node.id == "node-A"
        assert breakers.counts()["half-open"] == 1 and breakers.admit("node-C") is None
    assert nodes.cancelled == ["C"] and breakers.admit("node-C") is not None
