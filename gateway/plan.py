"""Which nodes are asked, about whom, and why the others are not. Pure: a value that can be printed and asserted.

The set of facilities comes from the registry and the locator alone; health never changes it (DESIGN 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.city.registry import City, Copy, FacilityState, Node
from gateway.contracts.reduced import Reduced, reduce
from gateway.cursor import Place, Walk
from gateway.errors import ClientError
from gateway.identity.choice import Choice, Located
from gateway.subquery import ConnectionPlan, SubQuery
from gateway.walk import gap_nodes, has_part, is_new, mark
from schema.coverage import Outcome, held_kinds
from schema.elements import RecordKind
from schema.filters import BadArgument, check_filter, check_page_size, chosen_kinds
from schema.selection import Variables

T = TypeVar("T")
NEW_SINCE_FIRST_PAGE = "NEW_SINCE_FIRST_PAGE"  # located after page one: the pages before this one never had its records
HANDED_OVER = "HANDED_OVER"  # another node has it now, and has not told all it knows yet
ANSWERED_BEFORE = "ANSWERED_BEFORE"  # this page only asks again those that failed
GAP = "GAP"  # it failed on an earlier page, and this one does not ask for what is missing there


class PlanRefused(ClientError):
    """The client's arguments cannot be asked of anyone: BAD_PAGE_SIZE, BAD_PERIOD, BAD_CODE, BAD_KINDS or UNKNOWN_FACILITY."""

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
    """A located facility that is not asked. node: its id where that is why (a node that is away leaves a gap in a walk);
    copy: it was a warehouse that would have been."""

    facility: str
    outcome: Outcome
    reason: str
    node: str = ""
    copy: bool = False


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """kinds: the record kinds the query reads. not_permitted: those of them that the allowed set leaves out."""

    requests: tuple[NodeRequest, ...]
    skipped: tuple[Skipped, ...]
    kinds: tuple[RecordKind, ...]
    not_permitted: frozenset[RecordKind]

    @property
    def copies(self) -> bool:
        """Whether a warehouse is asked."""
        return any(request.node.warehouse for request in self.requests)

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
    walks: Sequence[Walk | None] = (None,),
) -> QueryPlan:
    """The plan for one patient. permitted: the kinds of the allowed set, None for all. walks: of each list, where the client
    stands in it, None at its first page."""
    kinds = kinds_of(subquery.connections, variables) | probe_kinds(subquery.probes)
    not_permitted = frozenset() if permitted is None else frozenset(kinds - permitted)
    wanted = wanted_facilities(subquery.connections, variables, city)
    skipped = [
        Skipped(located.facility, Outcome.WITHHELD, reason.value, copy=located.node_id in city.warehouses)
        for located, reason in choice.withheld
    ]
    closed = _closed(choice, city) if city.warehouses else {}
    by_node: dict[str, list[Target]] = {}
    walking = any(walk is not None for walk in walks)
    for located in choice.kept:
        node = city.nodes.get(located.node_id)
        copy = located.node_id in city.warehouses
        if copy and located.facility in closed:
            skipped.append(Skipped(located.facility, Outcome.WITHHELD, closed[located.facility]))
        elif walking and is_new(walks, pin(located, city)):
            skipped.append(Skipped(located.facility, Outcome.NOT_ASKED, NEW_SINCE_FIRST_PAGE, copy=copy))
        elif walking and not has_part(walks, located.node_id):
            missing = any(gap_nodes(walk, (located.node_id,)) for walk in walks)
            why = (Outcome.TRUNCATED, GAP) if missing else (Outcome.NOT_ASKED, ANSWERED_BEFORE)
            skipped.append(Skipped(located.facility, *why, copy=copy))
        elif wanted is not None and located.facility not in wanted:
            skipped.append(Skipped(located.facility, Outcome.NOT_ASKED, "FILTERED"))
        elif node is None:
            skipped.append(Skipped(located.facility, Outcome.UNREACHABLE, "NODE_NOT_CONNECTED", located.node_id))
        elif not copy and city.facilities[located.facility].node_id not in (None, located.node_id):
            skipped.append(Skipped(located.facility, Outcome.UNREACHABLE, HANDED_OVER, located.node_id))
        elif node.revoked:
            skipped.append(Skipped(located.facility, Outcome.UNREACHABLE, "NODE_REVOKED", located.node_id, copy))
        else:
            by_node.setdefault(located.node_id, []).append(Target(located.facility, located.ref))
    requests: list[NodeRequest] = []
    for node_id, targets in sorted(by_node.items()):
        asked = city.nodes[node_id]
        contract = asked.contract
        reduced = None if contract is None else reduce(subquery, contract, variables)
        if reduced is not None and reduced.nothing:
            copy = asked.warehouse
            skipped += [Skipped(t.facility, Outcome.UNSUPPORTED, reduced.nothing, copy=copy) for t in targets]
            continue
        ordered = tuple(sorted(targets, key=lambda t: (t.facility, t.ref)))
        requests.append(NodeRequest(asked, ordered, reduced))
    return QueryPlan(
        tuple(requests), tuple(sorted(set(skipped), key=_order)), tuple(sorted(kinds, key=_value)), not_permitted
    )


def pin(located: Located, city: City) -> bytes:
    """The mark of a patient row inside cursors. Another node, or one that now speaks another contract, may have on its list
    what no earlier page was given: a row that is found there is a new one."""
    node = city.nodes.get(located.node_id)
    contract = node.contract.digest if node is not None and node.contract is not None else ""
    return mark(located.node_id, located.facility, located.ref, contract)


def _closed(choice: Choice, city: City) -> dict[str, str]:
    """Facilities whose own rows are all withheld, with the reason: a copy of them may be older than the doubt."""
    shown = {located.facility for located in choice.kept if located.node_id not in city.warehouses}
    return {
        located.facility: reason.value
        for located, reason in choice.withheld
        if located.node_id not in city.warehouses and located.facility not in shown
    }


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
        given = connection.filter(variables) or {}
        possible(check_filter, given)
        facility = given.get("facility")
        if facility is None:
            everywhere = True
        elif facility not in city.facilities:
            raise unknown_facility()
        else:
            wanted.add(facility)
    return frozenset(wanted) if wanted and not everywhere else None


def page_sizes(connections: Iterable[ConnectionPlan], variables: Variables) -> tuple[int, ...]:
    """`first` of each connection; PlanRefused(BAD_PAGE_SIZE) outside 1 … PAGE_LIMIT."""
    return tuple(possible(check_page_size, c.first(variables)) for c in connections)


def possible(check: Callable[[Any], T], given: Any) -> T:
    """What a check of schema/filters.py makes of an argument; its refusal as the gateway's."""
    try:
        return check(given)
    except BadArgument as error:
        raise PlanRefused(error.code, error.vi, error.en) from None


def unknown_facility() -> PlanRefused:
    """One text wherever a facility is named; the codes are the city's own list, open to every caller."""
    return PlanRefused(
        "UNKNOWN_FACILITY",
        "Không có cơ sở mang mã này; các mã hợp lệ: { facilities { code name } }",
        "no facility of the city has this code; valid codes: { facilities { code name } }",
    )


def request_variables(
    subquery: SubQuery, raw: Mapping[str, Any], sizes: tuple[int, ...], after: Sequence[Place | None]
) -> dict[str, Any]:
    """The sub-query's variables but for the representations, which are each node's own."""
    out: dict[str, Any] = {name: raw[name] for name in subquery.variables if name in raw}
    for i, (size, place) in enumerate(zip(sizes, after, strict=True)):
        out[f"{subquery.prefix}first{i}"] = size
        out[f"{subquery.prefix}after{i}"] = None if place is None else "|".join(place)
    return out


def cannot_hold(city: City, facility: str, kind: RecordKind, node: Node | None = None) -> bool:
    """Whether this facility's feeds cannot carry the kind (NOT_HELD); at a warehouse, the feeds of its copies."""
    state: FacilityState | Copy | None = city.facilities.get(facility)
    if node is not None and node.warehouse:
        state = next((c for c in city.copies.get(facility, ()) if c.node_id == node.id), None)
    return state is not None and bool(state.feeds) and not state.newer_feeds and kind not in held_kinds(state.feeds)


def _value(kind: RecordKind) -> str:
    return kind.value


def _order(skipped: Skipped) -> tuple[str, str, str, bool]:
    return skipped.facility, skipped.reason, skipped.node, skipped.copy
