"""Asking the planned nodes at once, under a deadline. Every planned node gives exactly one NodeResult, whatever happens.

ask_node never raises but for cancellation, so one hospital's fault cannot reach the others' answers. What a node sends is
checked here as a whole before any of it is used: UTF-8, shape, whose record it is, order (DESIGN 5.2).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter, gt
from typing import Any, NamedTuple

import msgspec

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


OPENING_BRACE = ord("{")
ABOVE_ALL = ("~", "~", "~")
GRACE_SECONDS = 0.1  # a call's own deadline comes first
Send = Callable[[NodeRequest], Awaitable[bytes]]
OUTCOMES = {
    Fault.TIMED_OUT: Outcome.TIMED_OUT,
    Fault.UNREACHABLE: Outcome.UNREACHABLE,
    Fault.TOO_LARGE: Outcome.INVALID_RESPONSE,
    Fault.OVER_BUDGET: Outcome.OVER_BUDGET,
}


async def scatter(
    plan: QueryPlan, send: Send, subquery: SubQuery, pages: tuple[Slice, ...], deadline: float = math.inf
) -> tuple[NodeResult, ...]:
    """Ask all planned nodes; results in the plan's order.

    `send` keeps the deadline of each call; `deadline` (a time.monotonic() moment) is the backstop for all of them: what was
    gathered by then stays, the rest is TIMED_OUT.
    """
    asked = [asyncio.ensure_future(ask_node(r, send, subquery, pages)) for r in plan.requests]
    if not asked:
        return ()
    left = None if deadline == math.inf else max(0.0, deadline - time.monotonic()) + GRACE_SECONDS
    try:
        await asyncio.wait(asked, timeout=left)
    finally:
        for task in asked:
            task.cancel()  # no effect on those that are done
    return tuple(
        task.result()
        if task.done() and not task.cancelled()
        else NodeResult(r, Outcome.TIMED_OUT, None, round((left or 0) * 1000))
        for task, r in zip(asked, plan.requests, strict=True)
    )


async def ask_node(request: NodeRequest, send: Send, subquery: SubQuery, pages: tuple[Slice, ...]) -> NodeResult:
    """One node's result. Anything unforeseen is INVALID_RESPONSE, never an exception."""
    start = time.perf_counter()

    def result(
        outcome: Outcome,
        reason: str | None,
        entities: tuple[Any, ...] = (),
        invalid: Mapping[RecordKind, str] | None = None,
    ) -> NodeResult:
        took_ms = round((time.perf_counter() - start) * 1000)
        return NodeResult(request, outcome, reason, took_ms, entities, invalid or {})

    try:
        body = await send(request)
    except TransportError as error:
        if error.fault is Fault.STATUS:
            refused = error.status in (401, 403)
            return result(Outcome.REFUSED if refused else Outcome.INVALID_RESPONSE, f"HTTP_{error.status}")
        return result(OUTCOMES[error.fault], error.fault.value if error.fault is Fault.TOO_LARGE else None)
    except Exception as error:  # noqa: BLE001 - a node's fault must never become the query's
        return result(Outcome.UNREACHABLE, type(error).__name__)
    try:
        invalid: Mapping[RecordKind, str] = {}
        if request.reduced is not None:
            filled = request.reduced.fill(body)
            body, invalid = filled.body, filled.invalid
        return result(Outcome.ANSWERED, None, read_answer(body, request, subquery, pages), invalid)
    except (InvalidAnswer, Unfit) as error:
        return result(Outcome.INVALID_RESPONSE, error.reason)
    except Exception as error:  # noqa: BLE001 - what reading it stumbles over must not become the query's either
        return result(Outcome.INVALID_RESPONSE, type(error).__name__)


class InvalidAnswer(Exception):
    """A node's body that must not be used; reason is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_answer(body: bytes, request: NodeRequest, subquery: SubQuery, pages: tuple[Slice, ...]) -> tuple[Any, ...]:
    """The decoded entities, one a target; raises InvalidAnswer. Pure.

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
    entities = envelope.data._entities
    if len(entities) != len(request.targets):
        raise InvalidAnswer("WRONG_NUMBER_OF_ENTITIES")
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


def sender(transport: Transport, posts: Mapping[str, Post], deadline: float, node_seconds: float, cap: int) -> Send:
    """The function that calls one node (posts: by its id): its own deadline is the tighter of node_seconds and what is left
    until `deadline` (a time.monotonic() moment)."""

    async def send(request: NodeRequest) -> bytes:
        seconds = min(node_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise TransportError(Fault.TIMED_OUT)
        body, delegation = posts[request.node.id]
        headers = {
            "authorization": f"Bearer {delegation}",
            "content-type": "application/json",
            "deadline-milliseconds": str(int(seconds * 1000)),
        }
        return await transport.post(f"{request.node.url}/graphql", body, headers, seconds, cap)

    return send
