"""Asking the planned nodes at once and handing out each result as it comes: scatter.py for those who do not wait for all.

Every planned node gives at most one result here; who has given none when the ledger is written is the caller's to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from gateway.plan import QueryPlan
from gateway.scatter import NodeResult, Send, Slice, ask_node
from gateway.subquery import SubQuery

CLOSING_SECONDS = 1.0  # how long a cancelled call may take to let go of its socket


async def stream(
    plan: QueryPlan, send: Send, subquery: SubQuery, pages: tuple[Slice, ...], deadline: float, until: float
) -> AsyncGenerator[NodeResult | None, None]:
    """Results in the order of their coming; None once, when all are in or `deadline` is over, whichever is first.

    After that None, results of late nodes follow until `until`. Both are time.monotonic() moments. Closing the generator
    cancels the calls that are open and waits for them to let go. A call that somebody else cancelled gives no result.
    """
    asked = {asyncio.ensure_future(ask_node(r, send, subquery, pages)) for r in plan.requests}
    waiting, closed = set(asked), False
    try:
        while waiting:
            left = (until if closed else deadline) - time.monotonic()
            done, waiting = await asyncio.wait(waiting, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    yield task.result()
            if not done and closed:
                return
            if not done and not closed:
                closed = True
                yield None
        if not closed:
            yield None
    finally:
        for task in asked:
            task.cancel()  # no effect on those that are done
        if open_ones := {task for task in asked if not task.done()}:
            await asyncio.wait(open_ones, timeout=CLOSING_SECONDS)
