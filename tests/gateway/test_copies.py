"""A warehouse's rows lose to the source's own: which, over whole walks by cursors, and never more than that."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.copies import losing
from gateway.merge import Page, merge
from tests.gateway.asking import Question, compiled, make_row
from tests.gateway.union import EMPTY_BODY, KIND, decoded, rows_of
from tests.plain import Json

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
Fact = tuple[str, str | None, str]  # sort time, key, content
TIMES = [f"2024-01-{day:02}T00:00:00.000000" for day in range(1, 10)]


def facts_of(*times: str) -> st.SearchStrategy[Fact]:
    return st.tuples(st.sampled_from(times), st.sampled_from([None, None, "k1", "k2"]), st.sampled_from(["h1", "h2"]))


def copied(facility: str, facts: list[Fact]) -> list[Json]:
    """The warehouse's rows of a facility: ids of its own."""
    rng = random.Random(2)
    return [make_row(rng, facility, n + 1000, KIND, *fact) for n, fact in enumerate(facts)]


def page_of(parts: list[tuple[str, list[Json], bool]], size: int, after: str | None) -> Page:
    asked: Question = compiled(EMPTY_BODY, n=size, a=after)
    connections = [decoded(asked, f, rows, (size,), (after,)).c0 for f, rows, _ in parts]
    return merge(connections, size, losing(connections, [copy for *_, copy in parts]))


def walk(parts: list[tuple[str, list[Json], bool]], size: int) -> list[str]:
    """The ids that a client sees who follows the cursors; a walk that does not end fails."""
    seen: list[str] = []
    after: str | None = None
    for _ in range(200):
        page = page_of(parts, size, after)
        seen += [edge.id for edge in page.edges]
        if not page.has_next:
            return seen
        assert page.end is not None and (after is None or page.end < tuple(after.split("|")))
        after = "|".join(page.end)
    raise AssertionError("the walk does not end")


def content(row: Json) -> tuple[str, str]:
    return row["sort"], row["hash"]


def naive(own: list[Json], copy: list[Json]) -> list[Json]:
    """What should be seen: all of the source's, and what only the warehouse has."""
    numbers, contents = {r["key"] for r in own if r["key"]}, {content(r) for r in own}
    return own + [r for r in copy if r["key"] not in numbers and content(r) not in contents]


few = st.lists(facts_of(*TIMES[:4]), max_size=8)


@relaxed
@given(few, few, few)
def test_on_one_page_the_source_s_rows_and_what_only_the_warehouse_has_are_seen(
    own: list[Fact], copy: list[Fact], other: list[Fact]
) -> None:
    rows, copies, more = rows_of("A", own), copied("A", copy), rows_of("B", other)
    seen = walk([("A", rows, False), ("A", copies, True), ("B", more, False)], 100)
    shown = {r["id"] for r in naive(rows, copies)}
    # What stands for the same document at another hospital is collapsed as ever.
    assert set(seen) <= shown | {r["id"] for r in more}
    assert {r["id"] for r in naive(rows, copies) if r["key"] is None} <= set(seen)
    assert len(seen) == len(set(seen))


@relaxed
@given(few, few, st.integers(1, 6))
def test_no_row_is_lost_by_any_page_size_and_every_walk_ends(own: list[Fact], copy: list[Fact], size: int) -> None:
    rows, copies = rows_of("A", own), copied("A", copy)
    seen = walk([("A", rows, False), ("A", copies, True)], size)
    assert len(seen) == len(set(seen))
    assert {r["id"] for r in naive(rows, copies)} <= set(seen)


@relaxed
@given(st.lists(st.sampled_from(["h1", "h2"]), max_size=9), st.sets(st.integers(0, 8)), st.integers(2, 5))
def test_across_pages_no_copy_is_seen_while_rows_have_times_of_their_own(
    contents: list[str], missing: set[int], size: int
) -> None:
    facts: list[Fact] = [(TIMES[n], None, digest) for n, digest in enumerate(contents)]
    own = rows_of("A", [f for n, f in enumerate(facts) if n not in missing])
    copies = copied("A", facts)
    seen = walk([("A", own, False), ("A", copies, True)], size)
    shown = Counter(content(r) for r in own + copies if r["id"] in seen)
    assert shown == Counter((sort, digest) for sort, _, digest in facts)
    assert {r["id"] for r in own} <= set(seen)


@relaxed
@given(few, few)
def test_without_the_source_s_answer_all_its_copies_are_seen_and_another_facility_s_rows_change_nothing(
    copy: list[Fact], other: list[Fact]
) -> None:
    copies, more = copied("A", copy), rows_of("B", other)
    asked = compiled(EMPTY_BODY, n=100)
    connections = [decoded(asked, f, rows, (100,)).c0 for f, rows in (("A", copies), ("B", more))]
    assert losing(connections, [True, False]) == frozenset()


def test_of_two_warehouses_one_keeps_a_row_and_one_keeps_what_the_other_has_not() -> None:
    one, two = copied("A", [(TIMES[0], None, "h1")]), copied("A", [(TIMES[0], None, "h1"), (TIMES[1], None, "h2")])
    for row in two:
        row["id"] = "w" + row["id"][1:]
        row["body"]["id"] = row["id"]
    seen = walk([("A", one, True), ("A", two, True)], 10)
    assert seen == [two[1]["id"], one[0]["id"]]


def test_how_often_the_source_has_a_row_is_the_source_s_word() -> None:
    fact: Fact = (TIMES[0], None, "h1")
    for own, copies, expected in ((1, 2, 1), (2, 2, 2), (2, 1, 2), (0, 2, 2)):
        parts: list[Any] = [("A", rows_of("A", [fact] * own), False), ("A", copied("A", [fact] * copies), True)]
        assert len(walk(parts, 10)) == expected


def test_a_newer_edition_of_a_numbered_document_at_the_source_beats_the_warehouse_s_old_one() -> None:
    own, old = rows_of("A", [(TIMES[1], "k1", "new")]), copied("A", [(TIMES[0], "k1", "old")])
    assert walk([("A", own, False), ("A", old, True)], 10) == [own[0]["id"]]
