"""The union of the nodes' rows against the naive whole: order, copies, pages."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.merge import collapse, merge
from tests.gateway.asking import (
    compiled,
)
from tests.gateway.union import (
    EMPTY_BODY,
    TIMES,
    cities,
    decoded,
    made_city,
    merged,
    naive_collapse,
    naive_page,
    rows_of,
)
from tests.node_agent.naive import position

relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(cities, st.integers(1, 12))
def test_a_page_is_the_top_of_the_total_order_with_copies_collapsed(found: Any, size: int) -> None:
    city = made_city(found)
    page = merged(city, size)
    rows, more = naive_page(city, size)
    assert page.has_next is more
    assert page.end == (position(rows[-1]) if rows else None)
    expected = [(r["facility"], r["id"], tuple(also), conflict) for r, also, conflict in naive_collapse(rows)]
    assert [(r.facility, r.id, r.also_at, r.conflict) for r in page.rows] == expected


@relaxed
@given(cities, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_in_which_nodes_answered_changes_nothing(found: Any, size: int, shuffle: random.Random) -> None:
    city = made_city(found)
    mixed = list(city.items())
    shuffle.shuffle(mixed)
    one, two = merged(city, size), merged(dict(mixed), size)
    assert [(r.facility, r.id, r.also_at, r.conflict) for r in one.rows] == [
        (r.facility, r.id, r.also_at, r.conflict) for r in two.rows
    ]
    assert (one.has_next, one.end) == (two.has_next, two.end)


@relaxed
@given(cities, st.integers(1, 7))
def test_a_walk_by_cursors_sees_every_source_row_once(found: Any, size: int) -> None:
    city = made_city(found)
    shown: list[str] = []
    copies = 0
    after: str | None = None
    while True:
        page = merged(city, size, after)
        shown += [r.id for r in page.rows]
        copies += sum(
            len(naive) for _, naive, _ in naive_collapse(naive_page(city, size, after and tuple(after.split("|")))[0])
        )
        if not page.has_next:
            break
        assert page.end is not None
        after = "|".join(page.end)
    assert len(shown) == len(set(shown))
    assert len(shown) + copies <= sum(map(len, city.values()))
    if not any(r["key"] for rows in city.values() for r in rows):
        assert len(shown) == sum(map(len, city.values()))


def test_a_page_that_ends_in_a_copy_goes_on_after_the_copy() -> None:
    """Else the copy would come again on the next page, as a record of its own."""
    city = {
        "B": rows_of("B", [(TIMES[3], "k1", "h1")]),
        "A": rows_of("A", [(TIMES[2], "k1", "h1"), (TIMES[1], None, "h2")]),
    }
    page = merged(city, 2)
    assert [(r.id, r.also_at) for r in page.rows] == [("B-000", ("A",))] and page.has_next
    assert page.end == (TIMES[2], "A", "A-000")
    assert [r.id for r in merged(city, 2, "|".join(page.end)).rows] == ["A-001"]


def test_copies_at_three_facilities_name_the_two_others_once() -> None:
    city = {f: rows_of(f, [(TIMES[2], "k1", "h1")]) for f in "ABC"} | {
        "D": rows_of("D", [(TIMES[2], "k1", "h1"), (TIMES[1], "k1", "h1")])
    }
    assert [(r.id, r.also_at, r.conflict) for r in merged(city, 10).rows] == [
        ("D-000", ("C", "B", "A"), False),
        ("D-001", (), False),
    ]
    twice = {"D": rows_of("D", [(TIMES[3], "k1", "h1")]), "A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}
    assert [(r.id, r.also_at) for r in merged(twice, 10).rows] == [("D-000", ("A",))]


def test_equal_content_without_an_issuers_number_is_never_collapsed() -> None:
    city = {f: rows_of(f, [(TIMES[2], None, "same")]) for f in "AB"}
    assert [(r.facility, r.also_at, r.conflict) for r in merged(city, 10).rows] == [("B", (), False), ("A", (), False)]


def test_equal_numbers_with_other_content_stay_both_and_say_so() -> None:
    city = {
        "A": rows_of("A", [(TIMES[2], "k1", "h1")]),
        "B": rows_of("B", [(TIMES[2], "k1", "h2")]),
        "C": rows_of("C", [(TIMES[1], "k1", "h1")]),
    }
    assert [(r.facility, r.also_at, r.conflict) for r in merged(city, 10).rows] == [
        ("B", (), True),
        ("A", ("C",), True),
    ]


def test_one_facilitys_own_repetition_is_kept() -> None:
    assert len(merged({"A": rows_of("A", [(TIMES[2], "k1", "h1")] * 2)}, 10).rows) == 2
    assert collapse([]) == []


def test_two_hospitals_with_the_same_local_id_are_two_rows() -> None:
    one, two = rows_of("A", [(TIMES[2], None, "")]), rows_of("B", [(TIMES[2], None, "")])
    two[0]["id"] = one[0]["id"]
    assert [(r.facility, r.id) for r in merged({"A": one, "B": two}, 5).rows] == [("B", "A-000"), ("A", "A-000")]


def test_a_node_that_says_it_has_more_is_believed() -> None:
    asked = compiled(EMPTY_BODY, n=5)
    entity = decoded(asked, "A", rows_of("A", [(TIMES[1], None, "")]), (5,))
    entity.c0.pageInfo.hasNextPage = True
    assert merge([entity.c0], 5).has_next and not merge([], 5).has_next and merge([], 5).end is None
