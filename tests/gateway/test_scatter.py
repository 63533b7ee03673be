"""One result a node, whatever the node does; and nothing of a wrong answer is ever used."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.plan import NodeRequest, QueryPlan
from gateway.scatter import NodeResult, Send, Slice, ask_node, scatter, sender
from gateway.transport import Fault, PyreqwestTransport, TransportError
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import compiled, make_row, node, node_answer, node_patient, question, request
from tests.gateway.misbehaving import Misbehaving

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


def test_a_good_answer_is_used() -> None:
    result = ask(GOOD)
    assert (result.outcome, result.reason) == (Outcome.ANSWERED, None)
    assert [len(result.entities[0].c0.edges), len(result.entities[0].c1.edges)] == [3, 5]
    assert ask(changed(lambda a: a.update(errors=[], extensions={"x": 1}))).outcome is Outcome.ANSWERED
    assert ask(changed(lambda a: a.update(errors=None))).outcome is Outcome.ANSWERED
    assert ask(changed(lambda a: entity(a).update(newer=1))).outcome is Outcome.ANSWERED


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


WRONG: list[tuple[str, bytes, str]] = [
    ("garbage", b"<html>log in</html>", "NOT_JSON"),
    ("nothing", b"", "NOT_JSON"),
    ("cut", GOOD[: len(GOOD) // 2], "NOT_JSON"),
    ("two documents", GOOD + GOOD, "NOT_JSON"),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD, "NOT_JSON"),
    ("NaN", GOOD.replace(b'"hasNextPage":', b'"hasNextPage":NaN,"x":', 1), "NOT_JSON"),
    ("control character in a body", GOOD.replace(b'"n0":{"id":"', b'"n0":{"id":"\n', 1), "NOT_JSON"),
    ("lone surrogate in a body", GOOD.replace(b'"n0":{"id":"', b'"n0":{"id":"\\ud800', 1), "NOT_JSON"),
    ("invalid UTF-8 in a body", GOOD.replace(b'"n0":{"id":"', b'"n0":{"id":"\xc3\x28', 1), "NOT_UTF8"),
    ("invalid UTF-8 in a name", GOOD.replace("Tên".encode(), b"T\xffn"), "NOT_UTF8"),
    ("surrogates as bytes", GOOD.replace("Tên".encode(), b"\xed\xa0\x80"), "NOT_UTF8"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "NOT_UTF8"),
    ("5,000 levels in a body", GOOD.replace(b'"n0":{', b'"n0":{"x":' + b"[" * 5_000 + b"]" * 5_000 + b",", 1), "NESTED_TOO_DEEPLY"),
    ("100,000 levels beside", GOOD[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "NESTED_TOO_DEEPLY"),
    ("a list", b"[]", "NOT_THE_CONTRACT"),
    ("null", b"null", "NOT_THE_CONTRACT"),
    ("data is a list", b'{"data":[]}', "NOT_THE_CONTRACT"),
    ("no data", b"{}", "ERRORS_IN_ANSWER"),
    ("data null", b'{"data":null}', "ERRORS_IN_ANSWER"),
    ("errors alone", b'{"errors":[{"message":"x"}]}', "ERRORS_IN_ANSWER"),
    ("errors with data", changed(lambda a: a.update(errors=[{"message": "m"}])), "ERRORS_IN_ANSWER"),
    ("no entities", changed(lambda a: a["data"].update(_entities=[])), "WRONG_NUMBER_OF_ENTITIES"),
    ("an entity too many", changed(lambda a: a["data"]["_entities"].append(entity(a))), "WRONG_NUMBER_OF_ENTITIES"),
    ("an entity null", changed(lambda a: a["data"].update(_entities=[None])), "REF_UNKNOWN"),
    ("another ref", changed(put("ref", "ref-B")), "ANOTHER_PATIENT"),
    ("another subject", changed(put("c0.edges.2.subject", "ref-B")), "ANOTHER_PATIENT"),
    ("another subject in the timeline", changed(put("c1.edges.4.subject", "ref-B")), "ANOTHER_PATIENT"),
    ("another subject in the allergy probe", changed(put("probe.edges.0.subject", "ref-B")), "ANOTHER_PATIENT"),
    ("another subject in the medicine probe", changed(put("m0.edges.0.subject", "ref-B")), "ANOTHER_PATIENT"),
    ("another facility", changed(put("c0.edges.0.facility", "B")), "ANOTHER_FACILITY"),
    ("out of order", changed(lambda a: entity(a)["c0"]["edges"].reverse()), "OUT_OF_ORDER"),
    ("a row twice", changed(lambda a: entity(a)["c0"]["edges"].__setitem__(1, first_edge(a))), "OUT_OF_ORDER"),
    ("an id twice", changed(put("c0.edges.2.id", json.loads(GOOD)["data"]["_entities"][0]["c0"]["edges"][0]["id"])), "DUPLICATE_ID"),
    ("a sort key above all", changed(put("c0.edges.0.sortKey", "~~")), "OUT_OF_ORDER"),
    ("a sort key that breaks cursors", changed(put("c0.edges.0.sortKey", "2030|x")), "NOT_THE_CONTRACT"),
    ("an id that breaks cursors", changed(put("c0.edges.0.id", "a|b")), "NOT_THE_CONTRACT"),
    ("too many rows", changed(lambda a: entity(a)["c0"]["edges"].append({**entity(a)["c0"]["edges"][2], "sortKey": "", "id": "zz"})), "TOO_MANY_ROWS"),
    ("node null", changed(put("c0.edges.0.n0", None)), "BODY_IS_NO_OBJECT"),
    ("node a string", changed(put("c0.edges.1.n1", "body")), "BODY_IS_NO_OBJECT"),
    ("node a list", changed(put("c1.edges.0.n0", [])), "BODY_IS_NO_OBJECT"),
    ("node a number", changed(put("c1.edges.0.n0", 1)), "BODY_IS_NO_OBJECT"),
    ("node missing", changed(lambda a: first_edge(a).pop("n1")), "NOT_THE_CONTRACT"),
    ("list missing", changed(delete("c1")), "NOT_THE_CONTRACT"),
    ("probe missing", changed(delete("probe")), "NOT_THE_CONTRACT"),
    ("ledger missing", changed(delete("ledger")), "NOT_THE_CONTRACT"),
    ("ledger null", changed(put("ledger", None)), "NOT_THE_CONTRACT"),
    ("failed items as text", changed(put("ledger.failedItems", "0")), "NOT_THE_CONTRACT"),
    ("asOf no date", changed(put("ledger.asOf", "yesterday")), "NOT_THE_CONTRACT"),
    ("a list null", changed(put("c0", None)), "NOT_THE_CONTRACT"),
    ("edges null", changed(put("c0.edges", None)), "NOT_THE_CONTRACT"),
    ("an edge null", changed(put("c0.edges", [None])), "NOT_THE_CONTRACT"),
    ("page info missing", changed(lambda a: entity(a)["c0"].pop("pageInfo")), "NOT_THE_CONTRACT"),
    ("sort key null", changed(put("c0.edges.0.sortKey", None)), "NOT_THE_CONTRACT"),
    ("a kind nobody knows", changed(put("c1.edges.0.kind", "HOROSCOPE")), "NOT_THE_CONTRACT"),
    ("a gender nobody knows", changed(put("gender", "male")), "NOT_THE_CONTRACT"),
    ("a birth date that is none", changed(put("birthDate", "1980-03-05\n")), "NOT_THE_CONTRACT"),
    ("a name that is none", changed(put("name", {"x": 1})), "NOT_THE_CONTRACT"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_answer_is_an_invalid_response_with_its_reason(body: bytes, reason: str) -> None:
    result = ask(body)
    assert (result.outcome, result.reason, result.entities) == (Outcome.INVALID_RESPONSE, reason, ())


def test_a_page_that_starts_above_its_cursor_is_refused_and_one_below_is_taken() -> None:
    edges = json.loads(GOOD)["data"]["_entities"][0]["c0"]["edges"]
    top = (edges[0]["sortKey"], "A", edges[0]["id"])
    assert ask(GOOD, pages=(Slice(3, top), Slice(5))).reason == "OUT_OF_ORDER"
    assert ask(GOOD, pages=(Slice(3, (top[0], "B", "")), Slice(5))).outcome is Outcome.ANSWERED


def test_two_patients_of_one_call_are_told_apart() -> None:
    two = node_answer(ASKED, (3, 5), node_patient("A", ROWS), node_patient("B", []))
    assert ask(two, request("A", "B")).outcome is Outcome.ANSWERED
    assert ask(two, request("B", "A")).reason == "ANOTHER_PATIENT"
    assert ask(GOOD, request("A", "B")).reason == "WRONG_NUMBER_OF_ENTITIES"
    half = json.dumps({"data": {"_entities": [json.loads(GOOD)["data"]["_entities"][0], None]}}).encode()
    assert ask(half, request("A", "B")).reason == "REF_UNKNOWN"


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (TransportError(Fault.TIMED_OUT), Outcome.TIMED_OUT, None),
        (TransportError(Fault.UNREACHABLE), Outcome.UNREACHABLE, None),
        (TransportError(Fault.OVER_BUDGET), Outcome.OVER_BUDGET, None),
        (TransportError(Fault.TOO_LARGE), Outcome.INVALID_RESPONSE, "TOO_LARGE"),
        (TransportError(Fault.STATUS, 401), Outcome.REFUSED, "HTTP_401"),
        (TransportError(Fault.STATUS, 403), Outcome.REFUSED, "HTTP_403"),
        (TransportError(Fault.STATUS, 400), Outcome.INVALID_RESPONSE, "HTTP_400"),
        (TransportError(Fault.STATUS, 404), Outcome.INVALID_RESPONSE, "HTTP_404"),
        (TransportError(Fault.STATUS, 500), Outcome.INVALID_RESPONSE, "HTTP_500"),
        (TransportError(Fault.STATUS, 302), Outcome.INVALID_RESPONSE, "HTTP_302"),
        (RuntimeError("CANARY"), Outcome.UNREACHABLE, "RuntimeError"),
        (MemoryError(), Outcome.UNREACHABLE, "MemoryError"),
    ],
    ids=lambda v: f"{v!r}" if isinstance(v, BaseException) else None,
)
def test_every_fault_of_a_call_has_its_outcome(error: Exception, outcome: Outcome, reason: str | None) -> None:
    result = ask(error)
    assert (result.outcome, result.reason, result.entities) == (outcome, reason, ())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_whatever_make_an_exception_or_an_answer(body: bytes) -> None:
    assert ask(body).outcome is Outcome.INVALID_RESPONSE


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_change_of_a_good_answer_makes_an_exception(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(0, 30))
    body = GOOD[:at] + data.draw(st.binary(max_size=8)) + GOOD[at + length :]
    assert ask(body).outcome in (Outcome.ANSWERED, Outcome.INVALID_RESPONSE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            "ref",
            "name",
            "ledger",
            "c0",
            "c1",
            "probe",
            "m0",
            "c0.edges",
            "c0.edges.0",
            "c0.edges.1.n0",
            "c1.edges.0.kind",
            "c0.edges.0.sortKey",
            "c0.edges.2.id",
        ]
    ),
    json_values,
)
def test_no_value_in_the_place_of_another_makes_an_exception(path: str, value: Any) -> None:
    result = ask(changed(put(path, value)))
    assert result.outcome in (Outcome.ANSWERED, Outcome.INVALID_RESPONSE)
    assert bool(result.entities) is (result.outcome is Outcome.ANSWERED)


def plan_for(*facilities: str) -> QueryPlan:
    return QueryPlan(tuple(request(f) for f in facilities), (), (RecordKind.ENCOUNTER,), frozenset())


@pytest.mark.anyio
async def test_every_planned_node_gives_one_result_in_the_plans_order() -> None:
    async def send(to: NodeRequest) -> bytes:
        match to.node.id:
            case "node-A":
                await asyncio.sleep(0.05)
                return GOOD
            case "node-B":
                raise TransportError(Fault.UNREACHABLE)
            case "node-C":
                return b"garbage"
        raise ZeroDivisionError

    results = await scatter(plan_for("C", "A", "D", "B"), send, ASKED.subquery, PAGES)
    assert [(r.request.node.id, r.outcome.value) for r in results] == [
        ("node-C", "INVALID_RESPONSE"),
        ("node-A", "ANSWERED"),
        ("node-D", "UNREACHABLE"),
        ("node-B", "UNREACHABLE"),
    ]
    assert results[1].took_ms >= 50 > results[0].took_ms
    assert await scatter(plan_for(), send, ASKED.subquery, PAGES) == ()
    assert len(await scatter(plan_for("B"), send, ASKED.subquery, PAGES)) == 1


@pytest.mark.anyio
async def test_nodes_are_asked_at_once() -> None:
    async def send(_: NodeRequest) -> bytes:
        await asyncio.sleep(0.1)
        return GOOD

    start = time.monotonic()
    await scatter(plan_for(*"ABCDEFGHIJ"), send, ASKED.subquery, PAGES)
    assert time.monotonic() - start < 0.5


@pytest.mark.anyio
async def test_cancelling_is_the_only_thing_that_comes_through() -> None:
    ended: list[str] = []

    async def send(to: NodeRequest) -> bytes:
        try:
            await asyncio.sleep(5)
        finally:
            ended.append(to.node.id)
        return GOOD

    for plan in (plan_for("A"), plan_for("A", "B")):
        ended.clear()
        running = asyncio.create_task(scatter(plan, send, ASKED.subquery, PAGES))
        await asyncio.sleep(0.02)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(ended) == len(plan.requests)


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    made = Misbehaving()
    yield made
    made.close()


def sending(left: float, node_seconds: float) -> Send:
    """A real sender; the body is the node's id, and so is the authorization."""
    moment = time.monotonic() + left
    return sender(
        TRANSPORT,
        lambda r: r.node.id.encode(),
        lambda r, body: {"authorization": body.decode()},
        moment,
        node_seconds,
        99,
    )


TRANSPORT = PyreqwestTransport()


def at(url: str) -> NodeRequest:
    return replace(request("A"), node=replace(node("A"), url=url))


@pytest.mark.anyio
async def test_a_call_carries_its_body_its_headers_and_the_tighter_of_both_deadlines(server: Misbehaving) -> None:
    for left, own, expected in ((5.0, 1.5, 1.5), (0.5, 1.5, 0.5)):
        assert await sending(left, own)(at(server.url)) == b"node-A"
        head, body = server.requests[-1]
        headers = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
        assert head.startswith(b"POST /graphql ") and body == b"node-A" and headers[b"authorization"] == b"node-a"
        assert expected * 1000 - 200 < int(headers[b"deadline-milliseconds"]) <= expected * 1000


@pytest.mark.anyio
async def test_a_node_that_hangs_is_left_when_its_time_or_the_requests_is_over(server: Misbehaving) -> None:
    for left, own in ((5.0, 0.2), (0.2, 5.0)):
        start = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await sending(left, own)(at(f"{server.url}/hang?"))
        assert caught.value.fault is Fault.TIMED_OUT and 0.15 < time.monotonic() - start < 0.6


@pytest.mark.anyio
async def test_a_call_whose_time_is_over_is_not_made(server: Misbehaving) -> None:
    with pytest.raises(TransportError) as caught:
        await sending(-0.01, 1)(at(server.url))
    assert caught.value.fault is Fault.TIMED_OUT and server.connections == 0
