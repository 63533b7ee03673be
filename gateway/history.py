"""One patient's history, start to end: the table of contents of a query. Wiring comes from app.py; stages are their own files."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway import advice
from gateway.access.callers import Caller
from gateway.access.decide import Permit, Refusal, decide
from gateway.access.grants import GrantStore
from gateway.answer import Asked, Prepared, write_answer
from gateway.coverage import Assessment, assess
from gateway.cursor import LIFE_SECONDS, BadCursor, CursorSeal, Position, binding_of
from gateway.errors import ClientError
from gateway.identity import CityKey
from gateway.locator import Locator, choose
from gateway.plan import NodeRequest, QueryPlan, page_sizes, plan_query, request_variables
from gateway.registry import Registry
from gateway.scatter import NodeResult, Post, Slice, scatter, sender
from gateway.settings import Settings
from gateway.transport import Transport
from schema.access import AccessInput, Basis, PatientBy, Purpose
from schema.delegation import Delegation, Subject, new_delegation, sign_delegations
from schema.elements import RecordKind
from schema.identity import IdentifierError, canonical
from schema.jws import key_id

CONTRACT_VERSION = "1.0"
_JSON = msgspec.json.Encoder()


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
    """One question made ready. token: of the patient; posts: what each node is sent, by its id; pages: one a connection."""

    token: bytes
    permit: Permit
    plan: QueryPlan
    posts: Mapping[str, Post]
    pages: tuple[Slice, ...]
    asked: Asked

    def __repr__(self) -> str:
        return "Question()"  # refs and tokens must not reach a log by accident


@dataclass(slots=True)
class History:
    """Answers `patient`. clock: Unix seconds."""

    settings: Settings
    registry: Registry
    locator: Locator
    grants: GrantStore
    city_key: CityKey
    signing_key: Ed25519PrivateKey
    transport: Transport
    clock: Callable[[], float] = time.time
    kid: str = field(init=False)
    seal: CursorSeal = field(init=False)

    def __post_init__(self) -> None:
        self.kid = key_id(self.signing_key.public_key())
        self.seal = CursorSeal.of(self.city_key.secret_for("page cursors"))

    async def answer(
        self, caller: Caller, by: PatientBy, access: AccessInput, prepared: Prepared, raw: Mapping[str, Any]
    ) -> tuple[bytes, Assessment]:
        """The JSON of a PatientAnswer and its ledger; raises ClientError."""
        deadline = time.monotonic() + self.settings.request_deadline_seconds
        question = await self.question(caller, by, access, prepared, raw)
        send = sender(
            self.transport,
            question.posts,
            deadline,
            self.settings.node_deadline_seconds,
            self.settings.max_response_bytes,
        )
        results = await scatter(question.plan, send, prepared.subquery, question.pages, deadline)
        ledger = self.ledger(question.plan, results, prepared, question.asked)
        return write_answer(prepared, question.asked, results, ledger), ledger

    async def question(
        self, caller: Caller, by: PatientBy, access: AccessInput, prepared: Prepared, raw: Mapping[str, Any]
    ) -> Question:
        """All that is known before anyone is asked; raises ClientError."""
        token = self._token(by)
        permit = await self.permit(caller, access, token)
        sizes = page_sizes(prepared.subquery.connections, raw)
        bound = binding_of(token, caller.issuer, caller.subject, access.purpose.value)
        bindings = tuple(bound + c.binding(raw) for c in prepared.subquery.connections)
        after = tuple(
            self._position(c.after(raw), binding)
            for c, binding in zip(prepared.subquery.connections, bindings, strict=True)
        )
        city = await self.registry.snapshot()
        choice = choose(await self.locator.find(token))
        allowed = permit.allowed.kinds
        permitted = None if allowed is None else frozenset(RecordKind(k) for k in allowed)
        plan = plan_query(prepared.subquery, raw, choice, city, permitted)
        variables = request_variables(prepared.subquery, raw, sizes, [p.text() if p else None for p in after])
        asked = Asked(
            raw=raw,
            city=city,
            sizes=sizes,
            bindings=bindings,
            patient_id=self.city_key.pairwise_id(caller.application, token),
            notices=notices(permit),
            seal=self.seal,
            expires=int(self.clock()) + LIFE_SECONDS,
            all_times=permit.allowed.all_times,
        )
        pages = tuple(Slice(size, p.key if p else None) for size, p in zip(sizes, after, strict=True))
        return Question(token, permit, plan, self._posts(plan.requests, prepared, variables, permit), pages, asked)

    def ledger(self, plan: QueryPlan, results: Iterable[NodeResult], prepared: Prepared, asked: Asked) -> Assessment:
        """The ledger of a plan, or of a part of one, as things stand."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        return assess(plan, results, asked.city, prepared.subquery, now, self.settings.locator_fresh_seconds)

    def _token(self, by: PatientBy) -> bytes:
        try:
            identifier = canonical(by.kind, by.value)
        except IdentifierError as error:
            texts = {
                "EMPTY": ("Số giấy tờ trống", "the identifier is empty"),
                "PLACEHOLDER": ("Số giấy tờ là số giả định", "the identifier is a placeholder"),
            }
            default = (f"Số giấy tờ không đúng dạng {by.kind.value}", f"not the form of a {by.kind.value}")
            raise AskRefused("BAD_IDENTIFIER", *texts.get(error.reason, default)) from None
        return self.city_key.patient_token(identifier.kind, identifier.value)

    async def permit(self, caller: Caller, access: AccessInput, token: bytes) -> Permit:
        """What this caller may read of this patient now; raises AccessRefused and GrantStoreUnavailable."""
        grant = (
            await self.grants.find(str(access.evidence)) if access.basis is Basis.GRANT and access.evidence else None
        )
        own = caller.identity and self.city_key.patient_token(caller.identity.kind, caller.identity.value)
        decision = decide(caller, access, token, grant, self.clock(), own_token=own or None)
        if isinstance(decision, Refusal):
            raise AccessRefused(decision)
        return decision

    def _position(self, cursor: object, binding: bytes) -> Position | None:
        if cursor is None:
            return None
        try:
            return self.seal.open(cursor, binding, self.clock())
        except BadCursor:
            raise AskRefused("BAD_CURSOR", "Con trỏ trang không dùng được", "the page cursor cannot be used") from None

    def _posts(
        self, requests: Sequence[NodeRequest], prepared: Prepared, variables: dict[str, Any], permit: Permit
    ) -> dict[str, Post]:
        """What is sent to each node, by its id; all delegations are signed at once."""
        refs = f"{prepared.subquery.prefix}refs"
        bodies: list[bytes] = []
        delegations: list[Delegation] = []
        for request in requests:
            representations = [{"__typename": "Patient", "ref": t.ref} for t in request.targets]
            body = prepared.query_json + _JSON.encode({**variables, refs: representations}) + b"}"
            bodies.append(body)
            delegations.append(
                new_delegation(
                    audience=request.node.id,
                    body=body,
                    now=self.clock(),
                    jti=secrets.token_urlsafe(16),
                    purpose=permit.purpose.value,
                    subjects=tuple(Subject(t.ref, permit.basis.value, permit.evidence) for t in request.targets),
                    allowed=permit.allowed,
                    contract=CONTRACT_VERSION,
                )
            )
        tokens = sign_delegations(self.signing_key, self.kid, delegations)
        return {r.node.id: Post(body, token) for r, body, token in zip(requests, bodies, tokens, strict=True)}


def notices(permit: Permit) -> list[advice.Text]:
    """Constant lines: they depend on the permit alone, the same for every identifier, existing or not (DESIGN 7)."""
    treating = [advice.OTHERS_MAY_EXIST, advice.BREAK_GLASS] if permit.purpose is Purpose.TREAT else []
    within = [] if permit.allowed.all_times else [advice.PERIOD_LIMITED]
    return [*treating, *within, advice.LAW_HIDDEN]
