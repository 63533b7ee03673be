"""A wrong answer is an invalid response with its reason, and nothing of it is ever used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.reading import Slice
from schema.coverage import Outcome
from tests.gateway.asking import node_answer, node_patient, request
from tests.gateway.good_answer import (
    ASKED,
    GOOD,
    ROWS,
    ask,
    changed,
    delete,
    entity,
    first_edge,
    put,
)


def test_a_good_answer_is_used() -> None:
    result = ask(GOOD)
    assert (result.outcome, result.reason) == (Outcome.ANSWERED, None)
    assert [len(result.entities[0].c0.edges), len(result.entities[0].c1.edges)] == [3, 5]
    assert ask(changed(lambda a: a.update(errors=[], extensions={"x": 1}))).outcome is Outcome.ANSWERED
    assert ask(changed(lambda a: a.update(errors=None))).outcome is Outcome.ANSWERED
    assert ask(changed(lambda a: entity(a).update(newer=1))).outcome is Outcome.ANSWERED


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
    ("more after nothing", changed(lambda a: entity(a).update(c0={"edges": [], "pageInfo": {"hasNextPage": True}})), "MORE_AFTER_NOTHING"),
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


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value below this one."""
    for step in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, step)
        yield from places(value[step], (*path, step))


PLACES = list(places(json.loads(GOOD)))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_whatever_is_changed_what_is_used_is_this_patients_of_this_facility_in_order_and_no_more_than_asked(
    data: st.DataObject,
) -> None:
    answer = json.loads(GOOD)
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(PLACES))
        at = answer
        try:
            for step in path:
                at = at[step]
            match data.draw(st.sampled_from(["other", "twin", "gone", "swapped", "twice"])):
                case "other":
                    at[last] = data.draw(json_values)
                case "twin":  # a value of the same answer, so that what looks right stands in the wrong place
                    value: Any = json.loads(GOOD)
                    for step in data.draw(st.sampled_from(PLACES)):
                        value = value[step]
                    at[last] = value
                case "gone":
                    del at[last]
                case "swapped" if isinstance(at, list):
                    at[last], at[0] = at[0], at[last]
                case "twice" if isinstance(at, list):
                    at.append(at[last])
        except (KeyError, IndexError, TypeError):  # the change before took the place away
            continue
    result = ask(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if result.outcome is not Outcome.ANSWERED:
        assert result.outcome is Outcome.INVALID_RESPONSE and result.reason and result.entities == ()
        return
    (used,) = result.entities
    assert used.ref == "ref-A"
    for edges, size in ((used.c0.edges, 3), (used.c1.edges, 5)):
        keys = [(e.sortKey, e.facility, e.id) for e in edges]
        assert len(keys) <= size and keys == sorted(set(keys), reverse=True)
        assert {(e.subject, e.facility) for e in edges} <= {("ref-A", "A")}
        assert len({e.id for e in edges}) == len(edges)
        assert all(isinstance(msgspec.json.decode(e.n0), dict) for e in edges)
    probed = (*used.probe.edges, *used.m0.edges, *used.m1.edges)
    assert {e.subject for e in probed} <= {"ref-A"}


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
