"""Asking the planned nodes at once and handing out each result as it comes: scatter.py for those who do not wait for all.

Every planned node gives at most one result here; who has given none when the ledger is written is the caller's to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from gateway.breaker import Breakers
from gateway.plan import QueryPlan
from gateway.reading import Slice
from gateway.scatter import NodeResult, ask_node
from gateway.sending import Send
from gateway.subquery import SubQuery
from schema.coverage import Outcome

CLOSING_SECONDS = 1.0  # how long a cancelled call may take to let go of its socket


async def stream(
    plan: QueryPlan,
    send: Send,
    subquery: SubQuery,
    pages: tuple[Slice, ...],
    deadline: float,
    until: float,
    breakers: Breakers | None = None,
) -> AsyncGenerator[NodeResult | None, None]:
    """Results in the order of their coming; None once, when all are in or `deadline` is over, whichever is first.

    After that None, results of late nodes follow until `until`. Both are time.monotonic() moments. Closing the generator
    cancels the calls that are open and waits for them to let go. A call that somebody else cancelled gives no result.
    Breakers hear at the deadline of who is silent, as from a query: a probe must not last as long as a listener's patience.
    """
    began = time.monotonic()
    tickets = {r.node.id: breakers.admit(r.node.id) for r in plan.requests} if breakers else {}

    def settle(node_id: str, outcome: Outcome | None, reason: str | None, took_ms: int) -> None:
        ticket = tickets.pop(node_id, None)
        if breakers is not None and ticket is not None:
            failed = None if outcome is None else breakers.rules.failed(outcome, reason, took_ms)
            breakers.settle(node_id, ticket, failed)

    left_alone = [r for r in plan.requests if r.node.id in tickets and tickets[r.node.id] is None]
    asked = {asyncio.ensure_future(ask_node(r, send, subquery, pages)) for r in plan.requests if r not in left_alone}
    waiting, closed = set(asked), False
    try:
        for request in left_alone:
            yield NodeResult(request, Outcome.CIRCUIT_OPEN, None, 0)
        while waiting:
            left = (until if closed else deadline) - time.monotonic()
            done, waiting = await asyncio.wait(waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    result = task.result()
                    settle(result.request.node.id, result.outcome, result.reason, result.took_ms)
                    yield result
            if not done and closed:
                return
            if not done and not closed:
                closed = True
                took = round((time.monotonic() - began) * 1000)
                for node_id in list(tickets):
                    settle(node_id, Outcome.TIMED_OUT, None, took)
                yield None
        if not closed:
            yield None
    finally:
        for node_id in list(tickets):
            settle(node_id, None, None, 0)
        for task in asked:
            task.cancel()  # no effect on those that are done
        if open_ones := {task for task in asked if not task.done()}:
            await asyncio.wait(open_ones, timeout=CLOSING_SECONDS)
