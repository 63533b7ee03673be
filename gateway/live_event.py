"""Writing the events of `history` as the client selected them, as finished JSON bytes. Pure; who is asked when is live.py.

The selection on HistoryPart and HistoryClosed is compiled as that of `patient { timeline }`, so nodes are asked and rows
are written exactly as for a query.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gateway.answer import Asked, Prepared
from gateway.coverage import Assessment, Line, as_value, facility_value
from gateway.cursor import Position
from gateway.merge import ConnectionWriter, Page, Piece, merge
from gateway.scatter import NodeResult
from gateway.shape import Shape, shape
from gateway.subquery import compile_subquery
from schema.selection import Scope, Selected

UNION = frozenset({"HistoryEvent"})
_JSON = msgspec.json.Encoder()


class LateWriter(ConnectionWriter):
    """Writes rows that came after the deadline."""

    def _column(self, piece: Piece, *rest: Any) -> Iterable[bytes]:
        return repeat(b"true") if piece.name == "late" else super()._column(piece, *rest)


@dataclass(frozen=True, slots=True)
class LiveSelection:
    """All that is compiled from one `history` selection of one document. key: its response key."""

    key: str
    prepared: Prepared
    part: tuple[Selected, ...]
    closed: tuple[Selected, ...]
    shapes: Mapping[tuple[str, str], Shape]  # by (event, response key)
    rows: Mapping[str, tuple[ConnectionWriter, ConnectionWriter]]  # in time and late, by the response key of `edges`
    pages: Mapping[str, ConnectionWriter]  # by the response key of `pageInfo`

    @property
    def tells_coverage(self) -> bool:
        """Whether the client reads the completeness of the whole."""
        shapes = [self.shapes["closed", s.key] for s in self.closed if s.name == "coverage"]
        return any(name == "completeness" for s in shapes for _, name, _ in s.fields)


def compile_live(
    scope: Scope, operation: OperationDefinitionNode, key: str, nodes: tuple[FieldNode, ...]
) -> LiveSelection:
    """Compile the selection of one `history` response key."""
    part = scope.collect(nodes, "HistoryPart", UNION)
    closed = scope.collect(nodes, "HistoryClosed", UNION)
    lists = [s for s in part if s.name == "edges"]
    infos = [s for s in closed if s.name == "pageInfo"]
    inner = tuple(node for s in (*lists, *infos) for node in s.nodes)
    arguments = tuple(a for a in nodes[0].arguments or () if a.name.value in ("first", "filter"))
    timeline = FieldNode(
        name=NameNode(value="timeline"), arguments=arguments, selection_set=SelectionSetNode(selections=inner)
    )
    patient = FieldNode(name=NameNode(value="patient"), selection_set=SelectionSetNode(selections=(timeline,)))
    whole = FieldNode(name=NameNode(value="patient"), selection_set=SelectionSetNode(selections=(patient,)))
    subquery = compile_subquery(scope, operation, (whole,))
    query_json = b'{"query":' + msgspec.json.encode(subquery.text) + b',"variables":'
    (plan,) = subquery.connections
    one = {p.key: replace(plan, parts=(p,)) for p in plan.parts}
    shapes: dict[tuple[str, str], Shape] = {}
    for event, fields in (("part", part), ("closed", closed)):
        for s in fields:
            if s.name == "coverage":
                shapes[event, s.key] = shape(scope, s, "FacilityCoverage" if event == "part" else "Coverage")
            elif s.name == "facility":
                shapes[event, s.key] = shape(scope, s)
    return LiveSelection(
        key,
        Prepared(subquery, query_json, (), (ConnectionWriter(scope, plan),)),
        part,
        closed,
        shapes,
        {s.key: (ConnectionWriter(scope, one[s.key]), LateWriter(scope, one[s.key])) for s in lists},
        {s.key: ConnectionWriter(scope, one[s.key]) for s in infos},
    )


class Copies:
    """Numbered documents seen so far in one stream. What was sent cannot be taken back: the later copy names the earlier."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[str, str]]] = {}

    def mark(self, page: Page) -> Page:
        """The page with alsoAt naming who sent the same before, and conflict where another content bears the number."""
        also, odd = dict(page.also_at), set(page.conflicts)
        for n, edge in enumerate(page.edges):
            if edge.key is None:
                continue
            seen = self._seen.setdefault(edge.key, [])
            before = [f for digest, f in seen if digest == edge.contentHash and f != edge.facility]
            if before:
                also[n] = tuple(dict.fromkeys((*before, *also.get(n, ()))))
            if any(digest != edge.contentHash for digest, _ in seen):
                odd.add(n)
            seen += [(edge.contentHash, f) for f in (edge.facility, *page.also_at.get(n, ()))]
        return replace(page, also_at=also, conflicts=frozenset(odd))


def write_parts(
    selection: LiveSelection, asked: Asked, result: NodeResult, ledger: Assessment, copies: Copies, late: bool
) -> list[bytes]:
    """A HistoryPart for each facility that this node was asked for. ledger: of those facilities alone."""
    (connection,), (size,) = selection.prepared.subquery.connections, asked.sizes
    parts = []
    for line in ledger.located:
        # No entities where the node failed: then there are lines without rows.
        of_line = zip(result.request.targets, result.entities, strict=False)
        rows = [getattr(e, connection.part) for t, e in of_line if t.facility == line.facility]
        parts.append(write_part(selection, asked, line, ledger, copies.mark(merge(rows, size)), late))
    return parts


def write_part(selection: LiveSelection, asked: Asked, line: Line, ledger: Assessment, page: Page, late: bool) -> bytes:
    """A HistoryPart. line: this facility's, of a ledger of those that this node was asked for."""
    parts: list[bytes] = []
    for i, selected in enumerate(selection.part):
        parts.append(b"," if i else b"{")
        if selected.name == "edges":
            parts.append(_one(selection.rows[selected.key][late], page, asked))
            continue
        parts.append(f'"{selected.key}":'.encode())
        if selected.name == "__typename":
            parts.append(b'"HistoryPart"')
        elif selected.name == "facility":
            value = facility_value(asked.city, line.facility)
            parts.append(_JSON.encode(selection.shapes["part", selected.key].of(value, asked.raw)))
        else:
            alone = as_value(replace(ledger, located=(line,), behind=()), asked.city, [])
            (value,) = alone["facilities"]
            parts.append(_JSON.encode(selection.shapes["part", selected.key].of(value, asked.raw)))
    return b"".join([*parts, b"}"]) if parts else b"{}"


def write_closed(selection: LiveSelection, asked: Asked, ledger: Assessment, entities: Sequence[Any]) -> bytes:
    """A HistoryClosed over all that has come so far."""
    (plan,), (size,) = selection.prepared.subquery.connections, asked.sizes
    page = merge([getattr(e, plan.part) for e in entities], size)
    parts: list[bytes] = []
    for i, selected in enumerate(selection.closed):
        parts.append(b"," if i else b"{")
        if selected.name == "pageInfo":
            parts.append(_one(selection.pages[selected.key], page, asked))
            continue
        parts.append(f'"{selected.key}":'.encode())
        if selected.name == "__typename":
            parts.append(b'"HistoryClosed"')
        else:
            value = as_value(ledger, asked.city, asked.notices)
            parts.append(_JSON.encode(selection.shapes["closed", selected.key].of(value, asked.raw)))
    return b"".join([*parts, b"}"]) if parts else b"{}"


def _one(writer: ConnectionWriter, page: Page, asked: Asked) -> bytes:
    """One field of a connection, its key before it: what the connection's writer makes, without the braces."""
    (binding,) = asked.bindings

    def seal(position: Position) -> str:
        return asked.seal.seal(position, binding)

    def facility(code: str) -> Mapping[str, Any]:
        return facility_value(asked.city, code)

    return writer.write(page, asked.raw, facility, seal, asked.expires)[1:-1]
