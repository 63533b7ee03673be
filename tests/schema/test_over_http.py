"""GraphQL over HTTP without a socket: what becomes a request, what is refused, and in which shape the answer goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.execution import Request, Result
from schema.over_http import (
    GRAPHQL_RESPONSE,
    JSON,
    HttpRefusal,
    answer,
    media_type,
    read_get,
    read_post,
    refused,
)

CANARY = "CANARY-001090123456"


def refusal(work: Any, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(HttpRefusal) as caught:
        work(*arguments)
    assert CANARY not in str(caught.value) + caught.value.message
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        " application/json ",
    ],
)
def test_a_json_body_becomes_a_request(kind: str) -> None:
    body = b'{"query":"{a}","variables":{"x":[1]},"operationName":"A","extensions":{"e":1},"unknown":null}'
    assert read_post(kind, body) == Request("{a}", {"x": [1]}, "A")
    assert read_post(kind, b'{"query":"{a}","variables":null,"operationName":null}') == Request("{a}", None, None)


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/graphql",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "application/jsonx",
    ],
)
def test_another_media_type_is_415(kind: str | None) -> None:
    assert refusal(read_post, kind, b'{"query":"{a}"}') == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"query":1}',
        b'{"query":null}',
        b'{"query":"a","variables":[]}',
        b'{"query":"a","variables":"x"}',
        b'{"query":"a","operationName":1}',
        b'[{"query":"{a}"}]',
    ],
)
def test_json_that_is_no_request_is_400(body: bytes) -> None:
    assert refusal(read_post, JSON, body) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"query":"\xff"}',
        b'{"query":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"query":"a","variables":' + b'{"a":' * 100_000,
        f'{{"query":"{CANARY}'.encode(),
    ],
    ids=["empty", "cut", "not utf-8", "lone surrogate", "bom", "nested", "cut value"],
)
def test_what_is_not_json_is_400(body: bytes) -> None:
    assert refusal(read_post, JSON, body) == (400, "BAD_JSON")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    for data in (body, b'{"query":' + body, b'{"query":"a","variables":{"a":' + body + b"}}"):
        try:
            assert isinstance(read_post(JSON, data), Request)
        except HttpRefusal as refused_with:
            assert refused_with.status == 400


def test_a_query_string_becomes_a_request() -> None:
    given_ = {"query": "{a}", "variables": '{"x":1}', "operationName": "A"}
    assert read_get(given_) == Request("{a}", {"x": 1}, "A")
    assert read_get({"query": "{a}", "variables": "", "operationName": ""}) == Request("{a}", None, None)


def test_a_query_string_without_a_query_or_with_bad_variables_is_400() -> None:
    assert refusal(read_get, {}) == refusal(read_get, {"query": ""}) == (400, "BAD_REQUEST")
    for bad in ("[]", "x", "1", f'"{CANARY}"', '{"a":' * 100_000, "{\udcff}"):
        assert refusal(read_get, {"query": "{a}", "variables": bad}) == (400, "BAD_JSON")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", JSON),
        (f"{JSON};q=0.5, {GRAPHQL_RESPONSE};q=0.9", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0, {JSON}", JSON),
        ("text/html, */*;q=0.1", JSON),
        (f"TEXT/HTML, {GRAPHQL_RESPONSE.upper()}", GRAPHQL_RESPONSE),
        (f"{JSON};q=nonsense", JSON),
    ],
)
def test_the_best_acceptable_media_type_is_chosen(accept: str | None, chosen: str) -> None:
    assert media_type(accept) == chosen


@pytest.mark.parametrize("accept", ["text/html", f"{JSON};q=0", "multipart/mixed", ";", ",,,"])
def test_nothing_acceptable_is_406(accept: str) -> None:
    assert refusal(media_type, accept) == (406, "NOT_ACCEPTABLE")


@given(st.text(max_size=80))
def test_any_accept_header_is_a_media_type_or_406(accept: str) -> None:
    try:
        assert media_type(accept) in (JSON, GRAPHQL_RESPONSE)
    except HttpRefusal as refused_with:
        assert refused_with.status == 406


@given(st.text(max_size=80))
def test_any_content_type_is_read_or_415(kind: str) -> None:
    try:
        read_post(kind, b'{"query":"{a}"}')
    except HttpRefusal as refused_with:
        assert refused_with.status == 415


def test_statuses_follow_the_specification() -> None:
    error = {"message": "m", "extensions": {"code": "C"}}
    request_error = Result(None, [error], request_error=True)
    assert answer(request_error, GRAPHQL_RESPONSE).status == 400
    assert answer(request_error, JSON).status == 200
    assert answer(Result({"a": None}, [error]), GRAPHQL_RESPONSE).status == 200
    assert answer(Result(None, [error]), GRAPHQL_RESPONSE).status == 200


def test_data_is_absent_only_for_request_errors_and_errors_only_when_there_are_some() -> None:
    error = {"message": "m"}
    read = [
        msgspec.json.decode(answer(r, JSON).body)
        for r in (Result(None, [error], True), Result(None, [error]), Result({"a": 1}, []))
    ]
    assert read == [{"errors": [error]}, {"data": None, "errors": [error]}, {"data": {"a": 1}}]
    extended = answer(Result({}, [], extensions={"coverage": 1}), JSON)
    assert msgspec.json.decode(extended.body) == {"data": {}, "extensions": {"coverage": 1}}
    assert extended.content_type == "application/json; charset=utf-8"


def test_finished_bytes_are_copied_as_they_are() -> None:
    raw = msgspec.Raw(b'{ "x" : 1.50 }')
    assert (
        answer(Result({"a": raw, "b": [raw]}, []), JSON).body == b'{"data":{"a":{ "x" : 1.50 },"b":[{ "x" : 1.50 }]}}'
    )


def test_a_refusal_has_the_shape_of_a_graphql_error() -> None:
    made = refused(HttpRefusal(415, "CODE", "Vì sao."))
    assert made.status == 415
    assert msgspec.json.decode(made.body) == {"errors": [{"message": "Vì sao.", "extensions": {"code": "CODE"}}]}


@pytest.mark.parametrize("quality", ["²", "1.³", "¹"])
def test_a_quality_in_digits_that_are_no_decimals_is_no_quality(quality: str) -> None:
    assert media_type(f"application/json;q={quality}") == JSON
