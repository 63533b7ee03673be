"""Cities of rows, what the gateway decodes of them, and their union worked out naively."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from gateway.merge import Page, merge
from gateway.reading import Slice
from schema.elements import RecordKind
from tests.gateway.asking import (
    Question,
    compiled,
    make_row,
    node_answer,
    node_patient,
    question,
    read_answer,
    request,
)
from tests.node_agent.naive import matches, position
from tests.plain import Json

KIND = RecordKind.REFERRAL
TIMES = ("", "2023-01-01T00:00:00.000000", "2024-01-01T00:00:00.000000", "2024-01-01T07:30:00.000000")
EMPTY_BODY = question("referrals(first: $n, after: $a) { edges { sortKey node { id } } }", ", $n: Int!, $a: String")


def rows_of(facility: str, facts: Iterable[tuple[str, str | None, str]]) -> list[Json]:
    """Rows with these (sort time, key, content)."""
    rng = random.Random(1)
    return [make_row(rng, facility, n, KIND, sort, key, digest) for n, (sort, key, digest) in enumerate(facts)]


facts = st.tuples(st.sampled_from(TIMES), st.sampled_from([None, None, "k1", "k2"]), st.sampled_from(["h1", "h2"]))
cities = st.dictionaries(st.sampled_from("ABCDE"), st.lists(facts, max_size=6), max_size=5)


def decoded(
    asked: Question, facility: str, rows: list[Json], sizes: tuple[int, ...], after: tuple[Any, ...] = ()
) -> Any:
    """What the gateway makes of the answer of this facility's naive node."""
    body = node_answer(asked, sizes, node_patient(facility, rows), after=after)
    pages = tuple(Slice(s) for s in sizes)
    (entity,) = read_answer(body, request(facility), asked.subquery, pages)
    return entity


def merged(
    city: dict[str, list[Json]], size: int, after: str | None = None, caps: Mapping[str, int] = MappingProxyType({})
) -> Page:
    """caps: facilities whose nodes give fewer rows than they are asked for, and say that there are more."""
    asked = compiled(EMPTY_BODY, n=size, a=after)
    return merge(
        [decoded(asked, f, rows, (min(size, caps.get(f, size)),), (after,)).c0 for f, rows in city.items()], size
    )


def shown(page: Page) -> list[tuple[str, str, tuple[str, ...], bool]]:
    """(facility, id, also at, conflict) of every row of a page."""
    return [(e.facility, e.id, page.also_at.get(n, ()), n in page.conflicts) for n, e in enumerate(page.edges)]


def naive_page(
    city: dict[str, list[Json]], size: int, after: Any = None, given_: Json | None = None
) -> tuple[list[Json], bool]:
    """Source rows of the page, and whether there are more."""
    rows = sorted((r for rows in city.values() for r in rows if matches(r, given_ or {})), key=position, reverse=True)
    left = [r for r in rows if after is None or position(r) < after]
    return left[:size], len(left) > size


def naive_collapse(rows: list[Json]) -> list[tuple[Json, list[str], bool]]:
    """(row, also at, conflict): the first of equal (key, content) stands for those of other facilities."""
    kept: list[tuple[Json, list[str], bool]] = []
    for row in rows:
        twins = [
            k
            for k in kept
            if row["key"]
            and k[0]["key"] == row["key"]
            and k[0]["hash"] == row["hash"]
            and k[0]["facility"] != row["facility"]
        ]
        if not twins:
            kept.append((row, [], False))
        elif row["facility"] not in twins[0][1]:
            twins[0][1].append(row["facility"])
    contents: dict[str, set[str]] = {}
    for row, _, _ in kept:
        contents.setdefault(row["key"], set()).add(row["hash"])
    return [(row, also, row["key"] is not None and len(contents[row["key"]]) > 1) for row, also, _ in kept]


def made_city(found: dict[str, list[tuple[str, str | None, str]]]) -> dict[str, list[Json]]:
    return {f: rows_of(f, x) for f, x in found.items()}
