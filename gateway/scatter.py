"""Asking the planned nodes at once, under a deadline. Every planned node gives exactly one NodeResult, whatever happens.

ask_parts never raises but for cancellation, so one hospital's fault cannot reach the others' answers. What a node sends is
checked by reading.py; how one is called is sending.py.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.breaker import Breakers
from gateway.contracts.filling import Unfit
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

    left_out: lists (by part) whose rows a node of another contract sent in a way that ours cannot carry, each with its
    reason; they are not in entities.
    """

    request: NodeRequest
    outcome: Outcome
    reason: str | None
    took_ms: int
    entities: tuple[Any, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[RecordKind, tuple[Outcome, str]]:
        """Kinds that a node of another contract could not be asked, or answered in a way that cannot be carried."""
        reduced = self.request.reduced
        if reduced is None:
            return {}
        out = {kind: (Outcome.UNSUPPORTED, reason) for kind, reason in reduced.unsupported.items()}
        for part, reason in self.left_out.items():
            out.update(dict.fromkeys(reduced.kinds_in(part), (Outcome.INVALID_RESPONSE, reason)))
        return out


GRACE_SECONDS = 0.1  # a call's own deadline comes first
Results = tuple[NodeResult, ...]
OUTCOMES = {
    Fault.TIMED_OUT: Outcome.TIMED_OUT,
    Fault.UNREACHABLE: Outcome.UNREACHABLE,
    Fault.TOO_LARGE: Outcome.INVALID_RESPONSE,
    Fault.OVER_BUDGET: Outcome.OVER_BUDGET,
}


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


def without_list(results: Iterable[NodeResult], part: str) -> frozenset[str]:
    """The ids of nodes that answered, but gave nothing of this list that could be carried: it is missing from the page too."""
    return frozenset(r.request.node.id for r in results if part in r.left_out)


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
    ticket = breakers.admit(call.node.id) if breakers else None
    if breakers and ticket is None:
        return tuple(NodeResult(part, Outcome.CIRCUIT_OPEN, None, 0) for part in parts)
    start = time.perf_counter()
    failed: bool | None = None  # a call that was cancelled says nothing
    try:
        body, outcome, reason = b"", Outcome.ANSWERED, None
        try:
            body = await send(call)
        except TransportError as error:
            outcome, reason = _fault(error)
        except Exception as error:  # noqa: BLE001 - a node's fault must never become the query's
            outcome, reason = Outcome.UNREACHABLE, type(error).__name__
        took_ms = round((time.perf_counter() - start) * 1000)
        if outcome is Outcome.ANSWERED:
            results = _read(call, parts, body, subquery, pages, took_ms)
        else:
            results = tuple(NodeResult(part, outcome, reason, took_ms) for part in parts)
        failed = breakers.rules.judged(results) if breakers else None
        return results
    finally:
        if breakers and ticket is not None:
            breakers.settle(call.node.id, ticket, failed)


def _read(
    call: NodeRequest,
    parts: Sequence[NodeRequest],
    body: bytes,
    subquery: SubQuery,
    pages: tuple[Slice, ...],
    took_ms: int,
) -> Results:
    """What a node's body makes of each part. One patient's bad rows do not spoil another's."""
    left_out: Sequence[Mapping[str, str] | Unfit] = ()
    try:
        if call.reduced is not None:
            filled = call.reduced.fill(body)
            body, left_out = filled.body, filled.left_out
        entities = decode_answer(body, call, subquery)
    except Exception as error:  # noqa: BLE001 - what reading it stumbles over must not become the query's either
        return tuple(NodeResult(part, Outcome.INVALID_RESPONSE, _why(error), took_ms) for part in parts)
    place = {t.ref: n for n, t in enumerate(call.targets)} if len(parts) > 1 or left_out else {}
    results: list[NodeResult] = []
    for part in parts:
        try:
            own = [entities[place[t.ref]] for t in part.targets] if place else entities
            lost = _lost(own, [left_out[place[t.ref]] for t in part.targets], subquery) if left_out else {}
            checked = check_entities(own, part, subquery, pages)
            results.append(NodeResult(part, Outcome.ANSWERED, None, took_ms, checked, lost))
        except Exception as error:  # noqa: BLE001 - the same
            results.append(NodeResult(part, Outcome.INVALID_RESPONSE, _why(error), took_ms))
    return tuple(results)


def _lost(own: Sequence[Any], left_out: Sequence[Mapping[str, str] | Unfit], subquery: SubQuery) -> Mapping[str, str]:
    """The lists that one person's rows at this node must do without; raises Unfit. A list is missing as a whole, of every
    row of the person: a page can only ask a node again, not one row of it."""
    lost: dict[str, str] = {}
    for one in left_out:
        if isinstance(one, Unfit):
            raise one
        lost.update(one)
    for part in lost.keys() & {c.part for c in subquery.connections} if len(own) > 1 else ():
        for connection in (getattr(entity, part) for entity in own):
            connection.edges.clear()
            connection.pageInfo.hasNextPage = False
    return lost


def _why(error: Exception) -> str:
    return error.reason if isinstance(error, InvalidAnswer | Unfit) else type(error).__name__


def _fault(error: TransportError) -> tuple[Outcome, str | None]:
    if error.fault is Fault.STATUS:
        refused = error.status in (401, 403)
        return Outcome.REFUSED if refused else Outcome.INVALID_RESPONSE, f"HTTP_{error.status}"
    return OUTCOMES[error.fault], error.fault.value if error.fault is Fault.TOO_LARGE else None
