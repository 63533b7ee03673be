"""A patient's history as each hospital answers: the table of contents of a subscription, as history.py is of a query.

One event for each facility whose node answered or failed, then the ledger; after the deadline, while the caller listens,
what late nodes bring, each followed by the ledger anew. Before every event it is asked again whether the caller may read.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.access.callers import Authenticator, Caller
from gateway.access.decide import Refusal, RefusalCode
from gateway.calls import Inquiry, calls_of, posts_of
from gateway.copies import losing
from gateway.copy_lines import heed
from gateway.history import AccessRefused, History, Question, told
from gateway.live.event import LiveSelection, SeenDocuments, write_closed, write_parts
from gateway.live.stream import stream
from gateway.plan import NodeRequest
from gateway.reading import Slice
from gateway.scatter import NodeResult
from gateway.sending import sender
from gateway.transport import Transport
from schema.coverage import Outcome


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens. authorization: the header or its like, kept to be verified again before every event."""

    caller: Caller
    authorization: str

    def __repr__(self) -> str:
        return f"Listener({self.caller!r})"


@dataclass(frozen=True, slots=True)
class Event:
    """The finished JSON of one HistoryEvent. key: the field's response key; coverage: of a HistoryClosed, in full."""

    key: str
    body: bytes
    coverage: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Live:
    """Answers `history`. transport: of its own, since its calls may last long and must not use up the queries' connections.

    A call given up there must close its socket at once (call_transport.py); pyreqwest keeps one until the node answers.
    """

    history: History
    transport: Transport
    authenticator: Authenticator

    async def open(
        self, listener: Listener, question: Question, selection: LiveSelection
    ) -> AsyncGenerator[Event, None]:
        """The events, once it is clear that they may be given; raises ClientError, now or between two events."""
        started = time.monotonic()
        inquiry = await self.history.inquire(question)
        return self._events(listener, Listening(self.history, question, inquiry, selection), started)

    async def _events(self, listener: Listener, heard: Listening, started: float) -> AsyncGenerator[Event, None]:
        settings, inquiry = self.history.settings, heard.inquiry
        now = time.monotonic()
        # When `patient` would call a node timed out, so that both say the same of it.
        deadline = min(now + settings.node_deadline_seconds, started + settings.request_deadline_seconds)
        until = deadline + settings.live_late_seconds
        calls = calls_of([inquiry])
        posts = posts_of(calls, self.history.signing_key, self.history.kid, self.history.clock())
        by_node = {call.request.node.id: post for call, post in zip(calls, posts, strict=True)}
        # No bulkhead: a call that lasts half a minute would take a query's room. The transport has room of its own.
        send = sender(self.transport, by_node, until, until - now, settings.max_response_bytes)
        pages, subquery = tuple(map(Slice, inquiry.sizes)), inquiry.prepared.subquery
        asking = stream(inquiry.plan, send, subquery, pages, deadline, until, self.history.breakers)
        async with aclosing(asking) as coming:
            async for result in coming:
                for event in heard.take(result):
                    await self._check(listener, heard)
                    yield event

    async def _check(self, listener: Listener, heard: Listening) -> None:
        """Whether the token still stands and permits what it did: a grant may be withdrawn between two events."""
        caller = await self.authenticator.authenticate(listener.authorization)
        permit = await self.history.permitted(heard.question, heard.inquiry)
        if caller != listener.caller or permit != heard.inquiry.permit:
            raise AccessRefused(Refusal(RefusalCode.NOT_PERMITTED))


class Listening:
    """One subscription: what has come so far, and what is said when more comes."""

    def __init__(self, history: History, question: Question, inquiry: Inquiry, selection: LiveSelection) -> None:
        self.history, self.question, self.inquiry, self.selection = history, question, inquiry, selection
        self.began = time.monotonic()
        self.results: dict[str, NodeResult] = {}
        self.held: list[NodeResult] = []
        self.shown: list[Any] = []  # the decoded connections of the parts that were sent
        self.seen = SeenDocuments()
        self.closed = False

    def take(self, result: NodeResult | None) -> list[Event]:
        """What is said now. None: time is over, or all are in.

        Rows of a warehouse are weighed against the source's, which cannot be taken back once sent: until the own nodes of its
        facilities have answered, or time is over, its parts are held.
        """
        late, self.closed = self.closed, self.closed or result is None
        events: list[Event] = []
        if result is not None:
            self.results[result.request.node.id] = result
            if result.request.node.warehouse:
                self.held.append(result)
            else:
                events += self._parts(result, late)
        ready = [r for r in self.held if self.closed or not self._own_silent(r)]
        self.held = [r for r in self.held if r not in ready]
        for one in ready:
            events += self._parts(one, late)
        return [*events, self._closed()] if self.closed else events

    def _own_silent(self, copy: NodeResult) -> bool:
        return any(
            not request.node.warehouse and request.node.id not in self.results
            for request in self._beside(_facilities(copy.request))
        )

    def _beside(self, facilities: set[str]) -> list[NodeRequest]:
        return [r for r in self.inquiry.plan.requests if _facilities(r) & facilities]

    def _every(self) -> tuple[NodeResult, ...]:
        """A result of each node, with who has not answered yet as timed out; without copies that a hospital refuses to show."""
        took = round((time.monotonic() - self.began) * 1000)
        requests = self.inquiry.plan.requests
        return heed([self.results.get(r.node.id) or NodeResult(r, Outcome.TIMED_OUT, None, took) for r in requests])

    def _parts(self, result: NodeResult, late: bool) -> list[Event]:
        """One event for each facility that this node was asked for. A warehouse's has the line of facility and copy together."""
        node, plan, every = result.request.node, self.inquiry.plan, self._every()
        (result,) = (r for r in every if r.request.node.id == node.id)
        here = _facilities(result.request)
        asked = [r for r in self._beside(here) if r.node.id == node.id or (node.warehouse and not r.node.warehouse)]
        skipped = tuple(s for s in plan.skipped if s.facility in here)
        ledger = self.history.assessed(self.inquiry, replace(plan, requests=tuple(asked), skipped=skipped), every)
        lines = [line for line in ledger.located if line.facility in here]
        (part,) = (c.part for c in self.inquiry.prepared.subquery.connections)
        mine = [getattr(entity, part) for entity in result.entities]
        lost: frozenset[int] = frozenset()
        if node.warehouse:
            before = sum(len(connection.edges) for connection in self.shown)
            flags = [False] * len(self.shown) + [True] * len(mine)
            lost = frozenset(n - before for n in losing([*self.shown, *mine], flags))
        self.shown += mine
        asked_as = self.history.asked(self.question, self.inquiry, every, {})
        parts = write_parts(self.selection, asked_as, result, lines, self.seen, late, lost)
        return [Event(self.selection.key, body) for body in parts]

    def _closed(self) -> Event:
        every = self._every()
        coverage = told(self.question, self.inquiry, self.history.assessed(self.inquiry, self.inquiry.plan, every))
        asked = self.history.asked(self.question, self.inquiry, every, coverage)
        return Event(self.selection.key, write_closed(self.selection, asked, every), coverage)


def _facilities(request: NodeRequest) -> set[str]:
    return {target.facility for target in request.targets}
