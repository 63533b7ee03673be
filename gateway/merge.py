"""Ordered union of what the nodes sent (DESIGN 5, merge): one total order, copies collapsed, bodies copied unread. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import msgspec

from gateway.cursor import Position
from gateway.shape import Shape, shape
from gateway.subquery import ConnectionPlan
from schema.connections import BY_FIELD
from schema.selection import Scope, Variables

Place = tuple[str, str, str]  # an edge's key in the total order: sort time, facility, id


@dataclass(frozen=True, slots=True)
class Page:
    """A merged page: the nodes' edges in the total order, and whether the nodes that answered have more.

    end: the last source edge's key, which is below the last edge's where that one's copy stood above it. also_at: of an edge
    (by its index in edges) the further facilities that sent the same document. conflicts: the edges whose number another
    document bears too.
    """

    edges: Sequence[Any]
    has_next: bool
    end: Place | None
    also_at: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    conflicts: frozenset[int] = frozenset()


def merge(connections: Iterable[Any], size: int, lost: frozenset[int] = frozenset()) -> Page:
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
                last = connection.edges[-1]
                (cuts if len(connection.edges) < size else ends).append((last.sortKey, last.facility, last.id))
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
        floor = max((*cuts, *ends), default=NOWHERE)
        while len(page) < len(keyed) and keyed[len(page)][3] in lost and keyed[len(page)][:3] >= floor:
            page.append(keyed[len(page)])
    shown = [edges[n] for *_, n in page if n not in lost] if lost else [edges[n] for *_, n in page]
    whole = Page(shown, more or len(keyed) > max(size, len(page)), page[-1][:3] if page else None)
    return collapse(whole) if any(map(COPY_KEY, whole.edges)) else whole


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


COPY_KEY = attrgetter("key")
NOWHERE: Place = ("", "", "")
Names = Callable[[str], Mapping[str, Any]]
Seal = Callable[[Position], str]
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Piece:
    """One field of an edge: the bytes before it, and what finds (a node's body) or shapes its value."""

    prefix: bytes
    name: str
    body: Callable[[Any], bytes]
    shape: Shape | None


class ConnectionWriter:
    """Writes a page as the client selected it: compiled once a document, then only joins bytes."""

    def __init__(self, scope: Scope, plan: ConnectionPlan) -> None:
        self.plan = plan
        self.type_name = BY_FIELD[plan.field].gateway.__name__.removesuffix("Connection")
        self.page_info = {p.key: shape(scope, p) for p in plan.parts if p.name == "pageInfo"}
        nodes = dict(plan.nodes)
        self.edges = {
            key: tuple(
                Piece(
                    f'{"," if i else "{"}"{p.key}":'.encode(),
                    p.name,
                    attrgetter(nodes.get((key, p.key), "id")),
                    shape(scope, p) if p.name in ("facility", "alsoAt") else None,
                )
                for i, p in enumerate(edge)
            )
            for key, edge in plan.edges
        }

    def write(self, page: Page, variables: Variables, facility: Names, seal: Seal, expires: int) -> bytes:
        """The connection's JSON."""
        parts: list[bytes] = []
        for i, selected in enumerate(self.plan.parts):
            parts.append(f'{"," if i else "{"}"{selected.key}":'.encode())
            if selected.name == "edges":
                self._edges(parts, selected.key, page, variables, facility, seal, expires)
            elif selected.name == "pageInfo":
                shaped = self.page_info[selected.key]
                parts.append(_JSON.encode(shaped.of(_page_info(page, seal, expires), variables)))
            else:
                parts.append(f'"{self.type_name}Connection"'.encode())
        parts.append(b"}" if self.plan.parts else b"{}")
        return b"".join(parts)

    def _edges(
        self,
        out: list[bytes],
        key: str,
        page: Page,
        variables: Variables,
        facility: Names,
        seal: Seal,
        expires: int,
    ) -> None:
        # Column by column, then woven: the loops over rows run in C.
        columns: list[Iterable[bytes]] = []
        for piece in self.edges[key]:
            columns += (repeat(piece.prefix), self._column(piece, page, variables, facility, seal, expires))
        count = len(page.edges)
        rows = zip(*columns, repeat(b"},", count), strict=False) if columns else zip(repeat(b"{},", count))
        woven = list(chain.from_iterable(rows))
        if woven:
            woven[-1] = woven[-1][:-1]
        out += (b"[", *woven, b"]")

    def _column(
        self, piece: Piece, page: Page, variables: Variables, facility: Names, seal: Seal, expires: int
    ) -> Iterable[bytes]:
        """The values of one field, an edge each."""
        edges = page.edges
        match piece.name:
            case "node":
                return map(piece.body, edges)
            case "sortKey":
                return [_JSON.encode(f"{e.sortKey}|{e.facility}|{e.id}") for e in edges]
            case "facility":
                codes = [e.facility for e in edges]
                known = {code: _JSON.encode(_shaped(piece, facility(code), variables)) for code in set(codes)}
                return [known[code] for code in codes]
            case "alsoAt":
                also = [page.also_at.get(n, ()) for n in range(len(edges))]
                return [_JSON.encode([_shaped(piece, facility(code), variables) for code in codes]) for codes in also]
            case "cursor":
                return [_JSON.encode(seal(Position(e.sortKey, e.facility, e.id, expires))) for e in edges]
            case "late":
                return repeat(b"false")
            case "conflict":
                return [b"true" if n in page.conflicts else b"false" for n in range(len(edges))]
            case _:
                return repeat(f'"{self.type_name}Edge"'.encode())


def _shaped(piece: Piece, value: Mapping[str, Any], variables: Variables) -> Any:
    return piece.shape.of(value, variables) if piece.shape else None


def _page_info(page: Page, seal: Seal, expires: int) -> Mapping[str, Any]:
    def at(edge: Any) -> str:
        return seal(Position(edge.sortKey, edge.facility, edge.id, expires))

    edges = page.edges
    return _Lazy(
        hasNextPage=lambda: page.has_next,
        hasPreviousPage=lambda: False,
        startCursor=lambda: at(edges[0]) if edges else None,
        endCursor=lambda: seal(Position(*page.end, expires)) if page.end else None,
        gapCursor=lambda: None,
    )


class _Lazy(dict[str, Any]):
    """A mapping that works out a value when it is asked for: sealing costs more than the rest of a page info."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)()
