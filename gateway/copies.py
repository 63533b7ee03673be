"""Which rows a warehouse loses to the source's own node. Pure.

Two rows are the same record when they are of one facility and bear one issuer's number, or one content at one time: record
ids are each node's own. Both digests name the kind. What the ledger says of copies is copy_lines.py; which of
their patient rows are one person's is identity/choice.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
