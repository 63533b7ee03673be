"""When a node is left alone and when it is asked again: the breaker alone, and in the scatter."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.breaker import Breaker, Breakers, Circuit, Rules
from gateway.plan import NodeRequest, QueryPlan
from gateway.scatter import NodeResult
from gateway.transport import Fault, TransportError
from schema.coverage import Outcome
from schema.elements import RecordKind
from tests.gateway.asking import request, scatter
from tests.gateway.good_answer import ASKED, GOOD, PAGES

RULES = Rules(run=3, window=6, share=0.5, slow_seconds=1.0, pause_seconds=1.0, pause_limit_seconds=8.0)


def call(breaker: Breaker, failed: bool | None, at: float = 0.0) -> None:
    ticket = breaker.admit(at)
    assert ticket is not None
    breaker.settle(ticket, failed, at)


def circuit(breaker: Breaker) -> Circuit:
    return breaker.circuit


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(3):
        call(breaker, True, at)
    return breaker


def test_a_run_of_failures_opens_it_and_a_success_between_begins_the_run_anew() -> None:
    breaker = Breaker(RULES)
    for failed in (True, True, False, True, True):
        call(breaker, failed)
        assert circuit(breaker) is Circuit.CLOSED
    call(breaker, True)
    assert circuit(breaker) is Circuit.OPEN and breaker.admit(0.99) is None


def test_half_of_the_last_calls_failing_opens_it_without_any_run() -> None:
    breaker = Breaker(RULES)
    for failed in (False, True, False, True, False):
        call(breaker, failed)
    assert circuit(breaker) is Circuit.CLOSED, "a window that is not full says nothing yet"
    call(breaker, True)
    assert circuit(breaker) is Circuit.OPEN


def test_after_the_pause_exactly_one_call_is_let_through_and_decides() -> None:
    breaker = opened()
    probe = breaker.admit(1.0)
    assert probe is not None and circuit(breaker) is Circuit.HALF_OPEN
    assert [breaker.admit(1.0 + n / 10) for n in range(5)] == [None] * 5
    assert breaker.settle(probe, False, 1.5)
    assert circuit(breaker) is Circuit.CLOSED and breaker.admit(1.5) is not None


def test_while_probes_fail_the_pause_doubles_up_to_its_limit_and_a_success_makes_it_short_again() -> None:
    breaker, now = opened(), 0.0
    for pause in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert breaker.admit(now + pause - 0.01) is None
        now += pause
        call(breaker, True, now)
        assert circuit(breaker) is Circuit.OPEN
    call(breaker, False, now + 8)
    assert circuit(breaker) is Circuit.CLOSED
    for _ in range(3):
        call(breaker, True, now + 9)
    assert breaker.admit(now + 9.99) is None and breaker.admit(now + 10) is not None


def test_a_probe_that_said_nothing_leaves_the_next_question_to_be_one() -> None:
    breaker = opened()
    call(breaker, None, 1.0)
    assert circuit(breaker) is Circuit.OPEN
    assert breaker.admit(1.0) is not None


def test_a_probe_that_nobody_settles_does_not_close_a_hospital_for_ever() -> None:
    breaker = opened()
    assert breaker.admit(1.0) is not None
    assert breaker.admit(8.99) is None and breaker.admit(9.0) is not None


def test_calls_that_began_before_a_change_have_no_say_after_it() -> None:
    breaker = Breaker(RULES)
    early = [breaker.admit(0.0) for _ in range(10)]
    for ticket in early[:3]:
        assert ticket is not None
        breaker.settle(ticket, True, 0.0)
    for ticket in early[3:]:
        assert ticket is not None and not breaker.settle(ticket, False, 0.5)
    assert circuit(breaker) is Circuit.OPEN and breaker.admit(0.9) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(0, 12)), max_size=60))
def test_it_never_stays_open_longer_than_the_limit_and_never_opens_without_a_failure(
    calls: list[tuple[bool | None, float]],
) -> None:
    breaker, now, refused_since = Breaker(RULES), 0.0, None
    for failed, pause in calls:
        now += pause
        ticket = breaker.admit(now)
        if ticket is None:
            refused_since = now if refused_since is None else refused_since
            assert now - refused_since < RULES.pause_limit_seconds
            continue
        refused_since = None
        before = breaker.circuit
        breaker.settle(ticket, failed, now)
        if before is Circuit.CLOSED and circuit(breaker) is Circuit.OPEN:
            assert failed
        if failed is False and before is Circuit.HALF_OPEN:
            assert circuit(breaker) is Circuit.CLOSED


@pytest.mark.parametrize(
    ("outcome", "reason", "took_ms", "failed"),
    [
        (Outcome.ANSWERED, None, 10, False),
        (Outcome.ANSWERED, None, 1000, True),  # slow counts as failing, though its rows are shown
        (Outcome.TIMED_OUT, None, 1200, True),
        (Outcome.TIMED_OUT, None, 200, None),  # it was hardly given any time
        (Outcome.UNREACHABLE, None, 1, True),
        (Outcome.INVALID_RESPONSE, "NOT_JSON", 5, True),
        (Outcome.INVALID_RESPONSE, "ANOTHER_PATIENT", 5, True),
        (Outcome.INVALID_RESPONSE, "HTTP_500", 5, True),
        (Outcome.INVALID_RESPONSE, "REF_UNKNOWN", 5, False),
        (Outcome.INVALID_RESPONSE, "TOO_LARGE", 5, False),
        (Outcome.INVALID_RESPONSE, "ERRORS_IN_ANSWER", 5, False),
        (Outcome.REFUSED, "HTTP_403", 5, False),
        (Outcome.OVER_BUDGET, None, 1900, None),
    ],
)
def test_what_speaks_against_a_node(outcome: Outcome, reason: str | None, took_ms: int, failed: bool | None) -> None:
    assert RULES.failed(outcome, reason, took_ms) is failed


@dataclass
class Town:
    """Nodes A and B behind breakers; what A does is the test's. calls: who was really called."""

    fault: BaseException | bytes = GOOD
    now: float = 0.0
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breakers = Breakers(RULES, lambda: self.now)
        self.plan = QueryPlan((request("A"), request("B")), (), (RecordKind.ENCOUNTER,), frozenset())

    async def send(self, to: NodeRequest) -> bytes:
        self.calls.append(to.node.id)
        if to.node.id == "node-B":
            return GOOD.replace(b"ref-A", b"ref-B").replace(b'"facility":"A"', b'"facility":"B"')
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.fault

    async def ask(self) -> list[Outcome]:
        results: tuple[NodeResult, ...] = await scatter(
            self.plan, self.send, ASKED.subquery, PAGES, breakers=self.breakers
        )
        assert [r.request for r in results] == list(self.plan.requests)
        return [r.outcome for r in results]


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [TransportError(Fault.UNREACHABLE), b"not json"], ids=["unreachable", "invalid"])
async def test_an_open_circuit_is_told_at_once_for_that_node_alone_and_one_question_finds_it_well(
    fault: BaseException | bytes,
) -> None:
    town = Town(fault)
    first = [await town.ask() for _ in range(3)]
    assert all(a not in (Outcome.ANSWERED, Outcome.CIRCUIT_OPEN) and b is Outcome.ANSWERED for a, b in first)
    town.calls.clear()
    assert await town.ask() == [Outcome.CIRCUIT_OPEN, Outcome.ANSWERED]
    assert town.calls == ["node-B"]
    assert town.breakers.counts() == {"closed": 1, "open": 1, "half-open": 0}
    town.fault, town.now = GOOD, 1.0
    assert await town.ask() == [Outcome.ANSWERED, Outcome.ANSWERED]
    assert town.breakers.counts() == {"closed": 2, "open": 0, "half-open": 0}


@pytest.mark.anyio
async def test_a_query_that_is_cancelled_does_not_take_the_probe_with_it() -> None:
    town = Town(TransportError(Fault.UNREACHABLE))
    for _ in range(3):
        await town.ask()
    town.now = 1.0

    async def hang(to: NodeRequest) -> bytes:
        await asyncio.sleep(5)
        return GOOD

    running = asyncio.create_task(scatter(town.plan, hang, ASKED.subquery, PAGES, breakers=town.breakers))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0)
    town.fault = GOOD
    assert await town.ask() == [Outcome.ANSWERED, Outcome.ANSWERED]


@pytest.mark.parametrize(("nodes", "alone"), [(1, 1), (2, 1), (5, 3), (6, 3), (42, 21)])
def test_when_the_whole_city_seems_to_fail_no_more_than_half_of_it_is_left_alone(nodes: int, alone: int) -> None:
    breakers = Breakers(RULES, lambda: 0.0)
    for _ in range(RULES.window * 2):
        for name in map(str, range(nodes)):
            ticket = breakers.admit(name)
            if ticket is not None:
                breakers.settle(name, ticket, True)
    assert breakers.counts()["open"] == alone
