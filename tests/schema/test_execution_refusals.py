"""What the executor refuses, how dear it may be to refuse, and that nothing of a request leaks."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from graphql import GraphQLError, build_schema, get_introspection_query

from schema.execution import Executor, Request
from tests.schema.executed import CANARY, SCHEMA, code, data, run


def test_two_operations_without_a_name_are_refused_and_with_one_only_that_one_runs() -> None:
    two = "query A { a: nothing { n } } query B { b: nothing { n } }"
    assert code(run(two)) == "OPERATION_UNKNOWN" and run(two).request_error
    assert data(two, "B") == {"b": None}
    for wrong in ("C", ""):
        assert code(run(two, wrong)) == "OPERATION_UNKNOWN"
    assert code(run("{ nothing { n } }", "A")) == "OPERATION_UNKNOWN"
    assert code(run("fragment F on Query { nothing { n } }")) in ("OPERATION_UNKNOWN", "GRAPHQL_VALIDATION_FAILED")


def test_a_mutation_is_refused_where_only_queries_may_come() -> None:
    assert data("mutation { change }") == {"change": "changed"}
    assert code(run("mutation { change }", get=True)) == "POST_REQUIRED"
    assert code(run("query Q { nothing { n } } mutation M { change }", "M", get=True)) == "POST_REQUIRED"


def test_a_subscription_is_refused() -> None:
    executor = Executor(SCHEMA)
    executor.schema = build_schema("type Query { a: Int } type Subscription { ticks: Int }")
    assert code(run("subscription { ticks }", executor=executor)) == "SUBSCRIPTION_UNSUPPORTED"


@pytest.mark.anyio
async def test_what_is_listened_to_gives_its_events_as_they_are_and_everything_else_a_result() -> None:
    async def counted(to: int) -> AsyncGenerator[int, None]:
        for n in range(to):
            yield n

    async def ticks(_: object, __: object, n: int) -> AsyncGenerator[int, None]:
        if n > 5:
            raise GraphQLError("too many", extensions={"code": "TOO_MANY"})
        return counted(n)

    executor = Executor(SCHEMA)
    executor.schema = build_schema("type Query { a: Int } type Subscription { ticks(n: Int!): Int }")
    assert executor.schema.subscription_type is not None
    executor.schema.subscription_type.fields["ticks"].subscribe = ticks

    async def listen(text: str, **variables: Any) -> Any:
        return await executor.subscribe(Request(text, variables), None)

    assert [n async for n in await listen("subscription { ticks(n: 3) }")] == [0, 1, 2]
    found = await listen("subscription { ticks(n: 6) }")
    assert code(found) == "TOO_MANY" and found.data is None
    assert code(await listen("subscription($n: Int!) { ticks(n: $n) }", n=CANARY)) == "BAD_USER_INPUT"
    assert code(await listen("subscription { ticks(n: 3) @skip(if: true) }")) == "GRAPHQL_VALIDATION_FAILED"
    assert (await listen("{ a }")).data == {"a": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{ a(",
        "query Q {",
        "{ thing { name } } garbage",
        "\x00",
        '{ a: "\ud800" }'.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    ],
)
def test_what_is_not_graphql_is_a_request_error(text: str) -> None:
    result = run(text)
    assert code(result) == "GRAPHQL_PARSE_FAILED" and result.request_error and result.data is None


def test_what_does_not_fit_the_schema_is_a_request_error() -> None:
    result = run("{ thing { missing } }")
    assert code(result) == "GRAPHQL_VALIDATION_FAILED" and result.request_error


def nested(levels: int) -> str:
    return "{" + "thing {" * (levels - 1) + "name" + "}" * levels


def test_depth_is_counted_in_fields_through_fragments_of_every_kind() -> None:
    small = Executor(SCHEMA, max_depth=3)
    assert run("{ thing { done { n } } }", executor=small).errors == []
    too_deep = "{ thing { done { n { a } } } }"
    assert code(run(too_deep, executor=small)) == "GRAPHQL_TOO_DEEP"
    assert (
        code(
            run(
                "{ ...A } fragment A on Query { thing { ...B } } fragment B on Thing { ... { done { n { a } } } }",
                executor=small,
            )
        )
        == "GRAPHQL_TOO_DEEP"
    )
    assert (
        code(
            run(
                "{ thing { name } } query X { ...A } fragment A on Query { thing { done { n { a } } } }",
                "X",
                executor=small,
            )
        )
        == "GRAPHQL_TOO_DEEP"
    )
    unused = "{ thing { name } } fragment A on Query { thing { done { n { a } } } }"
    assert code(run(unused, executor=small)) == "GRAPHQL_TOO_DEEP"
    assert code(run(nested(21))) == "GRAPHQL_TOO_DEEP"


@pytest.mark.parametrize(
    "text",
    [
        nested(400),
        "{" + "...{" * 2_000 + "a" + "}" * 2_001,
        "{ take(given: " + "{a:" * 1_000 + "1" + "}" * 1_000 + ") }",
        "query($a:" + "[" * 2_000 + "Int" + "]" * 2_000 + ") { nothing { n } }",
    ],
)
def test_nesting_without_end_is_refused_and_never_an_exception(text: str) -> None:
    assert code(run(text)) in ("GRAPHQL_TOO_DEEP", "GRAPHQL_PARSE_FAILED")


def test_fragments_that_spread_each_other_twice_cost_no_more_than_their_length() -> None:
    parts = [f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(60)]
    text = "{ ...F0 } " + " ".join(parts) + " fragment F60 on Query { thing { name } }"
    start = time.perf_counter()
    assert data(text) == {"thing": {"name": "thing"}}
    assert time.perf_counter() - start < 2


def test_fragments_in_a_circle_are_refused() -> None:
    result = run("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }")
    assert {e["extensions"]["code"] for e in result.errors} == {"GRAPHQL_VALIDATION_FAILED"}


def test_a_document_of_too_many_tokens_is_refused() -> None:
    text = "{" + " ".join(f"a{i}: nothing {{ n }}" for i in range(40)) + "}"
    assert run(text, executor=Executor(SCHEMA, max_tokens=300)).errors == []
    assert code(run(text, executor=Executor(SCHEMA, max_tokens=200))) == "GRAPHQL_PARSE_FAILED"


@pytest.mark.parametrize(
    ("declared", "argument", "value"),
    [
        ("$v: String!", "text: $v", None),
        ("$v: String!", "text: $v", {"a": CANARY}),
        ("$v: Int!", "number: $v", CANARY),
        ("$v: Given", "given: $v", CANARY),
        ("$v: Given", "given: $v", {"number": CANARY}),
        ("$v: Given", "given: $v", {CANARY: 1}),
        ("$v: Given", "given: $v", {"date": CANARY}),
        ("$v: Given", "given: $v", {"amount": CANARY}),
        ("$v: PartialDate", "given: {date: $v}", CANARY),
        ("$v: Decimal", "given: {amount: $v}", CANARY),
    ],
    ids=str,
)
def test_a_variable_that_does_not_fit_is_named_and_its_value_never_shown(
    declared: str, argument: str, value: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        result = run(f"query({declared}) {{ take({argument}) }}", v=value)
    assert code(result) == "BAD_USER_INPUT" and result.request_error
    assert "$v" in result.errors[0]["message"]
    out = capsys.readouterr()
    assert CANARY not in str(result) + out.out + out.err + caplog.text


def test_an_exception_of_a_resolver_is_masked_and_only_its_type_is_logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        one, two = run("{ thing { broken name } }"), run("{ thing { brokenRequired } }")
    assert code(one) == code(two) == "INTERNAL_ERROR"
    assert one.data == {"thing": {"broken": None, "name": "thing"}}
    assert two.data is None and not two.request_error
    out = capsys.readouterr()
    logged = out.out + out.err + caplog.text + "".join(str(vars(r)) for r in caplog.records)
    assert CANARY not in str(one) + str(two) + logged
    ours = [r for r in caplog.records if r.name == "hanoi_health_graph.execution"]
    assert [vars(r)["error_type"] for r in ours] == ["RuntimeError"] * 2


def test_a_coded_refusal_of_ours_passes_as_it_is() -> None:
    result = run("{ coded }")
    assert result.errors[0]["message"] == "Không được. Refused." and code(result) == "REFUSED_BY_TEST"


def test_documents_are_forgotten_by_their_size_not_only_their_number() -> None:
    executor = Executor(SCHEMA, documents=10)
    first = executor.document("{ nothing { n } }")
    for n in range(20):
        executor.document("#" + "x" * 20_000 + f"\n{{ a{n}: nothing {{ n }} }}")
    assert sum(len(d.text) for d in executor.documents.values()) < 100_000
    assert executor.document("{ nothing { n } }") is not first
    huge = "#" + "x" * 500_000 + "\n{ nothing { n } }"
    assert run(huge, executor=executor).errors == []


def test_introspection_that_asks_for_every_type_again_and_again_is_refused() -> None:
    part = "types { name fields { name } }"
    assert "types" in data("{ __schema { " + part + " } }")["__schema"]
    for wide in (
        "{ " + " ".join(f"a{i}: __schema {{ {part} }}" for i in range(200)) + " }",
        "{ __schema { " + " ".join(f"a{i}: {part}" for i in range(200)) + " } }",
        "{ __schema { ...A ...B } } fragment A on __Schema { " + " ".join(f"a{i}: {part}" for i in range(70)) + " } "
        "fragment B on __Schema { ...A ...A }",
    ):
        result = run(wide)
        assert code(result) == "GRAPHQL_VALIDATION_FAILED" and result.request_error, wide[:40]


def test_the_standard_introspection_query_is_answered() -> None:
    full = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    assert data(full)["__schema"]["queryType"]["name"] == "Query"
