"""Arguments that fit no type, or fit and cannot be asked: a code of their own, what would be valid, nothing that was typed."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLSyntaxError, build_schema, parse
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.graph import city_schema
from node_agent.graph import subgraph
from schema.bad_input import silent, syntax_refusal, validation_refusal, variable_refusal
from schema.execution import Executor, Request
from schema.filters import CODE_LIMIT, PAGE_LIMIT, BadArgument, check_filter, check_page_size
from schema.scalars import PARTIAL_DATE

IDENTIFIERS = ("001085067891", "DN4010123456789", "B1234567", "0123456789")
CITY, NODE = Executor(city_schema()), Executor(subgraph())
CITY_QUERY = "query($by: PatientBy!, $access: AccessInput! %s) { patient(by: $by, access: $access) { coverage { completeness } patient { %s } } }"
NODE_QUERY = "query($r: [_Any!]! %s) { _entities(representations: $r) { ... on Patient { %s } } }"
SIDES = pytest.mark.parametrize(("executor", "around"), [(CITY, CITY_QUERY), (NODE, NODE_QUERY)], ids=["city", "node"])


def check_told(error: dict[str, Any], code: str) -> None:
    """The code, both languages, and nothing that could be an identifier."""
    assert error["extensions"]["code"] == code
    assert re.search(r"[ăâđêôơưáàảãạếềểễệốồổỗộứừửữự]", error["message"].lower()), error["message"]
    assert re.search(r"\b(the|must|is|are|has|use)\b", error["message"], re.IGNORECASE), error["message"]
    assert not any(typed in str(error) for typed in IDENTIFIERS)


@SIDES
@pytest.mark.parametrize(
    ("selection", "code"),
    [
        ("encounters(last: 5) { edges { sortKey } }", "BACKWARD_PAGING_UNSUPPORTED"),
        ('encounters(first: 5, before: "B1234567") { edges { sortKey } }', "BACKWARD_PAGING_UNSUPPORTED"),
        ("timeline(last: 5) { edges { sortKey } }", "BACKWARD_PAGING_UNSUPPORTED"),
        ("encounters(first: 99999999999) { edges { sortKey } }", "BAD_PAGE_SIZE"),
        ("encounters(first: 2.5) { edges { sortKey } }", "BAD_PAGE_SIZE"),
        ("encounters(first: null) { edges { sortKey } }", "BAD_PAGE_SIZE"),
        ('encounters(first: "001085067891") { edges { sortKey } }', "BAD_PAGE_SIZE"),
        ("encounters(after: 0.5) { edges { sortKey } }", "BAD_CURSOR"),
        ('encounters(filter: {period: {from: "hôm qua"}}) { edges { sortKey } }', "BAD_PERIOD"),
        ('encounters(filter: {period: {to: "2024-13"}}) { edges { sortKey } }', "BAD_PERIOD"),
        ('timeline(filter: {period: {to: "001085067891"}}) { edges { sortKey } }', "BAD_PERIOD"),
        ("encounters(filter: {period: 2024}) { edges { sortKey } }", "BAD_PERIOD"),
        ("encounters(filter: {code: 11}) { edges { sortKey } }", "BAD_CODE"),
    ],
)
def test_a_literal_that_fits_no_type_has_the_code_of_its_place(
    executor: Executor, around: str, selection: str, code: str
) -> None:
    (error,) = executor.document(around % ("", selection)).errors
    check_told({"message": error.message, "extensions": error.extensions}, code)


VARIABLES: list[tuple[str, str, dict[str, Any], str]] = [
    (", $n: Int!", "encounters(first: $n) { edges { sortKey } }", {"n": 99999999999}, "BAD_PAGE_SIZE"),
    (", $n: Int!", "encounters(first: $n) { edges { sortKey } }", {"n": "001085067891"}, "BAD_PAGE_SIZE"),
    (", $n: Int!", "encounters(first: $n) { edges { sortKey } }", {"n": None}, "BAD_PAGE_SIZE"),
    (", $n: Int!", "encounters(first: $n) { edges { sortKey } }", {}, "BAD_PAGE_SIZE"),
    (", $a: String", "encounters(after: $a) { edges { sortKey } }", {"a": ["001085067891"]}, "BAD_CURSOR"),
    (
        ", $d: PartialDate",
        "encounters(filter: {period: {from: $d}}) { edges { sortKey } }",
        {"d": "001085067891"},
        "BAD_PERIOD",
    ),
    (
        ", $f: RecordFilter",
        "encounters(filter: $f) { edges { sortKey } }",
        {"f": {"period": {"to": "B1234567"}}},
        "BAD_PERIOD",
    ),
    (
        ", $f: RecordFilter",
        "encounters(filter: $f) { edges { sortKey } }",
        {"f": {"period": "DN4010123456789"}},
        "BAD_PERIOD",
    ),
    (", $f: RecordFilter", "encounters(filter: $f) { edges { sortKey } }", {"f": {"code": 1085067891}}, "BAD_CODE"),
    (
        ", $f: RecordFilter",
        "encounters(filter: $f) { edges { sortKey } }",
        {"f": {"facility": ["001085067891"]}},
        "BAD_USER_INPUT",
    ),
    (", $f: RecordFilter", "encounters(filter: $f) { edges { sortKey } }", {"f": "001085067891"}, "BAD_USER_INPUT"),
]


@SIDES
@pytest.mark.anyio
@pytest.mark.parametrize(("declared", "selection", "given_values", "code"), VARIABLES)
async def test_a_variable_that_fits_no_type_has_the_code_of_the_place_it_goes_to(
    executor: Executor, around: str, declared: str, selection: str, given_values: dict[str, Any], code: str
) -> None:
    rest = {
        "by": {"kind": "CCCD", "value": "x"},
        "access": {"purpose": "PATRQT", "basis": "SELF"},
        "r": [],
    }
    request = Request(around % (declared, selection), {**rest, **given_values})
    result = await executor.run(request, None)
    assert result.request_error
    check_told(result.errors[0], code)


@pytest.mark.anyio
async def test_a_variable_of_another_place_says_its_type() -> None:
    request = Request(CITY_QUERY % ("", "name"), {"by": {"kind": "CCCD", "value": 1085067891}, "access": None})
    result = await CITY.run(request, None)
    assert {e["extensions"]["code"] for e in result.errors} == {"BAD_USER_INPUT"}
    assert "$by" in result.errors[0]["message"] and "PatientBy!" in result.errors[0]["message"]
    for error in result.errors:
        check_told(error, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "text",
    ["{ a(b: 5001085067891x) }", "{ B1234567 } DN4010123456789", '{ a(b: "001085067891) }', "{ 1085067891 }"],
)
def test_a_document_that_cannot_be_parsed_is_refused_without_its_words(text: str) -> None:
    with pytest.raises(GraphQLSyntaxError) as caught:
        parse(text)
    error = syntax_refusal(caught.value)
    assert error.extensions == {"code": "GRAPHQL_PARSE_FAILED"} and error.message.startswith("Syntax Error")
    assert not any(typed in error.message for typed in (*IDENTIFIERS, "1085067891"))


@pytest.mark.parametrize("typed", IDENTIFIERS)
@pytest.mark.parametrize(
    "shape",
    [
        "{{ {0} }}".replace("{0}", "f{0}"),
        '{{ a(x: "{0}") }}',
        '{{ a(n: "{0}") }}',
        '{{ a(o: {{ n: "{0}" }}) }}',
        '{{ a(o: {{ z: "{0}", p: "NGUYEN {0}" }}) }}',
        "{{ a(e: E{0}) }}",
        '{{ a @skip(if: "{0}") }}',
        'query($v: Int = "{0}") {{ a(n: $v) }}',
    ],
)
def test_no_error_of_validation_repeats_what_could_be_an_identifier(typed: str, shape: str) -> None:
    schema = build_schema("type Query { a(n: Int, o: O, e: E): Int } input O { n: Int } enum E { A }")
    from graphql import validate

    document = parse(shape.format(typed))
    errors = [validation_refusal(e, document) for e in validate(schema, document)]
    assert errors
    for error in errors:
        assert typed not in error.message and error.extensions and error.extensions["code"]


def test_what_is_no_identifier_stays_readable() -> None:
    assert silent("Cannot query field 'fax' on type 'Patient'.") == "Cannot query field 'fax' on type 'Patient'."
    (operation,) = parse("query($a: Int) { a }").definitions
    other = GraphQLError("Something else went wrong.")
    assert variable_refusal(other, operation).extensions == {}  # type: ignore[arg-type]
    deep = variable_refusal(GraphQLError("Variable values are nested too deeply."), operation)  # type: ignore[arg-type]
    assert deep.extensions == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("size", [0, -1, PAGE_LIMIT + 1, 2**31, True, None, "5", 2.0])
def test_a_page_of_no_possible_size_is_refused(size: object) -> None:
    with pytest.raises(BadArgument, match="BAD_PAGE_SIZE"):
        check_page_size(size)


def refusal(given: dict[str, Any]) -> str | None:
    try:
        check_filter(given)
    except BadArgument as error:
        assert not any(str(v) in error.vi + error.en for v in given.values() if isinstance(v, str) and len(v) > 5)
        return error.code
    return None


@pytest.mark.parametrize(
    "period",
    [
        {"from": "2024-02-30"},
        {"to": "2023-02-29"},
        {"from": "2024-04-31T10:00+07:00"},
        {"from": "0000"},
        {"from": "2025", "to": "2024"},
        {"from": "2024-03-02", "to": "2024-03-01"},
        {"from": "2024-03-01T10:00+07:00", "to": "2024-03-01T09:59:59+07:00"},
        {"from": "2024-13"},
        {"to": "hôm qua"},
        {"from": 2024},
    ],
    ids=str,
)
def test_a_period_nothing_can_lie_in_is_refused(period: dict[str, Any]) -> None:
    assert refusal({"period": period}) == "BAD_PERIOD"


@pytest.mark.parametrize(
    "period",
    [
        None,
        {},
        {"from": "2024"},
        {"to": "2024-02-29"},
        {"from": "2024-06", "to": "2024"},
        {"from": "2024-03-01", "to": "2024-03-01"},
        {"from": "2024-03-01T10:00:00.5+07:00", "to": "2024-03-01T10:00+07:00"},
    ],
    ids=str,
)
def test_a_period_something_can_lie_in_is_taken(period: dict[str, Any] | None) -> None:
    assert refusal({"period": period}) is None


@given(st.dates(date(1, 1, 1), date(9999, 12, 30)), st.integers(0, 40))
@example(date(2024, 2, 28), 1)
def test_days_in_their_order_are_a_period_and_in_the_other_are_none(first: date, more: int) -> None:
    last = first + timedelta(days=min(more, (date.max - first).days))
    assert refusal({"period": {"from": first.isoformat(), "to": last.isoformat()}}) is None
    if last > first:
        assert refusal({"period": {"from": last.isoformat(), "to": first.isoformat()}}) == "BAD_PERIOD"


@given(st.from_regex(PARTIAL_DATE, fullmatch=True))
def test_every_date_the_scalar_takes_is_either_in_the_calendar_or_refused(text: str) -> None:
    try:
        date.fromisoformat((text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10])
        expected = None
    except ValueError:
        expected = "BAD_PERIOD"
    assert refusal({"period": {"from": text}}) == expected


@pytest.mark.parametrize(
    "code", ["", " ", ".", "...", "*", "†", "E11%", "E11?", "E11;I10", "'", "A" * (CODE_LIMIT + 1), 11]
)
def test_what_is_the_beginning_of_no_code_is_refused(code: object) -> None:
    assert refusal({"code": code}) == "BAD_CODE"


@pytest.mark.parametrize(
    "code", [None, "E11", "E11.9†", "G01*", "716186003", "718-7", "23.0083.1494", "Đ.1/2", "xn_glu"]
)
def test_the_beginning_of_a_code_is_taken(code: str | None) -> None:
    assert refusal({"code": code}) is None


def test_a_timeline_of_no_kind_at_all_is_refused() -> None:
    assert refusal({"kinds": []}) == "BAD_KINDS"
    assert refusal({"kinds": None}) is refusal({"kinds": "ENCOUNTER"}) is refusal({"kinds": ["ENCOUNTER"]}) is None
