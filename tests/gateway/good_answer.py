"""A question, a good answer to it, and how the gateway takes a changed one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from gateway.plan import NodeRequest
from gateway.reading import Slice
from gateway.scatter import NodeResult, ask_node
from schema.elements import RecordKind
from tests.gateway.asking import compiled, make_row, node_answer, node_patient, question, request

ASKED = compiled(
    question(
        "allergyStatus medicationStatus encounters(first: 3) { edges { a: node { id } b: node { reason } } }"
        " timeline(first: 5) { edges { node { id } } }"
    )
)
PAGES = (Slice(3), Slice(5))
KINDS = (RecordKind.ENCOUNTER, RecordKind.CONDITION, RecordKind.PRESCRIPTION, RecordKind.ALLERGY_INTOLERANCE)
ROWS = [make_row(random.Random(n), "A", n, KINDS[n % 4], f"2024-0{n % 3 + 1}-01T00:00:00.000000") for n in range(12)]
GOOD = node_answer(ASKED, (3, 5), node_patient("A", ROWS))
Change = Callable[[Any], Any]


def ask(body: bytes | BaseException, to: NodeRequest | None = None, pages: tuple[Slice, ...] = PAGES) -> NodeResult:
    async def send(_: NodeRequest) -> bytes:
        if isinstance(body, BaseException):
            raise body
        return body

    return asyncio.run(ask_node(to or request("A"), send, ASKED.subquery, pages))


def changed(change: Change, good: bytes = GOOD) -> bytes:
    answer = json.loads(good)
    change(answer)
    return json.dumps(answer, ensure_ascii=False).encode()


def entity(answer: Any) -> Any:
    return answer["data"]["_entities"][0]


def first_edge(answer: Any) -> Any:
    return entity(answer)["c0"]["edges"][0]


def delete(name: str) -> Change:
    return lambda a: entity(a).pop(name)


def put(path: str, value: Any) -> Change:
    """Sets entity.path, where numbers are list indexes."""

    def change(answer: Any) -> None:
        at, steps = entity(answer), path.split(".")
        for step in steps[:-1]:
            at = at[int(step)] if step.isdigit() else at[step]
        last = steps[-1]
        at[int(last) if last.isdigit() else last] = value

    return change
