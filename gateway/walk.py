"""A walk through one list over several pages, when hospitals fail on the way and come back (DESIGN 5, pages). Pure.

The next page begins below the last row of this one, for every node alike. A node that failed leaves a gap: the stretch of the
order for which it gave nothing. `endCursor` goes on below; `gapCursor` asks only the nodes with gaps, only for what these
hold, and those rows are marked late. Both carry the whole state, so whoever follows one cursor after the other sees no row
twice and none is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from gateway.copies import losing
from gateway.cursor import BELOW_ALL, Gap, Place, Walk
from gateway.merge import Page, Part, key_of, merge

MARK_BYTES = 6


def mark(*parts: str) -> bytes:
    """A short name for a node, or for a patient row (gateway/plan.py, pin), inside cursors."""
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=MARK_BYTES).digest()


def place_for(walk: Walk | None, node_id: str) -> Place | None:
    """What this node is asked `after`; BELOW_ALL where it has no part in the page."""
    if walk is None or not walk.late:
        return walk.after if walk else None
    gap = _gap_of(walk, mark(node_id))
    return gap.above if gap else BELOW_ALL


def has_part(walks: Iterable[Walk | None], node_id: str) -> bool:
    """Whether any list of the query asks this node; one that only fills gaps asks the nodes that have some."""
    return any(place_for(walk, node_id) != BELOW_ALL for walk in walks)


def is_new(walks: Iterable[Walk | None], pin: bytes) -> bool:
    """Whether a patient row had no part in some page of some list so far: nobody knows what it had there."""
    return any(walk is not None and pin not in walk.pinned for walk in walks)


def gap_nodes(walk: Walk | None, node_ids: Iterable[str]) -> frozenset[str]:
    """The nodes among these whose records of earlier pages are still missing, on a page that does not fetch them."""
    if walk is None or walk.late or not walk.gaps:
        return frozenset()
    missing = {name for gap in walk.gaps for name in gap.nodes}
    return frozenset(node for node in node_ids if mark(node) in missing)


@dataclass(frozen=True, slots=True)
class Turn:
    """One page of a walk. start: makes the state it began with, which most pages never need. failed: the ids of located nodes
    that gave nothing. unfilled: of a late page, the nodes that answered -> whether their gap has more rows below the page."""

    start: Callable[[], Walk]
    page: Page
    failed: Collection[str]
    unfilled: Mapping[str, bool] | None = None

    @property
    def has_next(self) -> bool:
        """Whether nodes that answered have more rows, of this gap or further down."""
        return self.page.has_next if self.unfilled is None else self.end.late or self.start().more

    def at(self, place: Place | None, more: bool = True) -> Walk:
        """The state when the client stops at this row of the page; `more`: whether the page's rows go on below it."""
        if self.unfilled is None:
            return turned(self.start(), place, more, self.failed)
        return filled(self.start(), place, {node: more or left for node, left in self.unfilled.items()})

    @property
    def end(self) -> Walk:
        """The state after the whole page."""
        if self.unfilled is None:
            return turned(self.start(), self.page.end, self.page.has_next, self.failed)
        return filled(self.start(), self.page.end, self.unfilled)


def turned(walk: Walk, end: Place | None, has_next: bool, failed: Collection[str]) -> Walk:
    """The state after a page that ended at `end` (None: it had no rows) and left out the failed nodes."""
    end, gaps = end or walk.after, walk.gaps
    if failed and walk.after != BELOW_ALL:
        gaps = _with_gap(gaps, Gap(walk.after, end if has_next else None, tuple(sorted(map(mark, failed)))))
    # At the bottom a gap reaches to the bottom, so nothing below may be given twice.
    after = BELOW_ALL if gaps and not has_next else end
    return replace(walk, after=after, gaps=gaps, more=has_next, late=False)


def filled(walk: Walk, end: Place | None, unfilled: Mapping[str, bool]) -> Walk:
    """The state after a page of late rows that ended at `end`; the cursor stays late while there are more of them."""
    asked = {mark(node): left for node, left in unfilled.items()}
    done: set[bytes] = set()
    gaps: list[Gap] = []
    for gap in sorted(walk.gaps, key=_from_top, reverse=True):
        mine = [name for name in gap.nodes if name in asked and name not in done]
        done.update(mine)
        others = tuple(name for name in gap.nodes if name not in mine)
        below = tuple(name for name in mine if asked[name])
        gaps += [Gap(gap.above, gap.until, others)] if others else []
        gaps += [Gap(_lower(gap.above, end), gap.until, below)] if below else []
    late = any(name in asked for gap in gaps for name in gap.nodes)
    return replace(walk, gaps=_joined(gaps), late=late)


def fill(
    walk: Walk, connections: Mapping[str, Sequence[Any]], size: int, warehouses: Collection[str] = ()
) -> tuple[Page, dict[str, bool]]:
    """The page of late rows from the nodes with gaps that answered (node id -> its decoded connections, one a patient row),
    and which of these have more in their gap."""
    parts: dict[str, list[Part]] = {}
    for node, some in connections.items():
        gap = _gap_of(walk, mark(node))
        if gap is not None:
            parts[node] = [_inside(connection, gap.until) for connection in some]
    flat = [part for some in parts.values() for part in some]
    copies = [node in warehouses for node, some in parts.items() for _ in some]
    page = merge(flat, size, late=True, lost=losing(flat, copies) if any(copies) else frozenset())
    bottom = page.end or BELOW_ALL
    left = {
        node: any(part.pageInfo.hasNextPage or (part.edges and key_of(part.edges[-1]) < bottom) for part in some)
        for node, some in parts.items()
    }
    return page, left


def _inside(connection: Any, until: Place | None) -> Part:
    """What of a node's list lies in its gap."""
    if until is None:
        return Part(connection.edges, connection.pageInfo)
    edges = [edge for edge in connection.edges if key_of(edge) > until]
    more = connection.pageInfo.hasNextPage and len(edges) == len(connection.edges)
    return Part(edges, type(connection.pageInfo)(more))


def _gap_of(walk: Walk, name: bytes) -> Gap | None:
    """The topmost gap of a node: it is filled from the top."""
    mine = [gap for gap in walk.gaps if name in gap.nodes]
    return max(mine, key=_from_top, default=None)


def _lower(one: Place | None, other: Place | None) -> Place | None:
    """A gap below the page's end begins where it did: the page was another gap's."""
    return min(one, other) if one and other else one or other


def _from_top(gap: Gap) -> tuple[bool, Place]:
    return (gap.above is None, gap.above or BELOW_ALL)


def _with_gap(gaps: tuple[Gap, ...], new: Gap) -> tuple[Gap, ...]:
    """Gaps and one more; a node whose last gap ended where the new one begins has one long gap."""
    out: list[Gap] = []
    left = set(new.nodes)
    for gap in gaps:
        longer = tuple(name for name in gap.nodes if name in left) if gap.until == new.above else ()
        left -= set(longer)
        shorter = tuple(name for name in gap.nodes if name not in longer)
        out += [Gap(gap.above, gap.until, shorter)] if shorter else []
        out += [Gap(gap.above, new.until, longer)] if longer else []
    out += [Gap(new.above, new.until, tuple(sorted(left)))] if left else []
    return _joined(out)


def _joined(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Equal stretches under one entry, in a fixed order."""
    by_stretch: dict[tuple[Place | None, Place | None], set[bytes]] = {}
    for gap in gaps:
        by_stretch.setdefault((gap.above, gap.until), set()).update(gap.nodes)
    made = [Gap(above, until, tuple(sorted(names))) for (above, until), names in by_stretch.items()]
    return tuple(sorted(made, key=lambda g: (_from_top(g), g.until or BELOW_ALL, g.nodes), reverse=True))
