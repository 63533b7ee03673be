"""Several patients in one call to a node of another contract: what cannot be carried of one spoils nothing of the others."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from gateway.plan import NodeRequest, plan_query
from gateway.reading import Slice
from gateway.scatter import ask_parts
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.aged_city import city_with, full_variables, rows
from tests.gateway.ages import Aged, newer
from tests.gateway.asking import choice, compiled, located, node_patient, question


def test_one_patients_unknown_value_spoils_nothing_of_another_in_the_same_call() -> None:
    asked = compiled(question("encounters { edges { node { id feed } } } name"))
    held = rows("A", RecordKind.ENCOUNTER)
    node = Aged.of(newer(("  EMR\n", "  EMR\n  TELEPATHY\n")))
    plan = plan_query(
        asked.subquery, asked.raw, choice(*(located("A", r) for r in ("one", "two", "six"))), city_with(node), None
    )
    (call,) = plan.requests
    assert call.reduced is not None
    parts = [replace(call, targets=(target,)) for target in call.targets]
    people = {t.ref: {**node_patient("A", held), "ref": t.ref} for t in call.targets}
    for ref, person in people.items():
        page = person["encounters"]()
        edges = [
            {**e, "subject": ref, "node": {**e["node"], "feed": "TELEPATHY" if ref == "two" else "FHIR"}}
            for e in page["edges"]
        ]
        people[ref]["encounters"] = {**page, "edges": edges}
    variables = full_variables(asked)
    variables[f"{asked.subquery.prefix}refs"] = [{"__typename": "Patient", "ref": t.ref} for t in call.targets]
    body = call.reduced.body(variables)

    async def send(_: NodeRequest) -> bytes:
        answer = json.loads(node.reply(body, {r: p for r, p in people.items() if r != "six"}))
        answer["data"]["_entities"][[t.ref for t in call.targets].index("six")] = {"p0": 7}
        return json.dumps(answer).encode()

    found = dict(
        zip(["one", "six", "two"], asyncio.run(ask_parts(call, parts, send, asked.subquery, (Slice(20),))), strict=True)
    )
    assert (found["one"].outcome, found["one"].kinds) == (Outcome.ANSWERED, {}) and len(
        found["one"].entities[0].c0.edges
    ) == 1
    assert found["two"].kinds == {RecordKind.ENCOUNTER: (Outcome.INVALID_RESPONSE, "ENUM_VALUE_UNKNOWN")}
    assert (found["six"].outcome, found["six"].reason) == (Outcome.INVALID_RESPONSE, "NOT_THE_CONTRACT")
