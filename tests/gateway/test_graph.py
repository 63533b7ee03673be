"""The gateway's door over HTTP: what it refuses before anyone is asked, and that nothing of a question reaches a log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.access.callers import DEMO_ISSUER, Role
from gateway.access.issuer import DevelopmentIssuer
from gateway.app import MAX_REQUEST_BYTES, create_app
from gateway.city.registry import register_facility
from gateway.cursor import CursorSeal, Walk, binding_of
from gateway.history import History
from gateway.identity.city_key import create_city_key, load_city_key
from gateway.keys import create_signing_key
from gateway.settings import Settings
from gateway.store.engine import open_store
from gateway.store.migrate import prepare
from schema.identity import Identifier, IdentifierKind
from schema.over_http import GRAPHQL_RESPONSE
from tests.gateway.asking import HEAD, compiled, question
from tests.plain import Json
from tests.ports import free_port
from tests.postgres import fresh_database
from tests.running import outside, wait_until

CCCD = "001190054321"
BY = {"kind": "CCCD", "value": CCCD}
SELF = {"purpose": "PATRQT", "basis": "SELF"}
NAME = question("name")
PAGED = question("encounters(after: $a, filter: $f) { edges { cursor } }", ", $a: String, $f: RecordFilter")


class Door:
    """A gateway without nodes, and people who knock."""

    def __init__(self, folder: Path, client: httpx.Client, database_url: str) -> None:
        self.client, self.folder, self.database_url = client, folder, database_url
        self.key = load_city_key(folder / "city.key", 1, True)
        self.issuer = DevelopmentIssuer(folder, True, time.time)
        self.citizen = self.token(Role.CITIZEN, "citizen")

    def token(self, role: Role, subject: str, value: str = CCCD, **more: Any) -> str:
        return self.issuer.issue(role, subject, identity=Identifier(IdentifierKind.CCCD, value), **more)

    def post(self, query: str, token: str | None = None, operation: str | None = None, **variables: Any) -> Json:
        body = {"query": query, "operationName": operation, "variables": {"by": BY, "access": SELF, **variables}}
        headers = {"authorization": f"Bearer {token or self.citizen}"}
        found: Json = self.client.post("/graphql", json=body, headers=headers).json()
        return found

    def refused(self, *arguments: Any, **options: Any) -> str:
        """The code of the only error; there is no data about anybody beside it."""
        found = self.post(*arguments, **options)
        assert not any((found.get("data") or {}).values()) and "coverage" not in found.get("extensions", {})
        (error,) = found["errors"]
        return str(error["extensions"]["code"])

    def cursor(
        self, walk: Walk, subject: str = "citizen", purpose: str = "PATRQT", value: str = CCCD, **variables: Any
    ) -> str:
        """A cursor as this gateway would have made it."""
        token = self.key.patient_token(IdentifierKind.CCCD, value)
        (plan,) = compiled(PAGED, **variables).subquery.connections
        bound = binding_of(token, DEMO_ISSUER, subject, purpose, "*||~") + plan.binding(variables)
        return CursorSeal.of(self.key.secret_for("page cursors")).seal(walk, bound)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("gateway"), "" if request.param == "sqlite" else fresh_database()) as found:
        yield found


@contextmanager
def open_door(folder: Path, database_url: str) -> Iterator[Door]:
    """A gateway on this database ("": SQLite in its folder), with one facility and no node."""
    settings = Settings(data_folder=folder, demo_mode=True, database_url=database_url)
    create_city_key(settings.city_key_file)
    create_signing_key(settings.signing_key_file)

    async def register() -> None:
        store = open_store(settings)
        await prepare(store)
        await register_facility(store, "01001", "Bệnh viện A", datetime.now(UTC))
        await store.close()

    outside(register())
    DevelopmentIssuer(folder, True, time.time)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield Door(folder, client, database_url)
    server.should_exit = True
    thread.join(10)


def test_nobody_located_is_answered_as_unknown_never_as_an_empty_history(door: Door) -> None:
    found = door.post(question("name encounters { edges { node { id } } }"))
    assert found["data"] == {"patient": {"coverage": {"completeness": "UNCERTAIN"}, "patient": None}}
    told = found["extensions"]["coverage"]["patient"]
    assert (told["completeness"], told["located"], told["registered"]) == ("UNCERTAIN", 0, 1)
    assert [(x["facility"]["code"], x["reason"]) for x in told["facilities"]] == [("01001", "NOT_CONNECTED")]
    assert "errors" not in found


@pytest.mark.parametrize(
    "query",
    [
        'query($access: AccessInput!) { patient(by: {kind: CCCD, value: "001190054321"}, access: $access) { coverage { completeness } } }',
        'query($access: AccessInput!, $k: IdentifierKind = CCCD) { patient(by: {kind: $k, value: "001190054321"}, access: $access) { coverage { completeness } } }',
        'query($access: AccessInput!, $by: PatientBy = {kind: CCCD, value: "001190054321"}) { patient(by: $by, access: $access) { coverage { completeness } } }',
        'query($access: AccessInput!, $v: String! = "001190054321") { patient(by: {kind: CCCD, value: $v}, access: $access) { coverage { completeness } } }',
    ],
)
def test_an_identifier_in_the_text_is_refused_every_time(door: Door, query: str) -> None:
    for _ in range(2):
        found = door.post(query, v=CCCD)
        assert [e["extensions"]["code"] for e in found["errors"]] == ["IDENTIFIER_INLINE"] and CCCD not in str(found)


def test_an_identifier_as_a_variable_inside_an_object_is_taken(door: Door) -> None:
    query = "query($access: AccessInput!, $v: String!) { patient(by: {kind: CCCD, value: $v}, access: $access) { coverage { completeness } } }"
    assert "errors" not in door.post(query, v=CCCD)


def test_a_clinical_query_by_get_is_refused_and_others_are_not(door: Door) -> None:
    headers = {"authorization": f"Bearer {door.citizen}"}
    parameters = {
        "query": NAME,
        "variables": f'{{"by":{{"kind":"CCCD","value":"{CCCD}"}},"access":{{"purpose":"PATRQT","basis":"SELF"}}}}',
    }
    found = door.client.get("/graphql", params=parameters, headers=headers).json()
    assert found["errors"][0]["extensions"]["code"] == "POST_REQUIRED" and found["data"] == {"patient": None}
    assert door.client.get("/graphql", params={"query": "{contract}"}, headers=headers).json() == {
        "data": {"contract": "1.0"}
    }
    change = {"query": 'mutation{withdrawGrant(id:"x"){id}}'}
    assert (
        door.client.get("/graphql", params=change, headers=headers).json()["errors"][0]["extensions"]["code"]
        == "POST_REQUIRED"
    )


def test_records_without_completeness_are_refused(door: Door) -> None:
    for coverage in ("", "coverage { located }", "coverage { summary facilities { outcome } }"):
        assert door.refused(question("name", coverage=coverage)) == "COVERAGE_NOT_SELECTED"
    for coverage in (
        "coverage { completeness }",
        "c: coverage { x: completeness }",
        "...F",
        "coverage { located } c: coverage { completeness }",
    ):
        rest = "fragment F on PatientAnswer { coverage { ... { completeness } } }" if "...F" in coverage else ""
        assert "errors" not in door.post(question("name", coverage=coverage, rest=rest))


def test_a_plan_in_the_cache_opens_no_way_around_completeness(door: Door) -> None:
    switched = question("name", ", $on: Boolean!", "coverage { completeness @include(if: $on) }")
    for on in (True, False, True, False):
        assert ("errors" in door.post(switched, on=on)) is not on
    assert door.refused(switched, on=False) == "COVERAGE_NOT_SELECTED"
    bare = question("name", coverage="")
    reading = door.token(Role.CITIZEN, "reader", reads_extensions=True)
    for _ in range(2):
        assert "errors" not in door.post(bare, reading)
        assert door.refused(bare) == "COVERAGE_NOT_SELECTED"
    two = f"{HEAD.replace('query', 'query A')}) {{ patient(by: $by, access: $access) {{ coverage {{ completeness }} patient {{ name }} }} }} {HEAD.replace('query', 'query B')}) {{ patient(by: $by, access: $access) {{ patient {{ name }} }} }}"
    assert "errors" not in door.post(two, operation="A")
    assert door.refused(two, operation="B") == "COVERAGE_NOT_SELECTED"
    aliased = f"{HEAD}) {{ a: patient(by: $by, access: $access) {{ coverage {{ completeness }} }} b: patient(by: $by, access: $access) {{ patient {{ name }} }} }}"
    found = door.post(aliased)
    assert (
        found["data"]["b"] is None
        and found["data"]["a"]
        and [e["extensions"]["code"] for e in found["errors"]] == ["COVERAGE_NOT_SELECTED"]
    )
    skipped = question("name", ", $on: Boolean = true", "coverage { completeness @skip(if: $on) }")
    assert door.refused(skipped) == "COVERAGE_NOT_SELECTED"


def test_a_reader_of_extensions_finds_the_ledger_there(door: Door) -> None:
    reading = door.token(Role.CITIZEN, "reader", reads_extensions=True)
    found = door.post(question("name", coverage=""), reading)
    assert found["extensions"]["coverage"]["patient"]["completeness"] == "UNCERTAIN"


def test_who_may_not_see_facilities_learns_none_by_being_strict(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule gives such a permit yet; the first one that does must find this closed."""
    strict = HEAD + ", $on: OnIncomplete! = CONTINUE, $need: [String!], $tell: Boolean! = false) { patient(by: $by, "
    strict += (
        "access: $access, onIncomplete: $on, require: $need, partialErrors: $tell) { coverage { completeness } } }"
    )
    demands: list[Json] = [{"need": ["01001"]}, {"need": ["99999"]}, {"need": "01001"}, {"on": "FAIL"}, {"tell": True}]
    assert [door.refused(strict, **d) for d in demands[1:2]] == ["UNKNOWN_FACILITY"]
    permit = History._permit

    async def narrowed(self: History, *arguments: Any) -> Any:
        return replace(await permit(self, *arguments), entitled_to_ledger=False)

    monkeypatch.setattr(History, "_permit", narrowed)
    assert {door.refused(strict, **demand) for demand in demands} == {"ACCESS_DENIED"}
    assert "errors" not in door.post(strict) and "errors" not in door.post(strict, need=None)


HERE = Walk(2**33, (), ("2024-01-01T00:00:00.000000", "01001", "id"))
FILTER = {"code": "E11"}


def test_a_cursor_of_ones_own_is_taken_and_null_is_the_first_page(door: Door) -> None:
    assert "errors" not in door.post(PAGED, a=door.cursor(HERE))
    assert "errors" not in door.post(PAGED, a=door.cursor(HERE, f=FILTER), f=FILTER)
    assert "errors" not in door.post(PAGED, a=None)


def test_a_cursor_that_is_not_ones_own_is_refused(door: Door) -> None:
    good = door.cursor(HERE)
    expired = door.cursor(Walk(int(time.time()) - 1, (), ("2024", "01001", "id")))
    others = [
        good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), good[:-4], good + "AAAA", "!" + good, "", "x", "A" * 5_000, expired,
        door.cursor(HERE, subject="somebody else"), door.cursor(HERE, purpose="TREAT"), door.cursor(HERE, value="001190054322"),
        door.cursor(HERE, f=FILTER),
    ]  # fmt: skip
    assert {door.refused(PAGED, a=cursor) for cursor in others} == {"BAD_CURSOR"}
    assert door.refused(PAGED, a=good, f=FILTER) == "BAD_CURSOR"
    assert door.refused(PAGED, door.token(Role.CITIZEN, "another"), a=good) == "BAD_CURSOR"


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"by": {"kind": "CCCD", "value": "12"}}, "BAD_IDENTIFIER"),
        ({"by": {"kind": "CCCD", "value": ""}}, "BAD_IDENTIFIER"),
        ({"by": {"kind": "CCCD", "value": "001190054322"}}, "ACCESS_DENIED"),
        ({"by": {"kind": "HOROSCOPE", "value": "x"}}, "BAD_USER_INPUT"),
        ({"by": None}, "BAD_USER_INPUT"),
        ({"access": {"purpose": "TREAT", "basis": "GRANT", "evidence": "nothing"}}, "ACCESS_DENIED"),
        ({"access": {"purpose": "BTG", "basis": "EMERGENCY"}}, "PURPOSE_UNSUPPORTED"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_has_a_stable_code(door: Door, variables: Json, code: str) -> None:
    assert door.refused(NAME, **variables) == code


def test_arguments_of_lists_are_refused_with_stable_codes(door: Door) -> None:
    sized = question("encounters(first: $n) { edges { cursor } }", ", $n: Int!")
    for size in (0, -1, 201):
        assert door.refused(sized, n=size) == "BAD_PAGE_SIZE"
    placed = question("encounters(filter: {facility: $f}) { edges { cursor } }", ", $f: String")
    assert door.refused(placed, f="99999") == "UNKNOWN_FACILITY" and "errors" not in door.post(placed, f="01001")
    kinds = question("timeline(filter: {kinds: $k}) { edges { cursor } }", ", $k: [RecordKind!]")
    assert "errors" not in door.post(kinds, k="CONDITION") and "errors" not in door.post(kinds)


def test_an_analyst_sees_no_records_and_a_stranger_nothing_at_all(door: Door) -> None:
    assert door.refused(NAME, door.token(Role.ANALYST, "analyst")) == "ACCESS_DENIED"
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Basic {door.citizen}"}):
        answer = door.client.post("/graphql", json={"query": "{__typename}"}, headers=headers)
        assert answer.status_code == 401 and answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_transport_errors_have_the_shape_of_graphql_errors(door: Door) -> None:
    headers = {"authorization": f"Bearer {door.citizen}"}

    def send(status: int, **options: Any) -> str:
        answer = door.client.post("/graphql", **{**options, "headers": {**headers, **options.get("headers", {})}})
        assert answer.status_code == status
        return str(answer.json()["errors"][0]["extensions"]["code"])

    json = {"content-type": "application/json"}
    assert send(415, content=b"{}") == "UNSUPPORTED_MEDIA_TYPE"
    assert send(400, content=b"{", headers=json) == "BAD_JSON"
    assert send(400, content=b"[]", headers=json) == "BAD_REQUEST"
    assert send(413, content=b" " * (MAX_REQUEST_BYTES + 1), headers=json) == "REQUEST_TOO_LARGE"
    assert send(406, json={"query": "{contract}"}, headers={"accept": "text/html"}) == "NOT_ACCEPTABLE"
    assert send(400, json={"query": "{"}, headers={"accept": GRAPHQL_RESPONSE}) == "GRAPHQL_PARSE_FAILED"
    assert send(200, json={"query": "{"}) == "GRAPHQL_PARSE_FAILED"


def test_nothing_of_a_question_reaches_a_log_or_standard_error(
    door: Door, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        door.post(NAME)
        door.post(NAME, by={"kind": "CCCD", "value": CCCD + "9"})
        door.post(NAME, by={"kind": CCCD, "value": CCCD})
        door.post(PAGED, a=CCCD * 3, f={"code": CCCD, "encounter": CCCD})
        door.post(PAGED, f={"facility": CCCD})
        door.post(PAGED, f={CCCD: 1})
        door.post(NAME.replace("$by,", f'{{kind: CCCD, value: "{CCCD}"}},'))
        door.post("{" + CCCD)
    out = capfd.readouterr()
    ours = "".join(f"{vars(r)}" for r in caplog.records if r.name.split(".")[0] not in ("httpx", "httpcore"))
    assert CCCD not in out.out + out.err + ours
