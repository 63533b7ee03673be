"""One patient's history, start to end: the table of contents of a query. Wiring comes from app.py; stages are their own files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import advice
from gateway.access.callers import Caller
from gateway.access.decide import Permit, Refusal, RefusalCode, decide
from gateway.access.grants import GrantStore
from gateway.answer import Answer, Asked, Prepared, write_answer
from gateway.breaker import Breakers, Rules
from gateway.bulkhead import Bulkheads
from gateway.calls import Call, Inquiry, calls_of, posts_of
from gateway.city.registry import City, Registry
from gateway.copy_lines import heed
from gateway.coverage import Assessment, assess
from gateway.cursor import LIFE_SECONDS, BadCursor, CursorSeal, Walk, binding_of
from gateway.errors import ClientError, KeyBehind
from gateway.identity.city_key import CityKey
from gateway.identity.key_ring import KeyRing, LiveKeys
from gateway.identity.locator import People
from gateway.ledger import as_value
from gateway.plan import QueryPlan, page_sizes, plan_query
from gateway.scatter import NodeResult, ask_parts, failed_nodes, gathered
from gateway.sending import Post, send_post
from gateway.settings import Settings
from gateway.strictness import LENIENT, Strictness, check_known, facility_errors, failure_of
from gateway.transport import Transport
from gateway.walk import gap_nodes
from schema.access import AccessInput, Basis, PatientBy, Purpose
from schema.bad_input import CURSOR_TEXT
from schema.elements import RecordKind
from schema.identity import STRONG, IdentifierError, IdentifierKind, canonical
from schema.jws import key_id


class AccessRefused(ClientError):
    """What decide.py refused, as a client may see it; the precise reason goes to the audit only."""

    def __init__(self, refusal: Refusal) -> None:
        self.code = refusal.client_code
        self.precise = refusal.code
        super().__init__(refusal.reason_vi, refusal.reason_en)


class AskRefused(ClientError):
    """A question that cannot be asked this way: BAD_IDENTIFIER, BAD_CURSOR."""

    def __init__(self, code: str, vi: str, en: str) -> None:
        self.code = code
        super().__init__(vi, en)


@dataclass(frozen=True, slots=True)
class Question:
    """One `patient` field, or `history`, as it was asked."""

    caller: Caller
    by: PatientBy
    access: AccessInput
    prepared: Prepared
    raw: dict[str, Any]
    strictness: Strictness = LENIENT


@dataclass(slots=True)
class History:
    """Answers `patient`. clock: Unix seconds."""

    settings: Settings
    registry: Registry
    people: People
    grants: GrantStore
    keys: KeyRing
    signing_key: Ed25519PrivateKey
    transport: Transport
    clock: Callable[[], float] = time.time
    kid: str = field(init=False)
    breakers: Breakers = field(init=False)
    bulkheads: Bulkheads = field(init=False)
    _seal: tuple[CityKey, CursorSeal] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.kid = key_id(self.signing_key.public_key())
        s = self.settings
        self.breakers = Breakers(breaker_rules(s))
        self.bulkheads = Bulkheads(s.max_connections_per_node, s.max_waiting_per_node, s.retry_share)

    async def answer(self, question: Question) -> Answer:
        """One patient's answer with its ledger, or why this caller does not want it; raises ClientError."""
        inquiry = await self.inquire(question)
        (results,) = await self._ask([inquiry])
        return self._tell(question, inquiry, results)

    async def answers(self, questions: list[Question]) -> list[Any]:
        """The answers of all `patient` fields of one operation, asked together: one call a node for all that are asked alike.

        An Answer each, or the ClientError that refuses that one; as a batch function of aiodataloader.
        """
        made = await asyncio.gather(*map(self.inquire, questions), return_exceptions=True)
        asked = [inquiry for inquiry in made if not isinstance(inquiry, BaseException)]
        results = dict(zip(map(id, asked), await self._ask(asked), strict=True))
        told: list[Any] = []
        for question, inquiry in zip(questions, made, strict=True):
            if isinstance(inquiry, ClientError):
                told.append(inquiry)
            elif isinstance(inquiry, BaseException):
                raise inquiry
            else:
                told.append(self._tell(question, inquiry, results[id(inquiry)]))
        return told

    async def inquire(self, question: Question) -> Inquiry:
        """All that is known before anyone is asked; raises ClientError."""
        prepared, raw, caller = question.prepared, question.raw, question.caller
        city = await self.registry.snapshot()
        keys = self._keys(city)
        tokens = patient_tokens(keys, question.by)
        token = tokens[0]  # under the key that stays the same while another is brought in
        permit = await self._permit(caller, question.access, keys, tokens)
        seal = self._cursors(keys.primary)
        if question.strictness.speaks_of_facilities and not permit.entitled_to_ledger:
            raise AccessRefused(Refusal(RefusalCode.NOT_PERMITTED))
        lists = prepared.subquery.connections
        sizes = page_sizes(lists, raw)
        bound = binding_of(token, caller.issuer, caller.subject, question.access.purpose.value, permit.reach)
        bindings = tuple(bound + c.binding(raw) for c in lists)
        walks = tuple(self._walk(seal, c.after(raw), binding) for c, binding in zip(lists, bindings, strict=True))
        check_known(question.strictness, city)
        choice = await self.people.find(tokens, city.warehouses)
        allowed = permit.allowed.kinds
        permitted = None if allowed is None else frozenset(RecordKind(k) for k in allowed)
        plan = plan_query(prepared.subquery, raw, choice, city, permitted, walks)
        if plan.copies and prepared.comparing is not None:
            prepared = prepared.comparing()
            if any(request.reduced is not None for request in plan.requests):  # they must be asked the same
                plan = plan_query(prepared.subquery, raw, choice, city, permitted, walks)
        return Inquiry(prepared, raw, keys.primary, seal, token, permit, sizes, bindings, walks, city, choice, plan)

    async def _ask(self, inquiries: Sequence[Inquiry]) -> list[tuple[NodeResult, ...]]:
        """The results of each inquiry, in its plan's order."""
        deadline = time.monotonic() + self.settings.request_deadline_seconds
        seconds, cap = self.settings.node_deadline_seconds, self.settings.max_response_bytes
        send = partial(
            send_post,
            self.transport,
            deadline=deadline,
            node_seconds=seconds,
            cap=cap,
            bulkheads=self.bulkheads,
        )
        calls = calls_of(inquiries)
        posts = posts_of(calls, self.signing_key, self.kid, self.clock())
        parts = [tuple(request for _, request in call.parts) for call in calls]
        asked = [
            ask_parts(
                call.request,
                whom,
                partial(send, post=post, again=partial(self._again, call)),
                call.inquiry.prepared.subquery,
                call.pages,
                self.breakers,
            )
            for call, whom, post in zip(calls, parts, posts, strict=True)
        ]
        done: dict[int, NodeResult] = {}
        for results in await gathered(asked, parts, deadline):
            done.update({id(result.request): result for result in results})
        return [tuple(done[id(r)] for r in inquiry.plan.requests) for inquiry in inquiries]

    def _again(self, call: Call) -> Post:
        """The same call under a new delegation."""
        return posts_of([call], self.signing_key, self.kid, self.clock())[0]

    def _tell(self, question: Question, inquiry: Inquiry, results: tuple[NodeResult, ...]) -> Answer:
        results = heed(results)
        ledger = self.assessed(inquiry, inquiry.plan, results)
        coverage = told(question, inquiry, ledger)
        strictness = question.strictness
        errors = facility_errors(ledger, inquiry.city) if strictness.partial_errors else []
        failure = failure_of(strictness, ledger, inquiry.city) if strictness.speaks_of_facilities else None
        if failure is not None:
            return Answer(b"", coverage, failure, errors)
        asked = self.asked(question, inquiry, results, coverage)
        return Answer(write_answer(inquiry.prepared, asked, results, ledger), coverage, None, errors)

    def assessed(self, inquiry: Inquiry, plan: QueryPlan, results: Sequence[NodeResult]) -> Assessment:
        """The ledger of the inquiry's plan, or of a part of it, as things stand."""
        gaps = frozenset(n for walk in inquiry.walks for n in gap_nodes(walk, [r.node.id for r in plan.requests]))
        now, fresh = datetime.fromtimestamp(self.clock(), UTC), self.settings.locator_fresh_seconds
        return assess(plan, results, inquiry.city, inquiry.prepared.subquery, now, fresh, gaps)

    def asked(
        self, question: Question, inquiry: Inquiry, results: tuple[NodeResult, ...], coverage: Mapping[str, Any]
    ) -> Asked:
        """What this request adds to what is compiled. results: one for each node of the inquiry's plan."""
        expires = int(self.clock()) + LIFE_SECONDS
        here = partial(inquiry.taking_part, results)
        return Asked(
            raw=inquiry.raw,
            city=inquiry.city,
            sizes=inquiry.sizes,
            bindings=inquiry.bindings,
            patient_id=inquiry.key.pairwise_id(question.caller.application, inquiry.token),
            coverage=coverage,
            seal=inquiry.seal,
            walks=inquiry.going_on(expires, here),
            first=lambda: Walk(expires, tuple(here())),
            failed=failed_nodes(inquiry.plan, results),
            all_times=inquiry.permit.allowed.all_times,
        )

    async def permitted(self, question: Question, inquiry: Inquiry) -> Permit:
        """What the caller may read of this patient now; raises ClientError. Keys may be replaced while somebody listens."""
        keys = self._keys(inquiry.city)
        return await self._permit(question.caller, question.access, keys, patient_tokens(keys, question.by))

    def _keys(self, city: City) -> LiveKeys:
        keys = self.keys.live()
        if city.key_version > keys.newest.version:
            keys = self.keys.live(again=True)
            if city.key_version > keys.newest.version:
                raise KeyBehind
        return keys

    def _cursors(self, key: CityKey) -> CursorSeal:
        if self._seal is None or self._seal[0] is not key:
            self._seal = key, CursorSeal.of(key.secret_for("page cursors"))
        return self._seal[1]

    async def _permit(self, caller: Caller, access: AccessInput, keys: LiveKeys, tokens: tuple[bytes, ...]) -> Permit:
        grant = (
            await self.grants.find(str(access.evidence)) if access.basis is Basis.GRANT and access.evidence else None
        )
        own = caller.identity and keys.primary.patient_token(caller.identity.kind, caller.identity.value)
        # A grant is of this patient when it bears the patient's token under either key.
        token = grant.patient_token if grant is not None and grant.patient_token in tokens else tokens[0]
        decision = decide(caller, access, token, grant, self.clock(), own_token=own or None)
        if isinstance(decision, Refusal):
            raise AccessRefused(decision)
        return decision

    def _walk(self, seal: CursorSeal, cursor: object, binding: bytes) -> Walk | None:
        if cursor is None:
            return None
        try:
            return seal.open(cursor, binding, self.clock())
        except BadCursor:
            raise AskRefused("BAD_CURSOR", *CURSOR_TEXT) from None


def breaker_rules(settings: Settings) -> Rules:
    """The breakers' rules. A node that always takes its whole deadline is slow, however short that is."""
    return Rules(
        settings.breaker_failures,
        settings.breaker_window,
        settings.breaker_share,
        min(settings.breaker_slow_seconds, settings.node_deadline_seconds * 0.9),
        settings.breaker_pause_seconds,
        max(settings.breaker_pause_seconds, settings.breaker_pause_limit_seconds),
    )


def patient_tokens(keys: LiveKeys, by: PatientBy) -> tuple[bytes, ...]:
    """The tokens of what was asked for, oldest key first; raises AskRefused(BAD_IDENTIFIER)."""
    try:
        identifier = canonical(by.kind, by.value)
    except IdentifierError as error:
        texts = {
            "EMPTY": ("Số giấy tờ trống", "the identifier is empty"),
            "PLACEHOLDER": ("Số giấy tờ là số giả định", "the identifier is a placeholder"),
        }
        default = (f"Số giấy tờ không đúng dạng {by.kind.value}", f"not the form of a {by.kind.value}")
        raise AskRefused("BAD_IDENTIFIER", *texts.get(error.reason, default)) from None
    return keys.tokens(identifier.kind, identifier.value)


def told(question: Question, inquiry: Inquiry, ledger: Assessment) -> Mapping[str, Any]:
    """The ledger as this caller reads it, in both languages."""
    return as_value(ledger, inquiry.city, notices(inquiry.permit, question.by.kind))


def notices(permit: Permit, kind: IdentifierKind) -> list[advice.Text]:
    """Constant lines: they depend on the permit and the kind of number alone, the same for every identifier, existing or not (DESIGN 7)."""
    treating = [advice.OTHERS_MAY_EXIST, advice.BREAK_GLASS] if permit.purpose is Purpose.TREAT else []
    within = [] if permit.allowed.all_times else [advice.PERIOD_LIMITED]
    weak = [] if kind in STRONG else [advice.WEAK_NUMBER]
    return [*treating, *weak, *within, advice.LAW_HIDDEN]
