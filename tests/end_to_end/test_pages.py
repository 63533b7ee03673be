"""Pages over five hospitals of which some fail between one page and the next, walked as a client walks them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tests.end_to_end.conftest import TestCity, ledger
from tests.end_to_end.databases import BOTH
from tests.fault_proxy import Fault

pytestmark = BOTH

BROKEN = "01003"
PAGES = """query Pages($by: PatientBy!, $access: AccessInput!, $first: Int!, $after: String) {
  patient(by: $by, access: $access) {
    coverage { completeness facilities { facility { code } outcome reason records } }
    patient { timeline(first: $first, after: $after) {
      edges { sortKey late cursor facility { code } node { id } }
      pageInfo { hasNextPage endCursor gapCursor } } } } }"""
Json = dict[str, Any]


def page(
    city: TestCity, first: int, after: str | None, faults: Mapping[str, Fault] = MappingProxyType({})
) -> tuple[Json, Json]:
    """The timeline of one page and the whole answer, while these facilities' nodes are spoiled."""
    for code, fault in faults.items():
        city.proxies[code].fault = fault
    try:
        answer = city.ask(city.showcase, PAGES, first=first, after=after)
    finally:
        for code in faults:
            city.proxies[code].fault = Fault.NONE
    return answer["data"]["patient"]["patient"]["timeline"], answer


def keys(timeline: Json) -> list[str]:
    return [edge["sortKey"] for edge in timeline["edges"]]


def everything(city: TestCity) -> list[str]:
    timeline, _ = page(city, 200, None)
    found, after = keys(timeline), timeline["pageInfo"]
    while after["hasNextPage"]:
        timeline, _ = page(city, 200, after["endCursor"])
        found, after = found + keys(timeline), timeline["pageInfo"]
    return found


def test_a_walk_in_small_pages_is_the_walk_in_large_ones(city: TestCity) -> None:
    whole = everything(city)
    walked: list[str] = []
    after: str | None = None
    for _ in range(len(whole)):
        timeline, answer = page(city, 17, after)
        assert answer["data"]["patient"]["coverage"]["completeness"] == "COMPLETE"
        assert timeline["pageInfo"]["gapCursor"] is None and not any(e["late"] for e in timeline["edges"])
        walked += keys(timeline)
        after = timeline["pageInfo"]["endCursor"]
        if not timeline["pageInfo"]["hasNextPage"]:
            break
    assert walked == whole and len(set(whole)) == len(whole)


def test_what_a_hospital_could_not_give_comes_late_by_the_gap_cursor(city: TestCity) -> None:
    whole = everything(city)
    broken, other, *_ = dict.fromkeys(k.split("|")[1] for k in whole)
    first, answer = page(city, 20, None, {broken: Fault.STATUS_500, other: Fault.CUT})
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
    assert first["pageInfo"]["gapCursor"] and first["pageInfo"]["hasNextPage"]
    missing = [k for k in whole if k.split("|")[1] in (broken, other) and k > first["edges"][-1]["sortKey"]]
    assert {k.split("|")[1] for k in missing} == {broken, other}, "the story must have both above the first page's end"

    second, answer = page(city, 10, first["pageInfo"]["endCursor"])
    lines = ledger(answer)
    assert lines[broken] == lines[other] == ("TRUNCATED", "GAP")
    assert {outcome for code, (outcome, _) in lines.items() if code not in (broken, other)} == {"ANSWERED"}
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"

    late: list[Json] = []
    info = second["pageInfo"]
    cursor = info["gapCursor"]
    for _ in range(len(whole)):
        timeline, answer = page(city, 7, cursor)
        info = timeline["pageInfo"]
        if not any(e["late"] for e in timeline["edges"]):
            break
        late += timeline["edges"]
        assert {o for o, _ in ledger(answer).values()} <= {"ANSWERED", "EMPTY", "NOT_ASKED"}
        cursor = info["endCursor"]
    assert [e["sortKey"] for e in late] == missing
    rest = keys(timeline)
    while info["hasNextPage"]:
        timeline, answer = page(city, 50, info["endCursor"])
        rest, info = rest + keys(timeline), timeline["pageInfo"]
    assert info["gapCursor"] is None and answer["data"]["patient"]["coverage"]["completeness"] == "COMPLETE"
    walked = [*keys(first), *keys(second), *(e["sortKey"] for e in late), *rest]
    assert sorted(walked, reverse=True) == whole


def test_a_gap_that_fails_again_stays_open(city: TestCity) -> None:
    first, _ = page(city, 10, None, {BROKEN: Fault.STATUS_500})
    again, answer = page(city, 10, first["pageInfo"]["gapCursor"], {BROKEN: Fault.STATUS_500})
    assert again["edges"] == [] and again["pageInfo"]["gapCursor"] and again["pageInfo"]["hasNextPage"]
    lines = ledger(answer)
    assert lines.pop(BROKEN)[0] == "INVALID_RESPONSE"
    assert set(lines.values()) == {("NOT_ASKED", "ANSWERED_BEFORE")}
    assert answer["data"]["patient"]["coverage"]["completeness"] == "INCOMPLETE"
    onward, _ = page(city, 10, again["pageInfo"]["endCursor"])
    plain, _ = page(city, 10, first["pageInfo"]["endCursor"])
    assert keys(onward) == keys(plain)


def test_a_cursor_from_the_middle_of_a_page_goes_on_from_there(city: TestCity) -> None:
    whole = everything(city)
    first, _ = page(city, 10, None)
    onward, _ = page(city, 10, first["edges"][3]["cursor"])
    assert keys(onward) == whole[4:14]
