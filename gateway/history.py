"""One patient's history, start to end: the table of contents of a query. Wiring comes from app.py; stages are their own files."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
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
from gateway.errors import ClientError, KeyBehind
from gateway.identity import CityKey
from gateway.key_ring import KeyRing, LiveKeys
from gateway.locator import People
from gateway.plan import NodeRequest, page_sizes, plan_query, request_variables
from gateway.registry import City, Registry
from gateway.scatter import Post, Slice, scatter, sender
from gateway.settings import Settings
from gateway.transport import Transport
from schema.access import AccessInput, Basis, PatientBy, Purpose
from schema.delegation import Delegation, Subject, new_delegation, sign_delegations
from schema.elements import RecordKind
from schema.identity import STRONG, IdentifierError, IdentifierKind, canonical
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
    _seal: tuple[CityKey, CursorSeal] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.kid = key_id(self.signing_key.public_key())

    async def answer(
        self, caller: Caller, by: PatientBy, access: AccessInput, prepared: Prepared, raw: Mapping[str, Any]
    ) -> tuple[bytes, Assessment]:
        """The JSON of a PatientAnswer and its ledger; raises ClientError."""
        deadline = time.monotonic() + self.settings.request_deadline_seconds
        city = await self.registry.snapshot()
        keys = self._keys(city)
        tokens = patient_tokens(keys, by)
        token = tokens[0]  # under the key that stays the same while another is brought in
        permit = await self._permit(caller, access, keys, tokens)
        seal = self._cursors(keys.primary)
        sizes = page_sizes(prepared.subquery.connections, raw)
        bound = binding_of(token, caller.issuer, caller.subject, access.purpose.value)
        bindings = tuple(bound + c.binding(raw) for c in prepared.subquery.connections)
        after = tuple(
            self._position(seal, c.after(raw), binding)
            for c, binding in zip(prepared.subquery.connections, bindings, strict=True)
        )
        choice = await self.people.find(tokens)
        allowed = permit.allowed.kinds
        permitted = None if allowed is None else frozenset(RecordKind(k) for k in allowed)
        plan = plan_query(prepared.subquery, raw, choice, city, permitted)
        variables = request_variables(prepared.subquery, raw, sizes, [p.text() if p else None for p in after])
        send = sender(
            self.transport,
            self._posts(plan.requests, prepared, variables, permit),
            deadline,
            self.settings.node_deadline_seconds,
            self.settings.max_response_bytes,
        )
        pages = tuple(Slice(size, p.key if p else None) for size, p in zip(sizes, after, strict=True))
        results = await scatter(plan, send, prepared.subquery, pages, deadline)
        now = datetime.fromtimestamp(self.clock(), UTC)
        ledger = assess(plan, results, city, prepared.subquery, now, self.settings.locator_fresh_seconds)
        asked = Asked(
            raw=raw,
            city=city,
            sizes=sizes,
            bindings=bindings,
            patient_id=keys.primary.pairwise_id(caller.application, token),
            notices=notices(permit, by.kind),
            seal=seal,
            expires=int(self.clock()) + LIFE_SECONDS,
            all_times=permit.allowed.all_times,
        )
        return write_answer(prepared, asked, results, ledger), ledger

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

    def _position(self, seal: CursorSeal, cursor: object, binding: bytes) -> Position | None:
        if cursor is None:
            return None
        try:
            return seal.open(cursor, binding, self.clock())
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


def notices(permit: Permit, kind: IdentifierKind) -> list[advice.Text]:
    """Constant lines: they depend on the permit and the kind of number alone, the same for every identifier, existing or not (DESIGN 7)."""
    treating = [advice.OTHERS_MAY_EXIST, advice.BREAK_GLASS] if permit.purpose is Purpose.TREAT else []
    within = [] if permit.allowed.all_times else [advice.PERIOD_LIMITED]
    weak = [] if kind in STRONG else [advice.WEAK_NUMBER]
    return [*treating, *weak, *within, advice.LAW_HIDDEN]
