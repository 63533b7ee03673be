"""A city of nodes of several ages: one question planned, asked, filled and put into the ledger."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec

from gateway.city.registry import City
from gateway.coverage import Assessment, assess
from gateway.merge import merge
from gateway.plan import NodeRequest, QueryPlan, page_sizes, plan_query, request_variables
from gateway.reading import Slice
from gateway.scatter import NodeResult
from schema.elements import RecordKind
from tests.gateway.ages import SDL, Aged
from tests.gateway.asking import FRESH, NOW, Question, choice, city, make_row, node_patient, scatter, state
from tests.node_agent.naive import representations
from tests.plain import Json


def rows(facility: str, *kinds: RecordKind, **changes: Any) -> list[Any]:
    made = [
        make_row(random.Random(n), facility, n, k, f"2024-0{9 - n}-01T00:00:00.000000") for n, k in enumerate(kinds)
    ]
    for row in made:
        row["body"] |= changes
    return made


def asked_of(
    asked: Question, ages: dict[str, str | None], held: dict[str, list[Any]]
) -> tuple[QueryPlan, list[NodeResult], Assessment, dict[str, Aged]]:
    """One query over a node a facility. ages: the SDL each serves, None for ours."""
    nodes = {f: Aged.of(sdl or SDL) for f, sdl in ages.items()}
    plain = city(*(state(f) for f in ages))
    contracts = {f"node-{f}": n.contract if ages[f] else None for f, n in nodes.items()}
    aged = {i: replace(n, contract=contracts[i]) for i, n in plain.nodes.items()}
    of = City(plain.facilities, MappingProxyType(aged))
    plan = plan_query(asked.subquery, asked.raw, choice(*ages), of, None)

    async def send(request: NodeRequest) -> bytes:
        facility = request.targets[0].facility
        variables = full_variables(asked)
        variables[f"{asked.subquery.prefix}refs"] = [{"__typename": "Patient", "ref": f"ref-{facility}"}]
        body = request.reduced.body(variables) if request.reduced else ordinary_body(asked, variables)
        return nodes[facility].reply(body, {f"ref-{facility}": node_patient(facility, held[facility])})

    pages = tuple(Slice(c.first(asked.raw)) for c in asked.subquery.connections)
    results = list(asyncio.run(scatter(plan, send, asked.subquery, pages)))
    return plan, results, assess(plan, results, of, asked.subquery, NOW, FRESH), nodes


def kinds(ledger: Assessment, facility: str) -> dict[str, tuple[str, str | None, int]]:
    (line,) = (x for x in ledger.located if x.facility == facility)
    return {k.value: (o.value, reason, n) for k, o, reason, n in line.kinds}


def lines(ledger: Assessment) -> dict[str, tuple[str, str | None]]:
    return {x.facility: (x.outcome.value, x.reason) for x in ledger.located}


def bodies(results: list[NodeResult], alias: str = "n0", part: str = "c0") -> dict[str, Any]:
    page = merge([getattr(e, part) for r in results for e in r.entities], 100)
    return {edge.id: msgspec.json.decode(getattr(edge, alias)) for edge in page.edges}


def city_with(node: Aged) -> City:
    plain = city(state("A"))
    (one,) = plain.nodes.values()
    return City(plain.facilities, MappingProxyType({one.id: replace(one, contract=node.contract)}))


def replace_contract(contract: Any) -> Aged:
    return replace(Aged.of(SDL), contract=contract)


def full_variables(asked: Question) -> Json:
    sizes = page_sizes(asked.subquery.connections, asked.raw)
    variables = request_variables(asked.subquery, asked.raw, sizes, [None] * len(sizes))
    variables[f"{asked.subquery.prefix}refs"] = representations(["ref-A"])
    return variables


def ordinary_body(asked: Question, variables: Json) -> bytes:
    return json.dumps({"query": asked.subquery.text, "variables": variables}).encode()
