"""Asking the planned nodes at once, under a deadline. Every planned node gives exactly one NodeResult, whatever happens.

ask_parts never raises but for cancellation, so one hospital's fault cannot reach the others' answers. What a node sends is
checked here as a whole before any of it is used: UTF-8, shape, whose record it is, order (DESIGN 5.2).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter, gt
from typing import Any, NamedTuple

import msgspec

from gateway.breaker import Breakers
from gateway.bulkhead import Bulkheads
from gateway.filling import Unfit
from gateway.plan import NodeRequest, QueryPlan, Target
from gateway.subquery import PROBE_PARTS, SubQuery
from gateway.transport import Fault, Transport, TransportError
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


@dataclass(frozen=True, slots=True)
class Slice:
    """What was asked of one connection: `size` rows below the position `after`, None for the first page."""

    size: int
    after: tuple[str, str, str] | None = None


Pages = tuple[Slice, ...] | Mapping[str, tuple[Slice, ...]]
OPENING_BRACE = ord("{")
ABOVE_ALL = ("~", "~", "~")
GRACE_SECONDS = 0.1  # a call's own deadline comes first
RETRY_SECONDS = 0.25  # with less left a second call would only keep a slow node busy
BUSY = 503
Send = Callable[[NodeRequest], Awaitable[bytes]]
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


class InvalidAnswer(Exception):
    """A node's body that must not be used; reason is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_answer(body: bytes, request: NodeRequest, subquery: SubQuery, pages: tuple[Slice, ...]) -> tuple[Any, ...]:
    """The decoded entities, one a target; raises InvalidAnswer. Pure."""
    return check_entities(decode_answer(body, request, subquery), request, subquery, pages)


def decode_answer(body: bytes, request: NodeRequest, subquery: SubQuery) -> Sequence[Any]:
    """One entity (or None) a target, not looked at yet; raises InvalidAnswer.

    msgspec.Raw takes invalid UTF-8 unseen, so the whole body is decoded first; deep nesting raises RecursionError.
    """
    try:
        str(body, "utf-8")
        envelope = subquery.decoder.decode(body)
    except UnicodeDecodeError:
        raise InvalidAnswer("NOT_UTF8") from None
    except msgspec.ValidationError:
        raise InvalidAnswer("NOT_THE_CONTRACT") from None
    except msgspec.DecodeError:
        raise InvalidAnswer("NOT_JSON") from None
    except RecursionError:
        raise InvalidAnswer("NESTED_TOO_DEEPLY") from None
    if envelope.errors or envelope.data is None:
        raise InvalidAnswer("ERRORS_IN_ANSWER")
    entities: Sequence[Any] = envelope.data._entities
    if len(entities) != len(request.targets):
        raise InvalidAnswer("WRONG_NUMBER_OF_ENTITIES")
    return entities


def check_entities(
    entities: Sequence[Any], request: NodeRequest, subquery: SubQuery, pages: tuple[Slice, ...]
) -> tuple[Any, ...]:
    """The entities, when each is about its target and what was asked of it; raises InvalidAnswer."""
    for entity, target in zip(entities, request.targets, strict=True):
        if entity is None:
            raise InvalidAnswer("REF_UNKNOWN")
        if entity.ref != target.ref:
            raise InvalidAnswer("ANOTHER_PATIENT")
        for plan, asked in zip(subquery.connections, pages, strict=True):
            connection = getattr(entity, plan.part)
            if connection.pageInfo.hasNextPage and not connection.edges:
                raise InvalidAnswer("MORE_AFTER_NOTHING")  # no cursor could ever reach it
            _check(connection.edges, target, asked, [alias for _, alias in plan.nodes])
        for probe in subquery.probes:
            for name in PROBE_PARTS[probe]:
                if any(edge.subject != target.ref for edge in getattr(entity, name).edges):
                    raise InvalidAnswer("ANOTHER_PATIENT")
    return tuple(entities)


def _check(edges: list[Any], target: Target, asked: Slice, nodes: list[str]) -> None:
    """One page of one node. A page that starts above where it was told to would loop a client for ever."""
    # All rows at a time: the loops run in C.
    if len(edges) > asked.size:
        raise InvalidAnswer("TOO_MANY_ROWS")
    if {edge.subject for edge in edges} - {target.ref}:
        raise InvalidAnswer("ANOTHER_PATIENT")
    if {edge.facility for edge in edges} - {target.facility}:
        raise InvalidAnswer("ANOTHER_FACILITY")
    keys = [(edge.sortKey, edge.facility, edge.id) for edge in edges]
    if "|" in "".join([edge.sortKey + edge.id for edge in edges]):  # it parts the keys of a cursor
        raise InvalidAnswer("NOT_THE_CONTRACT")
    if not all(map(gt, [asked.after or ABOVE_ALL, *keys], keys)):
        raise InvalidAnswer("OUT_OF_ORDER")
    if len({edge.id for edge in edges}) != len(edges):
        raise InvalidAnswer("DUPLICATE_ID")
    for name in nodes:
        if any(memoryview(body)[0] != OPENING_BRACE for body in map(attrgetter(name), edges)):
            raise InvalidAnswer("BODY_IS_NO_OBJECT")


class Post(NamedTuple):
    """What one node is sent: the request's body and the delegation that goes with it."""

    body: bytes
    delegation: str


async def send_post(
    transport: Transport,
    request: NodeRequest,
    post: Post,
    deadline: float,
    node_seconds: float,
    cap: int,
    bulkheads: Bulkheads | None = None,
    again: Callable[[], Post] | None = None,
) -> bytes:
    """Calls one node. Its own deadline is the tighter of node_seconds and what is left until `deadline` (a time.monotonic()
    moment); cap: the largest answer, in bytes. Raises TransportError.

    A connection that broke before any answer, or a 503, is tried once more with what `again` gives, while the budget has
    a retry and the deadline RETRY_SECONDS. A node remembers each delegation: the same one would be refused.
    """
    now = time.monotonic()
    until = min(now + node_seconds, deadline)
    if bulkheads is None or until <= now:
        return await _call(transport, request, post, until - now, cap)
    room = bulkheads.of(request.node.id)
    if not room.take():
        await room.wait(until - now)
        now = time.monotonic()
    try:
        bulkheads.retries.earn()
        try:
            return await _call(transport, request, post, until - now, cap)
        except TransportError as error:
            again_worth = error.early or error.status == BUSY
            left = until - time.monotonic()
            if again is None or not again_worth or left < RETRY_SECONDS or not bulkheads.retries.spend():
                raise
        return await _call(transport, request, again(), left, cap)
    finally:
        room.leave()


async def _call(transport: Transport, request: NodeRequest, post: Post, seconds: float, cap: int) -> bytes:
    if seconds <= 0:
        raise TransportError(Fault.TIMED_OUT)
    headers = {
        "authorization": f"Bearer {post.delegation}",
        "content-type": "application/json",
        "deadline-milliseconds": str(int(seconds * 1000)),
    }
    return await transport.post(f"{request.node.url}/graphql", post.body, headers, seconds, cap)


def sender(
    transport: Transport,
    posts: Mapping[str, Post],
    deadline: float,
    node_seconds: float,
    cap: int,
    bulkheads: Bulkheads | None = None,
    again: Callable[[NodeRequest], Post] | None = None,
) -> Send:
    """send_post for nodes that are called once each (posts: by node id)."""

    async def send(request: NodeRequest) -> bytes:
        anew = partial(again, request) if again else None
        post = posts[request.node.id]
        return await send_post(transport, request, post, deadline, node_seconds, cap, bulkheads, anew)

    return send
