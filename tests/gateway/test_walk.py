"""Walks over many hospitals that fail and come back: no row twice, none lost, the order total, and every walk ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.cursor import BELOW_ALL, CursorSeal, Gap, Place, Walk
from gateway.merge import key_of, merge
from gateway.plan import ANSWERED_BEFORE, NEW_SINCE_FIRST_PAGE, pin, plan_query
from gateway.walk import Turn, fill, gap_nodes, has_part, is_new, mark, place_for
from schema.coverage import Outcome
from tests.gateway.asking import choice, city, compiled, located, question, state

SEAL = CursorSeal.of(bytes(32))
TIMES = ("", "2023", "2024-01-01T00:00:00.000000", "2024-01-01T00:00:00.000001", "2025")
Row = SimpleNamespace


def row(facility: str, sort_time: str, number: int) -> Row:
    return Row(sortKey=sort_time, facility=facility, id=f"{number:03}", key=None, contentHash="")


@dataclass
class Hospitals:
    """Rows by node, and a client that walks over them through sealed cursors. caps: nodes that give fewer rows than asked."""

    rows: dict[str, list[Row]]
    caps: Mapping[str, int] = field(default_factory=dict)
    size: int = 3

    def list_of(self, node: str, after: Place | None) -> Any:
        below = [r for r in self.rows[node] if after is None or key_of(r) < after]
        below.sort(key=key_of, reverse=True)
        given_ = below[: min(self.size, self.caps.get(node, self.size))]
        return SimpleNamespace(edges=given_, pageInfo=SimpleMore(len(given_) < len(below)))

    def page(self, cursor: str | None, failing: set[str]) -> Turn:
        """One page as the gateway makes it."""
        walk = SEAL.open(cursor, b"", 0) if cursor else None
        asked = [n for n in sorted(self.rows) if walk is None or has_part([walk], n)]
        answers = {n: self.list_of(n, place_for(walk, n)) for n in asked if n not in failing}
        failed = [n for n in asked if n in failing]

        def start() -> Walk:
            return walk or Walk(1, ())

        if walk is None or not walk.late:
            return Turn(start, merge(answers.values(), self.size), failed)
        page, unfilled = fill(walk, {n: [answer] for n, answer in answers.items()}, self.size)
        return Turn(start, page, failed, unfilled)


class SimpleMore:
    """A page info as the decoder makes it: from its one field."""

    def __init__(self, more: bool) -> None:
        self.hasNextPage = more


def sealed(walk: Walk) -> str:
    return SEAL.seal(walk, b"")


@st.composite
def histories(draw: st.DrawFn) -> Hospitals:
    nodes = draw(st.integers(1, 40))
    few = st.lists(st.sampled_from(TIMES), max_size=draw(st.sampled_from([2, 6])))
    rows = {f"n{n:02}": [row(f"{n:02}", t, i) for i, t in enumerate(draw(few))] for n in range(nodes)}
    caps = draw(st.dictionaries(st.sampled_from(sorted(rows)), st.integers(1, 2), max_size=3))
    return Hospitals(rows, caps, draw(st.integers(1, 7)))


walking = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@walking
@given(histories(), st.data())
def test_a_walk_sees_every_row_once_whatever_fails_on_the_way(city_: Hospitals, data: st.DataObject) -> None:
    """The client goes on by endCursor or by gapCursor as it likes; at the end it fills what is left."""
    everyone = sorted(city_.rows)
    seen: list[Place] = []
    main: list[Place] = []
    cursor: str | None = None
    patience = 10 + 4 * sum(map(len, city_.rows.values()))
    trouble = data.draw(st.integers(0, 6))
    for step in range(patience):
        failing = set(data.draw(st.lists(st.sampled_from(everyone), max_size=4))) if step < trouble else set()
        turn = city_.page(cursor, failing)
        shown = [key_of(e) for e in turn.page.edges]
        assert shown == sorted(shown, reverse=True) and len(shown) <= city_.size
        seen += shown
        if not turn.page.late:
            main += shown
        end = turn.end
        if end.gaps and (not turn.has_next or data.draw(st.booleans())):
            cursor = sealed(replace(end, late=True))
        elif turn.has_next:
            cursor = sealed(end)
        else:
            break
    else:
        raise AssertionError("the walk does not end")
    expected = sorted((key_of(r) for rows in city_.rows.values() for r in rows), reverse=True)
    assert sorted(seen, reverse=True) == expected
    assert main == sorted(main, reverse=True)


@walking
@given(histories(), st.data())
def test_a_client_that_only_goes_down_sees_no_row_twice_and_knows_what_is_missing(
    city_: Hospitals, data: st.DataObject
) -> None:
    everyone = sorted(city_.rows)
    seen: list[Place] = []
    cursor: str | None = None
    for _ in range(10 + sum(map(len, city_.rows.values()))):
        failing = set(data.draw(st.lists(st.sampled_from(everyone), max_size=2)))
        turn = city_.page(cursor, failing)
        seen += [key_of(e) for e in turn.page.edges]
        end = turn.end
        if not turn.has_next:
            break
        cursor = sealed(end)
    assert seen == sorted(set(seen), reverse=True)
    lost = [(n, key_of(r)) for n, rows in city_.rows.items() for r in rows if key_of(r) not in seen]
    for node, place in lost:
        assert any(mark(node) in gap.nodes and inside(gap, place) for gap in end.gaps), (node, place, end)
    for gap in end.gaps:
        for node in everyone:
            assert mark(node) not in gap.nodes or not any(
                inside(gap, key_of(r)) and key_of(r) in seen for r in city_.rows[node]
            )


def inside(gap: Gap, place: Place) -> bool:
    return (gap.above is None or place < gap.above) and (gap.until is None or place > gap.until)


@walking
@given(histories(), st.data())
def test_the_cursor_of_any_row_goes_on_right_below_it(city_: Hospitals, data: st.DataObject) -> None:
    failing = set(data.draw(st.lists(st.sampled_from(sorted(city_.rows)), max_size=3)))
    turn = city_.page(None, failing)
    if not turn.page.edges:
        return
    chosen = data.draw(st.sampled_from(list(turn.page.edges)))
    rest = city_.page(sealed(turn.at(key_of(chosen))), set())
    below = sorted(
        (key_of(r) for rows in city_.rows.values() for r in rows if key_of(r) < key_of(chosen)), reverse=True
    )
    shown = [key_of(e) for e in rest.page.edges]
    assert shown == below[: len(shown)] and (shown or not below)


@walking
@given(histories(), st.data())
def test_rows_that_come_and_go_between_pages_bring_no_other_row_twice_and_lose_none(
    city_: Hospitals, data: st.DataObject
) -> None:
    before = {key_of(r) for rows in city_.rows.values() for r in rows}
    gone: set[Place] = set()
    seen: list[Place] = []
    cursor: str | None = None
    number = 500
    for _ in range(20 + 2 * len(before)):
        turn = city_.page(cursor, set())
        seen += [key_of(e) for e in turn.page.edges]
        if not turn.has_next:
            break
        cursor = sealed(turn.end)
        node = data.draw(st.sampled_from(sorted(city_.rows)))
        if data.draw(st.booleans()) and city_.rows[node]:
            gone.add(key_of(city_.rows[node].pop()))
        elif number < 510:
            number += 1
            city_.rows[node].append(row(node[1:], data.draw(st.sampled_from(TIMES)), number))
    assert len(seen) == len(set(seen)) and before - gone <= set(seen)


def test_a_node_that_fails_twice_in_a_row_has_one_gap_and_one_that_came_back_between_has_two() -> None:
    city_ = Hospitals({"a": [row("a", f"{n}", n) for n in range(9)], "b": [row("b", f"{n}", n) for n in range(9)]})
    one = city_.page(None, {"b"})
    two = city_.page(sealed(one.end), {"b"})
    assert two.end.gaps == (Gap(None, two.page.end, (mark("b"),)),)
    three = city_.page(sealed(two.end), set())
    four = city_.page(sealed(three.end), {"b"})
    assert [(g.above, g.nodes) for g in four.end.gaps] == [(None, (mark("b"),)), (three.page.end, (mark("b"),))]
    assert gap_nodes(four.end, ["a", "b"]) == {"b"} and gap_nodes(None, ["a"]) == frozenset()


def test_only_nodes_with_a_gap_take_part_in_filling_it() -> None:
    gap = Walk(1, (), ("2024", "a", "1"), (Gap(None, ("2024", "a", "1"), (mark("b"),)),), late=True)
    assert place_for(gap, "a") == BELOW_ALL and place_for(gap, "b") is None
    assert not has_part([gap], "a") and has_part([gap, None], "a") and has_part([gap], "b")


def test_a_walk_of_which_everybody_failed_at_page_one_is_filled_from_the_top() -> None:
    city_ = Hospitals({"a": [row("a", "2024", n) for n in range(4)]})
    first = city_.page(None, {"a"})
    assert not first.page.edges and not first.has_next and first.end.gaps == (Gap(None, None, (mark("a"),)),)
    second = city_.page(sealed(Walk(1, (), None, first.end.gaps, late=True)), set())
    assert second.page.late and len(second.page.edges) == 3 and second.has_next
    third = city_.page(sealed(second.end), set())
    assert len(third.page.edges) == 1 and not third.has_next and not third.end.gaps


ENCOUNTERS = question("encounters { edges { node { id } } }")


def test_a_facility_located_after_page_one_is_not_asked_and_says_so() -> None:
    of = city(state("A"), state("B"))
    here, other = pin(located("A"), of), pin(located("B"), of)
    walk = Walk(1, (here,), ("2024", "A", "1"))
    assert is_new([walk], other) and not is_new([walk, None], here) and not is_new([None], other)
    plan = plan_query(compiled(ENCOUNTERS).subquery, {}, choice("A", "B"), of, None, [walk])
    assert [t.facility for r in plan.requests for t in r.targets] == ["A"]
    assert [(s.facility, s.outcome, s.reason) for s in plan.skipped] == [("B", Outcome.NOT_ASKED, NEW_SINCE_FIRST_PAGE)]


def test_a_page_that_fills_gaps_asks_nobody_else() -> None:
    of = city(state("A"), state("B"))
    pinned = (pin(located("A"), of), pin(located("B"), of))
    walk = Walk(1, pinned, ("2024", "A", "1"), (Gap(None, ("2024", "A", "1"), (mark("node-B"),)),), late=True)
    plan = plan_query(compiled(ENCOUNTERS).subquery, {}, choice("A", "B"), of, None, [walk])
    assert [t.facility for r in plan.requests for t in r.targets] == ["B"]
    assert [(s.facility, s.reason) for s in plan.skipped] == [("A", ANSWERED_BEFORE)]
