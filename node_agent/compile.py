"""Selection -> one SQL statement that builds the JSON as text (DESIGN 5.3). Pure; compiled once per document.

Everything about a caller or a patient is a bound parameter: the ref, the allowed set (kinds, labels, period), filters and
page. Each derived table is tied to its parent row by hand: one that is not would return other patients' rows
(tests/node_agent/test_compile.py holds a test for that).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode

from node_agent.columns import Children, Embedded, Field, Relation, Scalar, Shape, layout
from node_agent.dialect import Dialect
from node_agent.json_text import braced, chain, member
from schema.connections import BY_FIELD
from schema.elements import RecordKind
from schema.filters import PAGE_DEFAULT
from schema.selection import Scope, Selected, Variables, reader

RECORD = frozenset({"Record"})


@dataclass(frozen=True, slots=True)
class Page:
    """One connection's arguments: `prefix` names its bound parameters."""

    prefix: str
    name: str
    first: Callable[[Variables], Any]
    after: Callable[[Variables], Any]
    filter: Callable[[Variables], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """sql yields one row a patient: ref, facility, failed items, then the parts of the JSON text; the node's ledger goes
    between parts, `ledgers` holds its selection for each gap. parameters: the names of what is bound, in order."""

    sql: str
    parameters: tuple[str, ...]
    pages: tuple[Page, ...]
    ledgers: tuple[tuple[Selected, ...], ...]


@dataclass(slots=True)
class Compiler:
    """Builds one statement."""

    dialect: Dialect
    scope: Scope
    parameters: dict[str, int] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    ledgers: list[tuple[Selected, ...]] = field(default_factory=list)
    depth: int = 0

    def patient(self, nodes: tuple[FieldNode, ...]) -> Statement:
        """The statement for a selection on Patient."""
        parts: list[list[str]] = [[]]
        for i, selected in enumerate(self.scope.collect(nodes, "Patient", frozenset({"_Entity"}))):
            key = member(i, selected.key)
            if selected.name == "ledger":
                self.ledgers.append(self.scope.collect(selected.nodes, "NodeLedger"))
                parts[-1].append(key)
                parts.append([])
            else:
                parts[-1] += [key, self._patient_field(selected)]
        parts[-1].append("'}'" if parts[0] else "'{}'")
        columns = ",".join(chain(part) for part in parts)
        failed = "(SELECT count(*) FROM failure f WHERE f.patient=p.pk)"
        sql = f"SELECT p.ref,p.facility,{failed},{columns} FROM patient p WHERE p.ref={self.bind('ref')}"
        return Statement(sql, tuple(self.parameters), tuple(self.pages), tuple(self.ledgers))

    def bind(self, name: str) -> str:
        """The placeholder of a named parameter."""
        number = self.parameters.setdefault(name, len(self.parameters) + 1)
        return self.dialect.parameter(number, "integer" if name == "denied" or name.endswith("_first") else "text")

    def _patient_field(self, selected: Selected) -> str:
        if selected.name == "__typename":
            return "'\"Patient\"'"
        if selected.name in BY_FIELD:
            return self._connection(selected)
        return self.dialect.quoted("p." + {"birthDate": "birth_date"}.get(selected.name, selected.name))

    def _connection(self, selected: Selected) -> str:
        types = BY_FIELD[selected.name]
        prefix = f"c{len(self.pages)}_"
        argument = selected.argument
        self.pages.append(
            Page(
                prefix,
                selected.name,
                reader(argument("first"), PAGE_DEFAULT),
                reader(argument("after")),
                reader(argument("filter")),
            )
        )
        name = selected.name[0].upper() + selected.name[1:] if types.kind is None else layout(types.kind).type_name
        r = self._alias()
        source = f"FROM record r{r}"
        if types.kind is not None:
            source += f" JOIN {layout(types.kind).table} d{r} ON d{r}.pk=r{r}.pk"
        source += (
            f" WHERE r{r}.patient=p.pk AND {self._visible(r, types.kind)} AND {self._filtered(r, prefix, types.kind)}"
        )
        keys = (f"r{r}.sort_time", f"r{r}.facility", f"r{r}.id")
        parts: list[str] = []
        for i, part in enumerate(self.scope.collect(selected.nodes, f"{name}Connection")):
            parts.append(member(i, part.key))
            if part.name == "edges":
                edge = self._edge(part, r, types.kind, name)
                parts += ["'['", self.dialect.page(edge, keys, source, self.bind(prefix + "first")), "']'"]
            elif part.name == "pageInfo":
                more = f"CASE WHEN EXISTS(SELECT 1 {source} LIMIT 1 OFFSET {self.bind(prefix + 'first')}) THEN 'true' ELSE 'false' END"
                parts.append(self._object("PageInfo", part, {"hasNextPage": more}))
            else:
                parts.append(f"'\"{name}Connection\"'")
        return braced(parts)

    def _edge(self, selected: Selected, r: int, kind: RecordKind | None, name: str) -> str:
        quoted = self.dialect.quoted
        known = {
            "sortKey": quoted(f"r{r}.sort_time"),
            "id": quoted(f"r{r}.id"),
            "kind": quoted(f"r{r}.kind"),
            "facility": quoted(f"r{r}.facility"),
            "key": quoted(f"r{r}.key"),
            "contentHash": quoted(f"r{r}.content_hash"),
            "subject": quoted("p.ref"),
        }
        parts: list[str] = []
        for i, part in enumerate(self.scope.collect(selected.nodes, f"{name}Edge")):
            parts.append(member(i, part.key))
            if part.name == "node":
                parts.append(self._record(part.nodes, r, kind) if kind else self._any_record(part.nodes, r))
            else:
                parts.append(known.get(part.name, f"'\"{name}Edge\"'"))
        return braced(parts)

    def _any_record(self, nodes: tuple[FieldNode, ...], r: int) -> str:
        """The body of a row of any kind: one branch a kind, each with its own detail table."""
        branches = []
        for kind in RecordKind:
            body = self._record(nodes, r, kind)
            body = f"(SELECT {body} FROM {layout(kind).table} d{r} WHERE d{r}.pk=r{r}.pk)" if f"d{r}." in body else body
            branches.append(f"WHEN '{kind.value}' THEN {body}")
        return f"CASE r{r}.kind {' '.join(branches)} END"

    def _record(self, nodes: tuple[FieldNode, ...], r: int, kind: RecordKind) -> str:
        shape = layout(kind)
        own = {f.name: f for f in shape.fields}
        known = self._spine(r, kind)
        parts: list[str] = []
        for i, selected in enumerate(self.scope.collect(nodes, shape.type_name, RECORD)):
            parts.append(member(i, selected.key))
            if selected.name == "facility":
                name = f"(SELECT f.name FROM facility f WHERE f.code=r{r}.facility)"
                fields = {"code": self.dialect.quoted(f"r{r}.facility"), "name": self.dialect.quoted(name)}
                parts.append(self._object("Facility", selected, fields))
            elif selected.name in own:
                parts.append(self._field(own[selected.name], selected, f"d{r}.", f"r{r}"))
            else:
                parts.append(known[selected.name])
        return braced(parts)

    def _spine(self, r: int, kind: RecordKind) -> dict[str, str]:
        quoted = self.dialect.quoted
        return {
            "__typename": f"'\"{layout(kind).type_name}\"'",
            "id": quoted(f"r{r}.id"),
            "kind": quoted(f"r{r}.kind"),
            "feed": quoted(f"r{r}.feed"),
            "encounterId": quoted(f"r{r}.encounter_id"),
            "receivedAt": quoted(f"r{r}.received_at"),
            "notResent": self.dialect.boolean(f"r{r}.not_resent"),
        }

    def _field(self, at: Field, selected: Selected, table: str, spine: str) -> str:
        if isinstance(at, Scalar):
            return self._scalar(at, table)
        if isinstance(at, Embedded):
            return self._embedded(at, selected, table)
        if isinstance(at, Children):
            c = self._alias()
            item = self._members(at.type_name, at.fields, selected, f"c{c}.")
            source = f"FROM {at.table} c{c} WHERE c{c}.record={spine}.pk AND c{c}.role='{at.role}'"
            return chain(["'['", self.dialect.joined(item, f"c{c}.ord", source), "']'"])
        return self._relation(at, selected, spine)

    def _relation(self, at: Relation, selected: Selected, spine: str) -> str:
        r = self._alias()
        if at.view:
            code = {
                n: Scalar(n, f"code_{'as_sent' if n == 'asSent' else n}", Shape.TEXT, True)
                for n in ("system", "code", "display", "asSent")
            }
            view = {
                **{n: self._scalar(s, f"d{r}.") for n, s in code.items()},
                "role": self.dialect.quoted(f"d{r}.role"),
            }
            item = self._object(at.type_name, selected, {**view, "id": self.dialect.quoted(f"r{r}.id")})
        else:
            item = self._record(selected.nodes, r, at.kind)
        # +: the planner must come by the encounter; by the patient it would read all of the patient's rows for each encounter.
        visible = f"+r{r}.patient=p.pk AND {self._visible(r, at.kind)}"
        join = f"JOIN {layout(at.kind).table} d{r} ON d{r}.pk=r{r}.pk"
        if at.by_link:
            source = f"FROM link l{r} JOIN record r{r} ON r{r}.id=l{r}.target_id {join} WHERE l{r}.record={spine}.pk AND l{r}.role='{at.name}'"
            return chain(["'['", self.dialect.joined(item, f"l{r}.ord", f"{source} AND {visible}"), "']'"])
        source = f"FROM record r{r} {join} WHERE r{r}.encounter_id={spine}.id"
        return chain(["'['", self.dialect.joined(item, f"r{r}.seq,r{r}.id", f"{source} AND {visible}"), "']'"])

    def _embedded(self, at: Embedded, selected: Selected, table: str) -> str:
        body = self._members(at.type_name, at.fields, selected, table)
        if not at.nullable:
            return body
        columns = ",".join(_columns(at.fields, table))
        return f"CASE WHEN coalesce({columns}) IS NULL THEN 'null' ELSE {body} END"

    def _members(self, type_name: str, fields: tuple[Scalar | Embedded, ...], selected: Selected, table: str) -> str:
        own = {f.name: f for f in fields}
        parts: list[str] = []
        for i, part in enumerate(self.scope.collect(selected.nodes, type_name)):
            parts.append(member(i, part.key))
            parts.append(self._field(own[part.name], part, table, "") if part.name in own else f"'\"{type_name}\"'")
        return braced(parts)

    def _object(self, type_name: str, selected: Selected, fields: dict[str, str]) -> str:
        parts: list[str] = []
        for i, part in enumerate(self.scope.collect(selected.nodes, type_name)):
            parts += [member(i, part.key), fields.get(part.name, f"'\"{type_name}\"'")]
        return braced(parts)

    def _scalar(self, at: Scalar, table: str) -> str:
        column = f'{table}"{at.column}"'
        if at.shape is Shape.INTEGER:
            return self.dialect.number(column)
        if at.shape is Shape.BOOLEAN:
            return self.dialect.boolean(column)
        return f"coalesce({column},'[]')" if at.shape is Shape.LIST else self.dialect.quoted(column)

    def _visible(self, r: int, kind: RecordKind | None) -> str:
        """The allowed set of the delegation: labels, kinds, period. On every row, however deep."""
        name = f"'%|{kind.value}|%'" if kind else f"'%|'||r{r}.kind||'|%'"
        parts = [
            f"r{r}.current",
            self.dialect.denied(f"r{r}.labels", self.bind("denied")),
            f"{self.bind('kinds')} LIKE {name}",
            self.dialect.within(f"r{r}.sort_time", self.bind("low"), self.bind("high")),
        ]
        return " AND ".join([f"r{r}.kind='{kind.value}'", *parts] if kind else parts)

    def _filtered(self, r: int, prefix: str, kind: RecordKind | None) -> str:
        p = {
            n: self.bind(prefix + n)
            for n in ("low", "high", "code", "code_end", "facility", "encounter", "at", "at_facility", "at_id")
        }
        code = f"EXISTS(SELECT 1 FROM search_code s WHERE s.record=r{r}.pk AND s.code>={p['code']} AND s.code<{p['code_end']})"
        parts = [
            self.dialect.within(f"r{r}.sort_time", p["low"], p["high"]),
            f"(r{r}.sort_time,r{r}.facility,r{r}.id)<({p['at']},{p['at_facility']},{p['at_id']})",
            f"({p['code']} IS NULL OR {code})",
            f"({p['facility']} IS NULL OR r{r}.facility={p['facility']})",
            f"({p['encounter']} IS NULL OR r{r}.encounter_id={p['encounter']} OR r{r}.id={p['encounter']})",
        ]
        if kind is None:
            parts.append(f"{self.bind(prefix + 'kinds')} LIKE '%|'||r{r}.kind||'|%'")
        return " AND ".join(parts)

    def _alias(self) -> int:
        self.depth += 1
        return self.depth


def _columns(fields: tuple[Scalar | Embedded, ...], table: str) -> list[str]:
    out: list[str] = []
    for f in fields:
        out += [f'{table}"{f.column}"'] if isinstance(f, Scalar) else _columns(f.fields, table)
    return out
