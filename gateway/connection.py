"""Writing a merged page as the client selected it: bodies are copied as the bytes the hospital sent, unread. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.cursor import Walk
from gateway.merge import key_of
from gateway.shape import Shape, shape
from gateway.subquery import ConnectionPlan
from gateway.walk import Turn
from schema.connections import BY_FIELD
from schema.selection import Scope, Variables

Names = Callable[[str], Mapping[str, Any]]
Seal = Callable[[Walk], str]
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

    def write(self, turn: Turn, variables: Variables, facility: Names, seal: Seal) -> bytes:
        """The connection's JSON."""
        parts: list[bytes] = []
        for i, selected in enumerate(self.plan.parts):
            parts.append(f'{"," if i else "{"}"{selected.key}":'.encode())
            if selected.name == "edges":
                self._edges(parts, selected.key, turn, variables, facility, seal)
            elif selected.name == "pageInfo":
                shaped = self.page_info[selected.key]
                parts.append(_JSON.encode(shaped.of(_page_info(turn, seal), variables)))
            else:
                parts.append(f'"{self.type_name}Connection"'.encode())
        parts.append(b"}" if self.plan.parts else b"{}")
        return b"".join(parts)

    def _edges(
        self,
        out: list[bytes],
        key: str,
        turn: Turn,
        variables: Variables,
        facility: Names,
        seal: Seal,
    ) -> None:
        # Column by column, then woven: the loops over rows run in C.
        columns: list[Iterable[bytes]] = []
        for piece in self.edges[key]:
            columns += (repeat(piece.prefix), self._column(piece, turn, variables, facility, seal))
        count = len(turn.page.edges)
        rows = zip(*columns, repeat(b"},", count), strict=False) if columns else zip(repeat(b"{},", count))
        woven = list(chain.from_iterable(rows))
        if woven:
            woven[-1] = woven[-1][:-1]
        out += (b"[", *woven, b"]")

    def _column(self, piece: Piece, turn: Turn, variables: Variables, facility: Names, seal: Seal) -> Iterable[bytes]:
        """The values of one field, an edge each."""
        page, edges = turn.page, turn.page.edges
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
                return [_JSON.encode(seal(turn.at(key_of(e)))) for e in edges]
            case "late":
                return repeat(b"true" if page.late else b"false")
            case "conflict":
                return [b"true" if n in page.conflicts else b"false" for n in range(len(edges))]
            case _:
                return repeat(f'"{self.type_name}Edge"'.encode())


def _shaped(piece: Piece, value: Mapping[str, Any], variables: Variables) -> Any:
    return piece.shape.of(value, variables) if piece.shape else None


def _page_info(turn: Turn, seal: Seal) -> Mapping[str, Any]:
    edges = turn.page.edges

    def end() -> str | None:
        return seal(turn.end) if edges or turn.has_next else None

    def gap() -> str | None:
        return seal(replace(turn.end, late=True)) if turn.end.gaps else None

    return _Lazy(
        hasNextPage=lambda: turn.has_next,
        hasPreviousPage=lambda: False,
        startCursor=lambda: seal(turn.at(key_of(edges[0]))) if edges else None,
        endCursor=end,
        gapCursor=gap,
    )


class _Lazy(dict[str, Any]):
    """A mapping that works out a value when it is asked for: sealing costs more than the rest of a page info."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)()
