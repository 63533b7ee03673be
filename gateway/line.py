"""One facility's line of the ledger as a value, and how several patient rows of one facility become one line. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.identity.choice import Withheld
from gateway.plan import NEW_SINCE_FIRST_PAGE
from schema.coverage import Outcome
from schema.elements import RecordKind

SOUND = frozenset({Outcome.ANSWERED, Outcome.EMPTY, Outcome.NOT_HELD, Outcome.NOT_ASKED})
DOUBTFUL = Withheld.IDENTITY_DOUBTFUL.value
PARTLY = frozenset({Outcome.UNSUPPORTED, Outcome.INVALID_RESPONSE})  # what can befall one kind of a node that answers
RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}

KindLines = tuple[tuple[RecordKind, Outcome, str | None, int], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One facility's line, before texts. by_copy: a warehouse stands in here, or is missing: UNCERTAIN at best."""

    facility: str
    outcome: Outcome
    reason: str | None
    kinds: KindLines = ()
    failed_items: int = 0
    took_ms: int | None = None
    as_of: str | None = None
    lag_seconds: int | None = None
    doubtful: bool = False
    by_copy: bool = False

    @property
    def sound(self) -> bool:
        """Nothing of this located facility is known to be missing. doubtful: a row here may carry a parent's card, and
        whether it is this person's is open: the answer is then UNCERTAIN, not INCOMPLETE (a newborn's mother is not ill-served).
        """
        # A joined line has the doubt as its reason beside an outcome of its other rows, which must not be excused by it.
        doubt_alone = self.outcome is Outcome.WITHHELD and self.reason == DOUBTFUL
        return (self.outcome in SOUND or doubt_alone) and not self.failed_items and self.reason != NEW_SINCE_FIRST_PAGE

    @property
    def whole(self) -> bool:
        """Sound, and no kind of it is missing."""
        return self.sound and not any(outcome in PARTLY for _, outcome, _, _ in self.kinds)

    @property
    def records(self) -> int:
        """Source records this facility sent for this page."""
        return sum(count for *_, count in self.kinds)


def joined(lines: list[Line]) -> Line:
    """One line a facility: several patient rows there count together, and the worst outcome speaks for all."""
    if len(lines) == 1:
        return lines[0]
    certain = [line for line in lines if not line.doubtful]
    if certain and len(certain) < len(lines):
        known = joined(certain)
        # The doubt must not pass for the reason of a failure beside it, and excuse that.
        reason = DOUBTFUL if known.reason is None and known.outcome in SOUND else known.reason
        return replace(known, reason=reason, doubtful=True)
    worst = max(lines, key=lambda line: (RANK[line.outcome], not line.sound))
    if worst.outcome is Outcome.EMPTY:
        worst = next((line for line in lines if line.outcome is Outcome.ANSWERED), worst)
    kinds: dict[RecordKind, tuple[Outcome, str | None, int]] = {}
    for kind, outcome, reason, count in (k for line in lines for k in line.kinds):
        old = kinds.get(kind, (Outcome.EMPTY, None, 0))
        bad = max(((outcome, reason), old[:2]), key=lambda o: RANK[o[0]] if o[0] is not Outcome.EMPTY else -1)
        kinds[kind] = (*bad, old[2] + count)
    return Line(
        worst.facility,
        worst.outcome,
        worst.reason or next((line.reason for line in lines if line.reason), None),
        tuple((kind, *rest) for kind, rest in kinds.items()),
        sum(line.failed_items for line in lines),
        max((line.took_ms for line in lines if line.took_ms is not None), default=None),
        worst.as_of,
        worst.lag_seconds,
        worst.doubtful,
    )
