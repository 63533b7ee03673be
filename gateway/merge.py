"""Ordered union of what the nodes sent (DESIGN 5, merge): one total order, copies collapsed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from operator import attrgetter
from typing import Any

from gateway.cursor import BELOW_ALL, Place

_NUMBER = attrgetter("key")


@dataclass(frozen=True, slots=True)
class Page:
    """A merged page: the nodes' edges in the total order, and whether the nodes that answered have more.

    end: the last source edge's key, which is below the last edge's where that one's copy stood above it. also_at: of an edge
    (by its index in edges) the further facilities that sent the same document. conflicts: the edges whose number another
    document bears too. late: its rows belong above rows that earlier pages showed.
    """

    edges: Sequence[Any]
    has_next: bool
    end: Place | None
    also_at: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    conflicts: frozenset[int] = frozenset()
    late: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a node's list, with the names a decoded connection has."""

    edges: Sequence[Any]
    pageInfo: Any  # noqa: N815


def key_of(edge: Any) -> Place:
    """An edge's place in the total order."""
    return edge.sortKey, edge.facility, edge.id


def merge(connections: Iterable[Any], size: int, lost: frozenset[int] = frozenset(), late: bool = False) -> Page:
    """The page of one connection from the nodes' decoded connections.

    Total order: (sort time, facility, id), greatest first, compared by code point. `size` counts source edges, so a page
    may show fewer rows than `size` when copies collapse, or when a node cut its list short: rows below such a cut wait for
    the next page, or the cursor would pass over what that node still has. lost: rows of a warehouse, by their place in the
    edges laid end to end, that are counted and not shown (gateway/copies.py).
    """
    edges: list[Any] = []
    more = False
    ends: list[Place] = []  # below these a node may have rows that nobody has seen yet
    cuts: list[Place] = []
    for connection in connections:
        if connection.pageInfo.hasNextPage:
            more = True
            if 0 < len(connection.edges) < size or (lost and connection.edges):
                (cuts if len(connection.edges) < size else ends).append(key_of(connection.edges[-1]))
        edges += connection.edges
    # The number keeps equal keys from comparing edges; a key function would cost more than the sort itself.
    keyed = [(e.sortKey, e.facility, e.id, n) for n, e in enumerate(edges)]
    keyed.sort(reverse=True)
    page = keyed[:size]
    if cuts:
        cut = max(cuts)
        page = [keys for keys in page if keys[:3] >= cut]
    if lost:
        # A lost row right below the page goes with it: on the next one nobody would know its original.
        floor = max((*cuts, *ends), default=BELOW_ALL)
        # So does a row at the very place of the last one, as of a warehouse that was made with the source's own record key.
        while len(page) < len(keyed) and page:
            *place, number = keyed[len(page)]
            if not (number in lost and tuple(place) >= floor) and tuple(place) != page[-1][:3]:
                break
            page.append(keyed[len(page)])
    rows = [edges[n] for *_, n in page if n not in lost] if lost else [edges[n] for *_, n in page]
    whole = Page(rows, more or len(keyed) > max(size, len(page)), page[-1][:3] if page else None, late=late)
    return collapse(whole) if any(map(_NUMBER, whole.edges)) else whole


def collapse(page: Page) -> Page:
    """Copies: equal key and equal content become one row with alsoAt; equal key and other content stay, flagged conflict."""
    by_key: dict[str, list[int]] = {}
    kept: list[Any] = []
    also_at: dict[int, tuple[str, ...]] = {}
    for edge in page.edges:
        if edge.key is not None:
            same = by_key.setdefault(edge.key, [])
            twin = next((n for n in same if _is_copy(kept[n], edge)), None)
            if twin is not None:
                also_at[twin] = tuple(dict.fromkeys((*also_at.get(twin, ()), edge.facility)))
                continue
            same.append(len(kept))
        kept.append(edge)
    odd = [same for same in by_key.values() if len({kept[n].contentHash for n in same}) > 1]
    return replace(page, edges=kept, also_at=also_at, conflicts=frozenset(chain.from_iterable(odd)))


def _is_copy(one: Any, other: Any) -> bool:
    return bool(one.contentHash == other.contentHash and one.facility != other.facility)
