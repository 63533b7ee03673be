"""Writing the events of `history` as the client selected them, as finished JSON bytes. Pure; who is asked when is live.py.

The selection on HistoryPart and HistoryClosed is compiled as that of `patient { timeline }`, so nodes are asked and rows
are written exactly as for a query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    NameNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gateway.answer import Asked, Prepared
from gateway.connection import ConnectionWriter
from gateway.copies import losing
from gateway.cursor import Walk
from gateway.ledger import facility_value, line_value
from gateway.line import Line
from gateway.merge import Page, merge
from gateway.prepare import prepared_of
from gateway.scatter import NodeResult, without_list
from gateway.shape import Shape, shape
from gateway.walk import Turn
from schema.selection import Scope, Selected

UNION = frozenset({"HistoryEvent"})
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class LiveSelection:
    """All that is compiled from one `history` selection of one document. key: its response key."""

    key: str
    prepared: Prepared
    part: tuple[Selected, ...]
    closed: tuple[Selected, ...]
    shapes: Mapping[tuple[str, str], Shape]  # by (event, response key)
    rows: Mapping[str, ConnectionWriter]  # by the response key of `edges`
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
    prepared = prepared_of(scope, operation, (whole,))
    (plan,) = prepared.subquery.connections
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
        prepared,
        part,
        closed,
        shapes,
        {s.key: ConnectionWriter(scope, one[s.key]) for s in lists},
        {s.key: ConnectionWriter(scope, one[s.key]) for s in infos},
    )


class SeenDocuments:
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
    selection: LiveSelection,
    asked: Asked,
    result: NodeResult,
    lines: Sequence[Line],
    seen: SeenDocuments,
    late: bool,
    lost: frozenset[int] = frozenset(),
) -> list[bytes]:
    """A HistoryPart for each of these lines, whose facilities this node was asked for. lost: as losing gives it, of all
    the node's rows."""
    (plan,), (size,) = selection.prepared.subquery.connections, asked.sizes
    rows: dict[str, list[Any]] = {}
    mine: dict[str, list[int]] = {}  # a facility's rows, by their place among all the node's
    start = 0
    # No entities where the node failed: then there are lines without rows.
    for target, entity in zip(result.request.targets, result.entities, strict=False):
        connection = getattr(entity, plan.part)
        rows.setdefault(target.facility, []).append(connection)
        mine.setdefault(target.facility, []).extend(range(start, start + len(connection.edges)))
        start += len(connection.edges)
    parts = []
    for line in lines:
        here = frozenset(n for n, place in enumerate(mine.get(line.facility, ())) if place in lost)
        page = merge(rows.get(line.facility, ()), size, here, late)
        parts.append(write_part(selection, asked, line, seen.mark(page)))
    return parts


def write_part(selection: LiveSelection, asked: Asked, line: Line, page: Page) -> bytes:
    """A HistoryPart of the facility whose line it is."""

    def value(selected: Selected) -> Any:
        whose = selected.name == "facility"
        told = facility_value(asked.city, line.facility) if whose else line_value(line, asked.city)
        return selection.shapes["part", selected.key].of(told, asked.raw)

    return _event("HistoryPart", selection.part, selection.rows, page, asked, value)


def write_closed(selection: LiveSelection, asked: Asked, results: Sequence[NodeResult]) -> bytes:
    """A HistoryClosed over all that has come so far."""
    (plan,), (size,) = selection.prepared.subquery.connections, asked.sizes
    found = [(getattr(e, plan.part), r.request.node.warehouse) for r in results for e in r.entities]
    connections, copies = [c for c, _ in found], [copy for _, copy in found]
    page = merge(connections, size, losing(connections, copies) if any(copies) else frozenset())
    asked = replace(asked, failed=asked.failed | without_list(results, plan.part))

    def value(selected: Selected) -> Any:
        return selection.shapes["closed", selected.key].of(asked.coverage, asked.raw)

    return _event("HistoryClosed", selection.closed, selection.pages, page, asked, value)


def _event(
    type_name: str,
    fields: Sequence[Selected],
    writers: Mapping[str, ConnectionWriter],
    page: Page,
    asked: Asked,
    value: Callable[[Selected], Any],
) -> bytes:
    """An event's JSON, its fields in the client's order. writers: by key, of those that show the page."""
    parts: list[bytes] = []
    for i, selected in enumerate(fields):
        parts.append(b"," if i else b"{")
        if selected.key in writers:
            parts.append(_one(writers[selected.key], page, asked))
        else:
            told = type_name if selected.name == "__typename" else value(selected)
            parts.append(f'"{selected.key}":'.encode() + _JSON.encode(told))
    return b"".join([*parts, b"}"]) if parts else b"{}"


def _one(writer: ConnectionWriter, page: Page, asked: Asked) -> bytes:
    """One field of a connection, its key before it: what the connection's writer makes, without the braces."""
    (binding,) = asked.bindings

    def seal(walk: Walk) -> str:
        return asked.seal.seal(walk, binding)

    def facility(code: str) -> Mapping[str, Any]:
        return facility_value(asked.city, code)

    return writer.write(Turn(asked.first, page, asked.failed), asked.raw, facility, seal)[1:-1]
