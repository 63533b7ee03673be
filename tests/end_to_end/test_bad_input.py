"""What cannot be asked, over real processes: a stable code, what would be valid in both languages, nobody asked, nothing shown."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from gateway.access.callers import Role
from gateway.keys import load_signing_key
from schema.identity import Identifier, IdentifierKind
from tests.end_to_end.conftest import TestCity
from tests.end_to_end.test_conformance import node_id
from tests.signing_proxy import Signer

Json = dict[str, Any]
TYPED = "001085067891"  # an identifier in the wrong place
VALID = {
    "BAD_PAGE_SIZE": "1 to 200",
    "BAD_PERIOD": "from not after to",
    "BAD_CODE": "such as E11",
    "BACKWARD_PAGING_UNSUPPORTED": "use first and after",
    "UNKNOWN_FACILITY": "facilities { code name }",
    "BAD_CURSOR": "page cursor cannot be used",
}
LISTS: list[tuple[str, Json, str]] = [
    ("last: 5", {}, "BACKWARD_PAGING_UNSUPPORTED"),
    (f'before: "{TYPED}"', {}, "BACKWARD_PAGING_UNSUPPORTED"),
    ("first: 0", {}, "BAD_PAGE_SIZE"),
    ("first: -20", {}, "BAD_PAGE_SIZE"),
    ("first: 201", {}, "BAD_PAGE_SIZE"),
    ("first: 1000000000000", {}, "BAD_PAGE_SIZE"),
    ("first: $n", {"n": -1}, "BAD_PAGE_SIZE"),
    ("first: $n", {"n": 2**40}, "BAD_PAGE_SIZE"),
    ("first: $n", {"n": TYPED}, "BAD_PAGE_SIZE"),
    ('filter: {period: {from: "2025", to: "2024"}}', {}, "BAD_PERIOD"),
    ('filter: {period: {from: "2024-02-30"}}', {}, "BAD_PERIOD"),
    ("filter: $f", {"f": {"period": {"to": "2023-02-29"}}}, "BAD_PERIOD"),
    ("filter: $f", {"f": {"period": {"from": TYPED}}}, "BAD_PERIOD"),
    ('filter: {code: "E11%"}', {}, "BAD_CODE"),
    ('filter: {code: " . "}', {}, "BAD_CODE"),
    ("filter: $f", {"f": {"code": TYPED + "?"}}, "BAD_CODE"),
    ("after: $c", {"c": TYPED}, "BAD_CURSOR"),
]
FACILITY: list[tuple[str, Json, str]] = [
    ("filter: $f", {"f": {"facility": TYPED}}, "UNKNOWN_FACILITY"),
    ('filter: {facility: ""}', {}, "UNKNOWN_FACILITY"),
]
PAGES = """query($by: PatientBy!, $access: AccessInput!, $c: String, $f: RecordFilter) { patient(by: $by, access: $access) {
  coverage { completeness } patient { encounters(first: 2, after: $c, filter: $f) { edges { cursor } pageInfo { endCursor } } } } }"""


def check_refused(answer: Json, code: str) -> None:
    """Only this error, in both languages, with what would be valid; no data, no ledger, nothing that was typed."""
    assert not any((answer.get("data") or {}).values()) and "extensions" not in answer
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": code}
    assert VALID[code] in error["message"] and re.search(r"[ăâđêôơưạảấầẩậắằặẹẻẽếềểễệ]", error["message"])
    assert TYPED not in str(answer)


def asked(city: TestCity, arguments: str, variables: Json) -> Json:
    declared = "".join(
        f", ${n}: {t}" for n, t in (("n", "Int!"), ("f", "RecordFilter"), ("c", "String")) if n in variables
    )
    query = f"""query($by: PatientBy!, $access: AccessInput!{declared}) {{ patient(by: $by, access: $access) {{
      coverage {{ completeness }} patient {{ name encounters({arguments}) {{ edges {{ sortKey }} }} }} }} }}"""
    return city.ask(city.showcase, query, **variables)


@pytest.mark.parametrize(("arguments", "variables", "code"), LISTS + FACILITY)
def test_the_gateway_refuses_it_and_asks_nobody(city: TestCity, arguments: str, variables: Json, code: str) -> None:
    before = [proxy.requests for proxy in city.proxies.values()]
    check_refused(asked(city, arguments, variables), code)
    assert [proxy.requests for proxy in city.proxies.values()] == before


@pytest.mark.parametrize(("arguments", "variables", "code"), LISTS)
def test_a_node_behind_a_delegation_refuses_it_alike(
    city: TestCity, arguments: str, variables: Json, code: str
) -> None:
    declared = "".join(
        f", ${n}: {t}" for n, t in (("n", "Int!"), ("f", "RecordFilter"), ("c", "String")) if n in variables
    )
    query = f"query($r: [_Any!]!{declared}) {{ _entities(representations: $r) {{ ... on Patient {{ encounters({arguments}) {{ edges {{ id }} }} }} }} }}"
    signer = Signer(
        load_signing_key(city.running.gateway.folder / "gateway.key"), node_id(city.running.gateway.folder, "01003")
    )
    request = httpx.Request(
        "POST", city.running.nodes["01003"].url + "/graphql", json={"query": query, "variables": {"r": [], **variables}}
    )
    request.headers["authorization"] = signer.authorization(request.content)
    with httpx.Client(trust_env=False) as client:
        check_refused(client.send(request).json(), code)


def test_a_cursor_that_is_altered_or_anothers_or_for_another_query_is_refused_alike(city: TestCity) -> None:
    first = city.ask(city.showcase, PAGES)
    cursor = first["data"]["patient"]["patient"]["encounters"]["pageInfo"]["endCursor"]
    assert "errors" not in city.ask(city.showcase, PAGES, c=cursor)
    middle = len(cursor) // 2
    altered = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    other = str(city.story("newborn")[0]["identifiers"]["cccd"])
    variables = {"by": {"kind": "CCCD", "value": city.showcase}, "c": cursor}
    access = city.access(city.showcase)
    colleague = city.running.token(Role.PRACTITIONER, "colleague", facility="01006", licence="001234/HNO-CCHN")
    citizen = city.running.token(Role.CITIZEN, "citizen", identity=Identifier(IdentifierKind.CCCD, city.showcase))
    refusals = [
        city.ask(city.showcase, PAGES, c=altered),
        city.ask(city.showcase, PAGES, c=cursor[:-4]),
        city.ask(city.showcase, PAGES, c=cursor + "AAAA"),
        city.ask(city.showcase, PAGES, c=cursor, f={"code": "E11"}),
        city.ask(city.showcase, PAGES.replace("encounters(", "encounters: conditions("), c=cursor),
        city.ask(other, PAGES, c=cursor),
        city.running.ask(colleague, PAGES, {**variables, "access": access}),
        city.running.ask(citizen, PAGES, {**variables, "access": {"purpose": "PATRQT", "basis": "SELF"}}),
    ]
    for answer in refusals:
        check_refused(answer, "BAD_CURSOR")
        assert answer == refusals[0]
