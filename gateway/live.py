"""A patient's history as each hospital answers: the table of contents of a subscription, as history.py is of a query.

One event for each facility whose node answered or failed, then the ledger; after the deadline, while the caller listens,
what late nodes bring, each followed by the ledger anew. Before every event it is asked again whether the caller may read.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from gateway.access.callers import Authenticator, Caller
from gateway.access.decide import Refusal, RefusalCode
from gateway.coverage import Assessment
from gateway.history import AccessRefused, History, Question
from gateway.live_event import Copies, LiveSelection, write_closed, write_parts
from gateway.scatter import NodeResult, sender
from gateway.stream import stream
from gateway.transport import Transport
from schema.access import AccessInput, PatientBy
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
    """The finished JSON of one HistoryEvent. key: the field's response key; ledger: of a HistoryClosed."""

    key: str
    body: bytes
    ledger: Assessment | None = None


@dataclass(slots=True)
class Live:
    """Answers `history`. transport: of its own, since its calls may last long and must not use up the queries' connections.

    A call given up there must close its socket at once (call_transport.py); pyreqwest keeps one until the node answers.
    """

    history: History
    transport: Transport
    authenticator: Authenticator

    async def open(
        self,
        listener: Listener,
        by: PatientBy,
        access: AccessInput,
        selection: LiveSelection,
        raw: Mapping[str, Any],
    ) -> AsyncGenerator[Event, None]:
        """The events, once it is clear that they may be given; raises ClientError, now or between two events."""
        started = time.monotonic()
        question = await self.history.question(listener.caller, by, access, selection.prepared, raw)
        return self._events(listener, access, selection, question, started)

    async def _events(
        self, listener: Listener, access: AccessInput, selection: LiveSelection, question: Question, started: float
    ) -> AsyncGenerator[Event, None]:
        settings = self.history.settings
        now = time.monotonic()
        # When `patient` would call a node timed out, so that both say the same of it.
        deadline = min(now + settings.node_deadline_seconds, started + settings.request_deadline_seconds)
        until = deadline + settings.live_late_seconds
        send = sender(self.transport, question.posts, until, until - now, settings.max_response_bytes)
        results: dict[str, NodeResult] = {}
        copies, closed = Copies(), False
        subquery = selection.prepared.subquery
        async with aclosing(stream(question.plan, send, subquery, question.pages, deadline, until)) as coming:
            async for result in coming:
                if result is not None:
                    results[result.request.node.id] = result
                    for event in self._parts(selection, question, result, copies, closed):
                        await self._check(listener, access, question)
                        yield event
                closed = closed or result is None
                if closed:
                    event = self._closed(selection, question, results, now)
                    await self._check(listener, access, question)
                    yield event

    async def _check(self, listener: Listener, access: AccessInput, question: Question) -> None:
        """Whether the token still stands and permits what it did: a grant may be withdrawn between two events."""
        caller = await self.authenticator.authenticate(listener.authorization)
        permit = await self.history.permit(caller, access, question.token)
        if caller != listener.caller or permit != question.permit:
            raise AccessRefused(Refusal(RefusalCode.NOT_PERMITTED))

    def _parts(
        self, selection: LiveSelection, question: Question, result: NodeResult, copies: Copies, late: bool
    ) -> Sequence[Event]:
        """One event for each facility that this node was asked for."""
        here = {t.facility for t in result.request.targets}
        skipped = tuple(s for s in question.plan.skipped if s.facility in here)
        plan = replace(question.plan, requests=(result.request,), skipped=skipped)
        ledger = self.history.ledger(plan, [result], selection.prepared, question.asked)
        parts = write_parts(selection, question.asked, result, ledger, copies, late)
        return [Event(selection.key, part) for part in parts]

    def _closed(
        self, selection: LiveSelection, question: Question, results: Mapping[str, NodeResult], began: float
    ) -> Event:
        """The ledger of all, with who has not answered yet as timed out."""
        took = round((time.monotonic() - began) * 1000)
        every = [results.get(r.node.id) or NodeResult(r, Outcome.TIMED_OUT, None, took) for r in question.plan.requests]
        ledger = self.history.ledger(question.plan, every, selection.prepared, question.asked)
        entities = [e for r in every for e in r.entities]
        return Event(selection.key, write_closed(selection, question.asked, ledger, entities), ledger)
