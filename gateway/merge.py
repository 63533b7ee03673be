"""Ordered union of what the nodes sent (DESIGN 5, merge): one total order, copies collapsed, bodies copied unread. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.cursor import Position
from gateway.shape import Shape, shape
from gateway.subquery import ConnectionPlan
from schema.connections import BY_FIELD
from schema.selection import Scope, Variables


@dataclass(slots=True)
class Row:
    """One edge of the answer. also_at: further facilities that sent the same document; conflict: same number, other content."""

    sort_time: str
    facility: str
    id: str
    edge: Any
    also_at: tuple[str, ...] = ()
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A merged page: rows in the total order, and whether the nodes that answered have more.

    end: the last source edge's key, which is below the last row's where that edge was a copy of a row above it.
    """

    rows: tuple[Row, ...]
    has_next: bool
    end: tuple[str, str, str] | None


def merge(connections: Iterable[Any], size: int) -> Page:
    """The page of one connection from the nodes' decoded connections.

    Total order: (sort time, facility, id), greatest first, compared by code point. `size` counts source edges, so a page
    may show fewer rows than `size` when copies collapse.
    """
    edges: list[Any] = []
    more = False
    for connection in connections:
        more = more or connection.pageInfo.hasNextPage
        edges += connection.edges
    # The number keeps equal keys from comparing edges; a key function would cost more than the sort itself.
    keyed = [(e.sortKey, e.facility, e.id, n, e) for n, e in enumerate(edges)]
    keyed.sort(reverse=True)
    page = keyed[:size]
    rows = [Row(sort_time, facility, id_, edge) for sort_time, facility, id_, _, edge in page]
    if any(e.key for *_, e in page):
        rows = collapse(rows)
    return Page(tuple(rows), more or len(keyed) > size, page[-1][:3] if page else None)


def collapse(rows: list[Row]) -> list[Row]:
    """Copies: equal key and equal content become one row with alsoAt; equal key and other content stay, flagged conflict."""
    by_key: dict[str, list[Row]] = {}
    kept: list[Row] = []
    for row in rows:
        key = row.edge.key
        if key is None:
            kept.append(row)
            continue
        same = by_key.setdefault(key, [])
        twin = next(
            (r for r in same if r.edge.contentHash == row.edge.contentHash and r.facility != row.facility),
            None,
        )
        if twin is not None:
            if row.facility not in twin.also_at:
                twin.also_at += (row.facility,)
            continue
        same.append(row)
        kept.append(row)
    for same in by_key.values():
        if len({r.edge.contentHash for r in same}) > 1:
            for row in same:
                row.conflict = True
    return kept


Names = Callable[[str], Mapping[str, Any]]
Seal = Callable[[Position], str]
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Piece:
    """One field of an edge: the bytes before it, and what finds or shapes its value."""

    prefix: bytes
    name: str
    alias: str
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
                    nodes.get((key, p.key), ""),
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
        pieces = [(piece.prefix, piece.name, piece) for piece in self.edges[key]]
        closing = b"}" if pieces else b"{}"
        known: dict[tuple[bytes, str], bytes] = {}
        out.append(b"[")
        for number, row in enumerate(page.rows):
            if number:
                out.append(b",")
            for prefix, name, piece in pieces:
                if name == "node":
                    out += (prefix, getattr(row.edge, piece.alias))
                elif name == "sortKey":
                    out += (prefix, _JSON.encode(f"{row.sort_time}|{row.facility}|{row.id}"))
                elif name == "facility":
                    cached = known.get((prefix, row.facility))
                    if cached is None:
                        value = _shaped(piece, facility(row.facility), variables)
                        cached = known[prefix, row.facility] = _JSON.encode(value)
                    out += (prefix, cached)
                elif name == "alsoAt":
                    codes = [_shaped(piece, facility(code), variables) for code in row.also_at]
                    out += (prefix, _JSON.encode(codes))
                else:
                    out += (prefix, self._value(row, name, seal, expires))
            out.append(closing)
        out.append(b"]")

    def _value(self, row: Row, name: str, seal: Seal, expires: int) -> bytes:
        match name:
            case "cursor":
                return _JSON.encode(seal(Position(row.sort_time, row.facility, row.id, expires)))
            case "late":
                return b"false"
            case "conflict":
                return b"true" if row.conflict else b"false"
            case _:
                return f'"{self.type_name}Edge"'.encode()


def _shaped(piece: Piece, value: Mapping[str, Any], variables: Variables) -> Any:
    return piece.shape.of(value, variables) if piece.shape else None


def _page_info(page: Page, seal: Seal, expires: int) -> Mapping[str, Any]:
    def at(row: Row) -> str:
        return seal(Position(row.sort_time, row.facility, row.id, expires))

    rows = page.rows
    return _Lazy(
        hasNextPage=lambda: page.has_next,
        hasPreviousPage=lambda: False,
        startCursor=lambda: at(rows[0]) if rows else None,
        endCursor=lambda: seal(Position(*page.end, expires)) if page.end else None,
        gapCursor=lambda: None,
    )


class _Lazy(dict[str, Any]):
    """A mapping that works out a value when it is asked for: sealing costs more than the rest of a page info."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)()
