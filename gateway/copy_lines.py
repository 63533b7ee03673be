"""What the ledger says of a facility whose records a warehouse holds as well (DESIGN 8). Pure. Merging rows is copies.py.

The own node's outcome decides the line. A warehouse never makes an answer COMPLETE: copies stand in, and say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.line import PARTLY, Line
from gateway.plan import ANSWERED_BEFORE
from gateway.scatter import NodeResult
from schema.coverage import Outcome

ONLY = "WAREHOUSE_ONLY"  # the line is the warehouse's: the facility has no node that knows this patient
SHOWN = "WAREHOUSE_COPY"  # the facility's own node failed; the rows shown are copies
MISSING = "WAREHOUSE_MISSING"  # the own node answered; what only the warehouse may have is missing
ANSWERS = frozenset({Outcome.ANSWERED, Outcome.EMPTY, Outcome.NOT_HELD, Outcome.LAGGING, Outcome.TRUNCATED})
_KEEP = frozenset({Outcome.WITHHELD, Outcome.NOT_ASKED})


def heed(results: Sequence[NodeResult]) -> tuple[NodeResult, ...]:
    """The results without a warehouse's answers about facilities whose own node refused: the holder has the last word."""
    refused = {
        target.facility
        for result in results
        if result.outcome is Outcome.REFUSED and not result.request.node.warehouse
        for target in result.request.targets
    }
    return tuple(_without(r, refused) if refused and r.request.node.warehouse else r for r in results)


def _without(result: NodeResult, facilities: set[str]) -> NodeResult:
    kept = [n for n, target in enumerate(result.request.targets) if target.facility not in facilities]
    request = replace(result.request, targets=tuple(result.request.targets[n] for n in kept))
    return replace(result, request=request, entities=tuple(result.entities[n] for n in kept if result.entities))


def line_with_copy(own: Line | None, copy: Line) -> Line:
    """The facility's one line from its own node's (None when no node of its own knows the patient) and the warehouse's."""
    if own is None:
        if copy.outcome in _KEEP:
            return replace(copy, by_copy=copy.reason == ANSWERED_BEFORE)
        return replace(copy, reason=ONLY, by_copy=True)
    before = own.outcome is Outcome.NOT_ASKED and own.reason == ANSWERED_BEFORE
    if own.outcome in _KEEP and not before:
        return own
    if own.outcome in ANSWERS or before:
        if _gave_all(copy):
            return own
        return replace(own, reason=MISSING if before or own.reason is None else own.reason, by_copy=True)
    if copy.outcome not in ANSWERS:
        return own
    counts = {kind: count for kind, _, _, count in copy.kinds}
    kinds = tuple((kind, outcome, reason, counts.get(kind, 0)) for kind, outcome, reason, _ in own.kinds)
    return replace(own, reason=SHOWN, kinds=kinds, as_of=copy.as_of, lag_seconds=copy.lag_seconds, by_copy=True)


def _gave_all(copy: Line) -> bool:
    """Whether nothing of what the warehouse has is known to be missing. That it lags behind the source is in its nature."""
    lags = copy.outcome is Outcome.LAGGING and not copy.failed_items
    sound = copy.sound and copy.outcome is not Outcome.WITHHELD
    return (lags or sound) and not any(outcome in PARTLY for _, outcome, _, _ in copy.kinds)
