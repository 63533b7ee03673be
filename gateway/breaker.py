"""Whether a node is asked at all: a circuit breaker each (closed, open, half-open). Pure but for the log line of a change.

A breaker changes what the ledger says of a node's facilities (CIRCUIT_OPEN), never which facilities are in it: an answer
beside an open circuit is as incomplete as one beside a node that timed out. State is of this process. Room and retries are
bulkhead.py; what a call gave is scatter.py.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog

from schema.coverage import Outcome

_log = structlog.get_logger(__name__)
_FAILING = frozenset({Outcome.TIMED_OUT, Outcome.UNREACHABLE, Outcome.INVALID_RESPONSE})
# What one question or one patient can bring about must not close a hospital for all the others.
_OF_THE_QUESTION = frozenset({"TOO_LARGE", "REF_UNKNOWN", "ERRORS_IN_ANSWER", "HTTP_400"})

MOST_ALONE = 0.5


class Told(Protocol):
    """What a breaker needs of a NodeResult."""

    @property
    def outcome(self) -> Outcome: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def took_ms(self) -> int: ...


class Circuit(Enum):
    """CLOSED: asked. OPEN: left alone until its pause is over. HALF_OPEN: one question is under way that decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens: `run` failures in a row, or `share` of the last `window` calls. An answer after `slow_seconds`
    is used and counts as a failure. The pause doubles from pause_seconds to pause_limit_seconds while probes fail."""

    run: int = 5
    window: int = 20
    share: float = 0.5
    slow_seconds: float = 1.5
    pause_seconds: float = 1.0
    pause_limit_seconds: float = 30.0

    def failed(self, outcome: Outcome, reason: str | None, took_ms: int) -> bool | None:
        """Whether a call speaks against its node; None when it says nothing of it."""
        slow = took_ms >= self.slow_seconds * 1000
        if outcome is Outcome.OVER_BUDGET or (outcome is Outcome.TIMED_OUT and not slow):
            return None  # our own queue, or a request that had hardly any time left
        return slow or (outcome in _FAILING and reason not in _OF_THE_QUESTION)

    def judged(self, results: Sequence[Told]) -> bool | None:
        """The same of a call about several patients: what one of them shows counts."""
        found = [self.failed(r.outcome, r.reason, r.took_ms) for r in results]
        return found[0] if len(found) == 1 else (True in found) or (None if set(found) == {None} else False)


class Breaker:
    """One node's. Moments are seconds of any steady clock."""

    __slots__ = ("_last", "_run", "_term", "_until", "_wait", "circuit", "rules")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.circuit = Circuit.CLOSED
        self._last: deque[bool] = deque(maxlen=rules.window)
        self._run = 0
        self._until = 0.0
        self._wait = rules.pause_seconds
        self._term = 0  # counts changes: a call that began before one has no say after it

    def admit(self, now: float) -> int | None:
        """The ticket of a call that may be made now, to be given to `settle`; None when it may not."""
        if self.circuit is not Circuit.CLOSED:
            if now < self._until:
                return None
            # A probe nobody settles would close the node for ever: after the longest pause there is another.
            self._turn(Circuit.HALF_OPEN)
            self._until = now + self.rules.pause_limit_seconds
        return self._term

    def settle(self, ticket: int, failed: bool | None, now: float) -> bool:
        """What became of a call; True when the circuit changed."""
        if ticket != self._term:
            return False
        if self.circuit is Circuit.HALF_OPEN:
            if failed is None:
                self._turn(Circuit.OPEN)
                self._until = now  # the probe said nothing: the next question is one
            elif failed:
                self._wait = min(self._wait * 2, self.rules.pause_limit_seconds)
                self._open(now)
            else:
                self._wait = self.rules.pause_seconds
                self._turn(Circuit.CLOSED)
            return True
        if failed is None:
            return False
        self._run = self._run + 1 if failed else 0
        self._last.append(failed)
        if failed and (self._run >= self.rules.run or self._too_many()):
            self._open(now)
            return True
        return False

    def _too_many(self) -> bool:
        return len(self._last) == self.rules.window and sum(self._last) >= self.rules.share * self.rules.window

    def _open(self, now: float) -> None:
        self._until = now + self._wait
        self._turn(Circuit.OPEN)

    def _turn(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._term += 1
        self._run = 0
        self._last.clear()


class Breakers:
    """All nodes' breakers, made when a node is first asked."""

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.monotonic) -> None:
        self.rules, self.clock = rules, clock
        self._breakers: dict[str, Breaker] = {}

    def admit(self, node_id: str) -> int | None:
        """See Breaker."""
        breaker = self._breakers.get(node_id)
        if breaker is None:
            breaker = self._breakers[node_id] = Breaker(self.rules)
        return breaker.admit(self.clock())

    def settle(self, node_id: str, ticket: int, failed: bool | None) -> None:
        """See Breaker. At most half of the nodes asked so far are left alone at once, one in any case."""
        breaker = self._breakers[node_id]
        if failed and breaker.circuit is Circuit.CLOSED and self._enough():
            failed = None
        if breaker.settle(ticket, failed, self.clock()):
            _log.warning("circuit changed", node=node_id, circuit=breaker.circuit.value)

    def _enough(self) -> bool:
        """Whether half of all nodes are left alone already: then the fault is more likely on this side (a busy gateway, a cut
        line), and leaving out the rest of the city would heal nothing."""
        alone = sum(breaker.circuit is not Circuit.CLOSED for breaker in self._breakers.values())
        return alone >= max(1, len(self._breakers) * MOST_ALONE)

    def counts(self) -> dict[str, int]:
        """How many nodes' circuits are in which state, for /health. Nodes never asked are closed, and not counted."""
        now = Counter(breaker.circuit.value for breaker in self._breakers.values())
        return {circuit.value: now[circuit.value] for circuit in Circuit}
