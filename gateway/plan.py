"""Which nodes are asked, about whom, and why the others are not. Pure: a value that can be printed and asserted.

The set of facilities comes from the registry and the locator alone; health never changes it (DESIGN 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import ClientError
from gateway.locator import Choice
from gateway.reduced import Reduced, reduce
from gateway.registry import City, Node
from gateway.subquery import ConnectionPlan, SubQuery
from schema.coverage import Outcome, held_kinds
from schema.elements import RecordKind
from schema.filters import PAGE_LIMIT, chosen_kinds
from schema.selection import Variables


class PlanRefused(ClientError):
    """The client's arguments cannot be asked of anyone: BAD_PAGE_SIZE or UNKNOWN_FACILITY."""

    def __init__(self, code: str, vi: str, en: str) -> None:
        self.code = code
        super().__init__(vi, en)


@dataclass(frozen=True, slots=True)
class Target:
    """One patient row of one facility."""

    facility: str
    ref: str


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """One call: a node and the patients it is asked about, in the order of the representations.

    reduced: what a node of another contract is asked instead of the ordinary sub-query.
    """

    node: Node
    targets: tuple[Target, ...]
    reduced: Reduced | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A located facility that is not asked."""

    facility: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """kinds: the record kinds the query reads, each with the outcome it has before anyone is asked (None: to be asked)."""

    requests: tuple[NodeRequest, ...]
    skipped: tuple[Skipped, ...]
    kinds: tuple[RecordKind, ...]
    not_permitted: frozenset[RecordKind]

    def as_json(self) -> dict[str, Any]:
        """The plan for a test or an operator; refs are left out. A facility may be skipped for several reasons."""
        skip: dict[str, list[list[str]]] = {}
        for s in self.skipped:
            skip.setdefault(s.facility, []).append([s.outcome.value, s.reason])
        return {
            "ask": {r.node.id: sorted({t.facility for t in r.targets}) for r in self.requests},
            "skip": skip,
            "kinds": [k.value for k in self.kinds],
        }


def plan_query(
    subquery: SubQuery,
    variables: Variables,
    choice: Choice,
    city: City,
    permitted: frozenset[RecordKind] | None,
) -> QueryPlan:
    """The plan for one patient. permitted: the kinds of the allowed set, None for all."""
    kinds = kinds_of(subquery.connections, variables) | probe_kinds(subquery.probes)
    not_permitted = frozenset() if permitted is None else frozenset(kinds - permitted)
    wanted = wanted_facilities(subquery.connections, variables, city)
    skipped = [Skipped(located.facility, Outcome.WITHHELD, reason.value) for located, reason in choice.withheld]
    by_node: dict[str, list[Target]] = {}
    for located in choice.kept:
        if wanted is not None and located.facility not in wanted:
            skipped.append(Skipped(located.facility, Outcome.NOT_ASKED, "FILTERED"))
        elif located.node_id not in city.nodes:
            skipped.append(Skipped(located.facility, Outcome.UNREACHABLE, "NODE_NOT_CONNECTED"))
        elif city.nodes[located.node_id].revoked:
            skipped.append(Skipped(located.facility, Outcome.UNREACHABLE, "NODE_REVOKED"))
        else:
            by_node.setdefault(located.node_id, []).append(Target(located.facility, located.ref))
    requests: list[NodeRequest] = []
    for node, targets in sorted(by_node.items()):
        contract = city.nodes[node].contract
        reduced = None if contract is None else reduce(subquery, contract, variables)
        if reduced is not None and reduced.nothing:
            skipped += [Skipped(t.facility, Outcome.UNSUPPORTED, reduced.nothing) for t in targets]
            continue
        ordered = tuple(sorted(targets, key=lambda t: (t.facility, t.ref)))
        requests.append(NodeRequest(city.nodes[node], ordered, reduced))
    return QueryPlan(
        tuple(requests), tuple(sorted(set(skipped), key=_order)), tuple(sorted(kinds, key=_value)), not_permitted
    )


def kinds_of(connections: Iterable[ConnectionPlan], variables: Variables) -> frozenset[RecordKind]:
    """The record kinds these connections read."""
    kinds: set[RecordKind] = set()
    for connection in connections:
        if connection.kind is not None:
            kinds.add(connection.kind)
        else:
            chosen = chosen_kinds(connection.filter(variables))
            kinds |= set(RecordKind) if chosen is None else {RecordKind(k) for k in chosen}
    return frozenset(kinds)


def probe_kinds(probes: frozenset[str]) -> frozenset[RecordKind]:
    """The kinds that allergyStatus and medicationStatus rest on."""
    kinds: set[RecordKind] = set()
    if "allergyStatus" in probes:
        kinds.add(RecordKind.ALLERGY_INTOLERANCE)
    if "medicationStatus" in probes:
        kinds |= {RecordKind.PRESCRIPTION, RecordKind.MEDICATION_ADMINISTRATION}
    return frozenset(kinds)


def wanted_facilities(connections: Iterable[ConnectionPlan], variables: Variables, city: City) -> frozenset[str] | None:
    """The facilities that the filters leave; None when any connection is not limited to one."""
    wanted: set[str] = set()
    everywhere = False
    for connection in connections:
        facility = (connection.filter(variables) or {}).get("facility")
        if facility is None:
            everywhere = True
        elif facility not in city.facilities:
            raise PlanRefused(
                "UNKNOWN_FACILITY",
                "Không có cơ sở mang mã này",
                "no facility of the city has this code",
            )
        else:
            wanted.add(facility)
    return frozenset(wanted) if wanted and not everywhere else None


def page_sizes(connections: Iterable[ConnectionPlan], variables: Variables) -> tuple[int, ...]:
    """`first` of each connection; PlanRefused(BAD_PAGE_SIZE) outside 1 … PAGE_LIMIT."""
    sizes = tuple(c.first(variables) for c in connections)
    if any(not isinstance(size, int) or not 1 <= size <= PAGE_LIMIT for size in sizes):
        raise PlanRefused("BAD_PAGE_SIZE", f"first phải từ 1 đến {PAGE_LIMIT}", f"first must be 1 to {PAGE_LIMIT}")
    return sizes


def request_variables(
    subquery: SubQuery, raw: Mapping[str, Any], sizes: tuple[int, ...], after: Sequence[str | None]
) -> dict[str, Any]:
    """The sub-query's variables but for the representations, which are each node's own."""
    out: dict[str, Any] = {name: raw[name] for name in subquery.variables if name in raw}
    for i, (size, position) in enumerate(zip(sizes, after, strict=True)):
        out[f"{subquery.prefix}first{i}"], out[f"{subquery.prefix}after{i}"] = size, position
    return out


def cannot_hold(city: City, facility: str, kind: RecordKind) -> bool:
    """Whether this facility's feeds cannot carry the kind at all (NOT_HELD)."""
    state = city.facilities.get(facility)
    return state is not None and bool(state.feeds) and not state.newer_feeds and kind not in held_kinds(state.feeds)


def _value(kind: RecordKind) -> str:
    return kind.value


def _order(skipped: Skipped) -> tuple[str, str]:
    return skipped.facility, skipped.reason
