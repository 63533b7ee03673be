"""Asking the planned nodes at once, under a deadline. Every planned node gives exactly one NodeResult, whatever happens.

ask_parts never raises but for cancellation, so one hospital's fault cannot reach the others' answers. What a node sends is
checked by reading.py; how one is called is sending.py.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.breaker import Breakers
from gateway.filling import Unfit
from gateway.plan import NodeRequest, QueryPlan
from gateway.reading import InvalidAnswer, Slice, check_entities, decode_answer
from gateway.sending import Send
from gateway.subquery import SubQuery
from gateway.transport import Fault, TransportError
from schema.coverage import Outcome
from schema.elements import RecordKind


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What one node did. entities: one decoded entity a target, or empty unless outcome is ANSWERED. took_ms: from asking.

    invalid: kinds whose rows a node of another contract sent in a way that ours cannot carry; they are not in entities.
    """

    request: NodeRequest
    outcome: Outcome
    reason: str | None
    took_ms: int
    entities: tuple[Any, ...] = ()
    invalid: Mapping[RecordKind, str] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[RecordKind, tuple[Outcome, str]]:
        """Kinds that a node of another contract could not be asked, or answered in a way that cannot be carried."""
        if self.request.reduced is None:
            return {}
        out = {kind: (Outcome.UNSUPPORTED, reason) for kind, reason in self.request.reduced.unsupported.items()}
        return {**out, **{kind: (Outcome.INVALID_RESPONSE, reason) for kind, reason in self.invalid.items()}}


Pages = tuple[Slice, ...] | Mapping[str, tuple[Slice, ...]]
GRACE_SECONDS = 0.1  # a call's own deadline comes first
Results = tuple[NodeResult, ...]
OUTCOMES = {
    Fault.TIMED_OUT: Outcome.TIMED_OUT,
    Fault.UNREACHABLE: Outcome.UNREACHABLE,
    Fault.TOO_LARGE: Outcome.INVALID_RESPONSE,
    Fault.OVER_BUDGET: Outcome.OVER_BUDGET,
}


async def scatter(
    plan: QueryPlan,
    send: Send,
    subquery: SubQuery,
    pages: Pages,
    deadline: float = math.inf,
    breakers: Breakers | None = None,
) -> tuple[NodeResult, ...]:
    """Ask all planned nodes about one patient; results in the plan's order. pages: what of each list is asked, of all nodes
    alike or by node id. `send` keeps the deadline of each call; see gathered for `deadline`.
    """
    by_node = (lambda _: pages) if isinstance(pages, tuple) else pages.__getitem__
    asked = [ask_parts(r, (r,), send, subquery, by_node(r.node.id), breakers) for r in plan.requests]
    return tuple(r for results in await gathered(asked, [(r,) for r in plan.requests], deadline) for r in results)


async def gathered(
    asked: Sequence[Coroutine[Any, Any, Results]], parts: Sequence[Sequence[NodeRequest]], deadline: float
) -> list[Results]:
    """All calls at once. `deadline` (a time.monotonic() moment) is the backstop for all of them: what was gathered by then
    stays, the rest is TIMED_OUT. parts: of each call, whom it is about."""
    if not asked:
        return []
    tasks = [asyncio.ensure_future(call) for call in asked]
    left = None if deadline == math.inf else max(0.0, deadline - time.monotonic()) + GRACE_SECONDS
    try:
        await asyncio.wait(tasks, timeout=left)
    finally:
        for task in tasks:
            task.cancel()  # no effect on those that are done
    late = round((left or 0) * 1000)
    return [
        task.result()
        if task.done() and not task.cancelled()
        else tuple(NodeResult(r, Outcome.TIMED_OUT, None, late) for r in whom)
        for task, whom in zip(tasks, parts, strict=True)
    ]


def failed_nodes(plan: QueryPlan, results: tuple[NodeResult, ...]) -> frozenset[str]:
    """The ids of located nodes that gave nothing: what they hold is missing from the page."""
    away = {s.node for s in plan.skipped if s.node}
    return frozenset({r.request.node.id for r in results if r.outcome is not Outcome.ANSWERED} | away)


async def ask_node(
    request: NodeRequest, send: Send, subquery: SubQuery, pages: tuple[Slice, ...], breakers: Breakers | None = None
) -> NodeResult:
    """One node's result about one patient."""
    (result,) = await ask_parts(request, (request,), send, subquery, pages, breakers)
    return result


async def ask_parts(
    call: NodeRequest,
    parts: Sequence[NodeRequest],
    send: Send,
    subquery: SubQuery,
    pages: tuple[Slice, ...],
    breakers: Breakers | None = None,
) -> Results:
    """One call to a node about one patient or several, a result for each (parts: whose targets are among the call's);
    CIRCUIT_OPEN at once where its breaker is open. Anything unforeseen is INVALID_RESPONSE, never an exception.
    """
    if breakers is None:
        return await _ask(call, parts, send, subquery, pages)
    ticket = breakers.admit(call.node.id)
    if ticket is None:
        return tuple(NodeResult(part, Outcome.CIRCUIT_OPEN, None, 0) for part in parts)
    failed: bool | None = None  # a call that was cancelled says nothing
    try:
        results = await _ask(call, parts, send, subquery, pages)
        judged = {breakers.rules.failed(r.outcome, r.reason, r.took_ms) for r in results}
        failed = True in judged or (None if judged == {None} else False)
        return results
    finally:
        breakers.settle(call.node.id, ticket, failed)


async def _ask(
    call: NodeRequest, parts: Sequence[NodeRequest], send: Send, subquery: SubQuery, pages: tuple[Slice, ...]
) -> Results:
    """One patient's bad rows do not spoil another's."""
    start = time.perf_counter()

    invalid: Mapping[RecordKind, str] = {}

    def result(part: NodeRequest, outcome: Outcome, reason: str | None, entities: tuple[Any, ...] = ()) -> NodeResult:
        took_ms = round((time.perf_counter() - start) * 1000)
        return NodeResult(part, outcome, reason, took_ms, entities, invalid)

    try:
        body = await send(call)
    except TransportError as error:
        outcome, reason = _fault(error)
        return tuple(result(part, outcome, reason) for part in parts)
    except Exception as error:  # noqa: BLE001 - a node's fault must never become the query's
        return tuple(result(part, Outcome.UNREACHABLE, type(error).__name__) for part in parts)

    def read(part: NodeRequest) -> NodeResult:
        try:
            own = entities if part is call else [entities[place[t.ref]] for t in part.targets]
            return result(part, Outcome.ANSWERED, None, check_entities(own, part, subquery, pages))
        except InvalidAnswer as error:
            return result(part, Outcome.INVALID_RESPONSE, error.reason)
        except Exception as error:  # noqa: BLE001 - what reading it stumbles over must not become the query's either
            return result(part, Outcome.INVALID_RESPONSE, type(error).__name__)

    try:
        if call.reduced is not None:
            filled = call.reduced.fill(body)
            body, invalid = filled.body, filled.invalid
        entities = decode_answer(body, call, subquery)
    except (InvalidAnswer, Unfit) as error:
        return tuple(result(part, Outcome.INVALID_RESPONSE, error.reason) for part in parts)
    except Exception as error:  # noqa: BLE001 - the same
        return tuple(result(part, Outcome.INVALID_RESPONSE, type(error).__name__) for part in parts)
    place = {t.ref: n for n, t in enumerate(call.targets)} if len(parts) > 1 else {}
    return tuple(map(read, parts))


def _fault(error: TransportError) -> tuple[Outcome, str | None]:
    if error.fault is Fault.STATUS:
        refused = error.status in (401, 403)
        return Outcome.REFUSED if refused else Outcome.INVALID_RESPONSE, f"HTTP_{error.status}"
    return OUTCOMES[error.fault], error.fault.value if error.fault is Fault.TOO_LARGE else None
