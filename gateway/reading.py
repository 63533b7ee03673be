"""What a node sent, checked as a whole before any of it is used: UTF-8, shape, whose record it is, order (DESIGN 5.2). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, gt
from typing import Any

import msgspec

from gateway.plan import NodeRequest, Target
from gateway.subquery import PROBE_PARTS, SubQuery

OPENING_BRACE = ord("{")
ABOVE_ALL = ("~", "~", "~")


@dataclass(frozen=True, slots=True)
class Slice:
    """What was asked of one connection: `size` rows below the position `after`, None for the first page."""

    size: int
    after: tuple[str, str, str] | None = None


class InvalidAnswer(Exception):
    """A node's body that must not be used; reason is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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
