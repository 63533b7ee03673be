"""Pages while something else changes as well: a node fails, is replaced, speaks another contract, or is a warehouse.

After page one a missing row must stay told: no later page may call itself COMPLETE over it.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from gateway.access.callers import Caller, Role
from gateway.history import AskRefused
from gateway.transport import Fault
from schema.access import AccessInput, Basis, GrantInput, Purpose
from schema.elements import RecordKind
from schema.identity import IdentifierKind
from schema.messages import NodeRole
from tests.gateway.ages import SDL, newer, older
from tests.gateway.asking import make_row, question
from tests.gateway.town import CCCD, Town, town
from tests.plain import Json

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
A, B = "0000A", "0000B"
LEDGER = "coverage { completeness facilities { facility { code } outcome reason } }"
EDGES = "edges { sortKey late node { id feed } } pageInfo { hasNextPage endCursor gapCursor }"
PAGE = question(f"encounters(first: $n, after: $a) {{ {EDGES} }}", ", $n: Int!, $a: String", LEDGER)
TELEPATHY = newer(("  EMR\n", "  EMR\n  TELEPATHY\n"))


def visits(code: str, *months: int, **changes: Any) -> list[Json]:
    made = [
        make_row(random.Random(m), code, m, RecordKind.ENCOUNTER, f"2024-{m:02}-01T00:00:00.000000") for m in months
    ]
    for row in made:
        row["body"] |= changes
    return made


class Read:
    """One page as a client reads it."""

    def __init__(self, answer: Json) -> None:
        self.completeness: str = answer["coverage"]["completeness"]
        self.lines = {f["facility"]["code"]: (f["outcome"], f["reason"]) for f in answer["coverage"]["facilities"]}
        listed = answer["patient"]["encounters"]
        self.rows = [edge["node"]["id"] for edge in listed["edges"]]
        self.more: bool = listed["pageInfo"]["hasNextPage"]
        self.end, self.gap = listed["pageInfo"]["endCursor"], listed["pageInfo"]["gapCursor"]


async def read(of: Town, first: int = 3, after: str | None = None) -> Read:
    return Read(await of.ask(PAGE, n=first, a=after))


async def test_below_the_last_row_a_node_that_failed_above_is_still_missing(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2))})
        broken = await here.node({"ref-0000B": (B, visits(B, 1, 2))})
        broken.fault = Fault.UNREACHABLE
        first = await read(here)
        assert (first.completeness, first.more) == ("INCOMPLETE", False) and first.gap
        broken.fault = None
        onward = await read(here, after=first.end)
        assert onward.rows == [] and onward.gap
        assert (onward.completeness, onward.lines[B]) == ("INCOMPLETE", ("TRUNCATED", "GAP"))
        late = await read(here, after=onward.gap)
        assert late.rows == [f"{B}-002", f"{B}-001"] and late.completeness == "COMPLETE"


async def test_a_facility_at_another_node_since_page_one_is_told_whatever_refs_it_has(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2, 3, 4))})
        patients = {"ref-0000B": (B, visits(B, 1, 2, 3, 4))}
        broken = await here.node(patients)
        broken.fault = Fault.UNREACHABLE
        first = await read(here)
        await here.node(patients)  # the same store under a new agent: refs are what they were
        for cursor in (first.end, first.gap):
            page = await read(here, after=cursor)
            assert (page.completeness, page.lines[B]) == ("INCOMPLETE", ("NOT_ASKED", "NEW_SINCE_FIRST_PAGE"))
        assert (await read(here, 20)).completeness == "COMPLETE"


async def test_a_row_that_was_away_for_a_page_is_not_asked_below_it_as_if_nothing_had_been(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2, 3, 4, 5, 6))})
        patients = {"ref-0000B": (B, visits(B, 1, 2, 3, 4, 5, 6))}
        node = await here.node(patients)
        first = await read(here)
        await here.speaks(node, older(["Encounter.feed", "Record.feed"]))
        second = await read(here, after=first.end)
        assert second.completeness == "INCOMPLETE" and not any(row.startswith(B) for row in second.rows)
        await here.speaks(node, SDL)
        third = await read(here, after=second.end)
        assert third.completeness == "INCOMPLETE"


async def test_what_could_not_be_read_of_a_newer_node_is_a_gap_and_comes_late(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2, 3, 4, 5))})
        odd = visits(B, 5, feed="TELEPATHY")
        node = await here.node({"ref-0000B": (B, [*visits(B, 1, 2, 3, 4), *odd])}, TELEPATHY)
        first = await read(here)
        assert first.lines[B] == ("INVALID_RESPONSE", "KINDS_INVALID") and first.gap
        second = await read(here, after=first.end)
        assert second.completeness == "INCOMPLETE" and second.lines[B] == ("TRUNCATED", "GAP")
        again = await read(here, after=second.gap)
        assert again.rows == [] and again.completeness == "INCOMPLETE" and again.gap
        odd[0]["body"]["feed"] = "FHIR"  # the hospital mends it
        late = await read(here, after=again.gap)
        # Nothing of page one's stretch is lost, and nothing of page two's comes twice.
        assert not set(late.rows) & set(second.rows) and f"{B}-005" in late.rows
        assert node.calls


@pytest.mark.parametrize("sdl", [TELEPATHY, older(["Encounter.reason"])])
async def test_a_node_of_another_contract_answers_beside_a_warehouse(tmp_path: Path, sdl: str) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2))}, sdl)
        await here.node({"copy-000A": (A, visits(A, 1, 2))}, role=NodeRole.WAREHOUSE)
        page = await read(here, 20)
        assert page.lines[A] == ("ANSWERED", None) and page.rows == [f"{A}-002", f"{A}-001"]


async def test_what_only_a_warehouse_may_have_is_told_as_long_as_it_is_missing(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 2, 3, 4, 5, 6, 7))})
        store = await here.node({"copy-000A": (A, visits(A, 1, 8))}, role=NodeRole.WAREHOUSE)
        store.fault = Fault.UNREACHABLE
        first = await read(here)
        assert (first.completeness, first.lines[A]) == ("UNCERTAIN", ("ANSWERED", "WAREHOUSE_MISSING"))
        again = await read(here, after=first.gap)
        assert again.completeness == "UNCERTAIN"
        store.fault = None
        second = await read(here, after=first.end)
        assert (second.completeness, second.lines[A]) == ("UNCERTAIN", ("ANSWERED", "WAREHOUSE_MISSING"))
        late = await read(here, after=first.gap)
        assert late.rows == [f"{A}-008"] and late.completeness != "INCOMPLETE"


async def test_kinds_that_a_warehouse_of_another_contract_cannot_give_are_missing_copies(tmp_path: Path) -> None:
    both = question(
        "encounters { edges { node { id } } } observations { edges { node { id categories { code } } } }",
        coverage=LEDGER,
    )
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 2))})
        old = older(["Observation.categories"])
        await here.node({"copy-000A": (A, visits(A, 1))}, old, NodeRole.WAREHOUSE)
        told = (await here.ask(both))["coverage"]
        assert told["completeness"] == "UNCERTAIN" and told["facilities"][0]["reason"] == "WAREHOUSE_MISSING"


async def test_copies_kept_back_by_a_refusal_are_missing_on_later_pages(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        source = await here.node({"ref-0000A": (A, visits(A, 2, 3, 4, 5, 6, 7))})
        await here.node({"ref-0000B": (B, visits(B, 2, 3, 4, 5, 6, 7))})
        await here.node({"copy-000A": (A, visits(A, 1, 8))}, role=NodeRole.WAREHOUSE)
        source.fault, source.status = Fault.STATUS, 403
        first = await read(here)
        assert first.lines[A] == ("REFUSED", "HTTP_403") and not any(row.startswith(A) for row in first.rows)
        source.fault = None
        late = await read(here, 20, first.gap)
        onward = await read(here, 20, late.end)
        assert f"{A}-008" not in [*late.rows, *onward.rows] and onward.completeness == "UNCERTAIN"
        assert onward.lines[A] == ("ANSWERED", "WAREHOUSE_MISSING")


async def test_a_walk_begun_under_a_narrow_grant_does_not_go_on_under_a_wide_one(tmp_path: Path) -> None:
    """What the narrow one hid on page one would be missing from an answer that calls itself whole."""
    doctor = Caller(Role.PRACTITIONER, "doctor", "urn:test", "app", facility="01006")
    query = question(f"timeline(first: $n, after: $a) {{ {EDGES} }}", ", $n: Int!, $a: String", LEDGER)
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2, 3, 4))})
        (token,) = here.history.keys.live().tokens(IdentifierKind.CCCD, CCCD)

        async def granted(**terms: Any) -> AccessInput:
            given = await here.history.grants.give(token, GrantInput(days=30, grantee_facility="01006", **terms))
            return AccessInput(purpose=Purpose.TREAT, basis=Basis.GRANT, evidence=given.id)

        narrow = await granted(kinds=[RecordKind.ENCOUNTER])
        info = (await here.ask(query, doctor, narrow, n=2))["patient"]["timeline"]["pageInfo"]
        with pytest.raises(AskRefused) as refusal:
            await here.ask(query, doctor, await granted(), n=2, a=info["endCursor"])
        assert refusal.value.code == "BAD_CURSOR"
        renewed = await granted(kinds=[RecordKind.ENCOUNTER])
        onward = await here.ask(query, doctor, renewed, n=2, a=info["endCursor"])
        assert len(onward["patient"]["timeline"]["edges"]) == 2


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_a_warehouse_with_the_sources_own_record_ids_hides_none_of_its_rows(tmp_path: Path, size: int) -> None:
    """As when it was set up from the hospital's backup, record key and all."""
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2, 3, 4))})
        await here.node({"copy-000A": (A, visits(A, 1, 2, 3, 4))}, role=NodeRole.WAREHOUSE)
        found: list[str] = []
        cursor: str | None = None
        for _ in range(9):
            page = await read(here, size, cursor)
            found, cursor = found + page.rows, page.end
            if not page.more:
                break
        assert found == [f"{A}-00{n}" for n in (4, 3, 2, 1)]
