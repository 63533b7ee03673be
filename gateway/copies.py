"""Which rows a warehouse loses to the source's own node, and when its rows may not be shown at all. Pure.

Two rows are the same record when they are of one facility and bear one issuer's number, or one content at one time: record
ids are each node's own. Both digests name the kind. What the ledger says of copies is copy_lines.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.identity.choice import Choice, Located, Withheld
from gateway.identity.city_key import PersonDigest, agrees


def choose_beside(
    located: Iterable[Located], warehouses: frozenset[str], choose: Callable[[Iterable[Located]], Choice]
) -> Choice:
    """choice.choose, but a copy that contradicts all of its own source's rows has no say: it is the older word, and would
    have the source's rows withheld with it."""
    rows = tuple(located)
    own: dict[str, list[PersonDigest]] = {}
    for row in rows:
        if row.node_id not in warehouses:
            own.setdefault(row.facility, []).append(row.person)
    odd = {
        row
        for row in rows
        if row.node_id in warehouses
        and row.facility in own
        and all(agrees(row.person, person) is False for person in own[row.facility])
    }
    choice = choose(row for row in rows if row not in odd)
    withheld = [*choice.withheld, *((row, Withheld.IDENTITY_CONFLICT) for row in odd)]
    return replace(choice, withheld=tuple(sorted(withheld, key=_place)))


def _place(withheld: tuple[Located, Withheld]) -> tuple[str, str, str]:
    return withheld[0].facility, withheld[0].node_id, withheld[0].ref


def losing(connections: Sequence[Any], copies: Sequence[bool]) -> frozenset[int]:
    """Places, in the connections' edges laid end to end, of the rows that lose. copies: whether a connection is a warehouse's.

    How often the source has an equal row is the source's word. Of several warehouses the first keeps a row. Rows are
    compared within what was fetched: an original beyond its node's page is not seen.
    """
    numbers: set[tuple[str, str]] = set()
    contents: set[tuple[str, str, str]] = set()

    def hold(edges: Sequence[Any]) -> None:
        numbers.update((e.facility, e.key) for e in edges if e.key is not None)
        contents.update(c for c in map(_content, edges) if c is not None)

    for connection, copy in zip(connections, copies, strict=True):
        if not copy:
            hold(connection.edges)
    lost: set[int] = set()
    start = 0
    for connection, copy in zip(connections, copies, strict=True):
        if copy:
            kept = []
            for place, edge in enumerate(connection.edges, start):
                if _content(edge) in contents or (edge.facility, edge.key) in numbers:
                    lost.add(place)
                else:
                    kept.append(edge)
            hold(kept)
        start += len(connection.edges)
    return frozenset(lost)


def _content(edge: Any) -> tuple[str, str, str] | None:
    """None for an edge that was asked without its digest, as where nobody expected a warehouse."""
    digest = getattr(edge, "contentHash", None)
    return None if digest is None else (edge.facility, edge.sortKey, digest)
