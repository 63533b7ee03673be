"""Inquiries -> calls: what each node is sent, and on whose behalf. One patient is one call a node; patients of one operation
that are asked the same share calls (DESIGN 5, many patients). Signing happens here, sending in sending.py."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.access.decide import Permit
from gateway.answer import Prepared
from gateway.city.registry import City
from gateway.cursor import CursorSeal, Place, Walk
from gateway.identity.choice import Choice
from gateway.identity.city_key import CityKey
from gateway.plan import NodeRequest, QueryPlan, Target, pin, request_variables
from gateway.reading import Slice
from gateway.scatter import NodeResult
from gateway.sending import Post
from gateway.walk import place_for
from schema.delegation import Allowed, Delegation, Subject, new_delegation, sign_delegations
from schema.messages import CONTRACT_VERSION

PATIENTS_A_CALL = 40  # the delegation names each, and travels in one header line
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class Inquiry:
    """One `patient` field, before anyone is asked. token: the patient's under key; sizes, bindings, walks: one a list."""

    prepared: Prepared
    raw: dict[str, Any]
    key: CityKey
    seal: CursorSeal
    token: bytes
    permit: Permit
    sizes: tuple[int, ...]
    bindings: tuple[bytes, ...]
    walks: tuple[Walk | None, ...]
    city: City
    choice: Choice
    plan: QueryPlan

    def places(self, node_id: str) -> list[Place | None]:
        """Below which place this node is asked, of each list."""
        return [place_for(walk, node_id) for walk in self.walks]

    def variables(self, places: Sequence[Place | None]) -> dict[str, Any]:
        """The sub-query's variables, but for the refs."""
        return request_variables(self.prepared.subquery, self.raw, self.sizes, places)

    def taking_part(self, results: Iterable[NodeResult]) -> dict[bytes, None]:
        """The pins of the rows that have their part in this page: not those withheld, nor copies that heed took away."""
        if not self.city.warehouses:  # heed takes nothing of anybody else's
            return dict.fromkeys(pin(row, self.city) for row in self.choice.kept)
        asked = {(r.node.id, t.ref) for r in self.plan.requests for t in r.targets}
        gone = asked - {(r.request.node.id, t.ref) for r in results for t in r.request.targets}
        kept = (row for row in self.choice.kept if (row.node_id, row.ref) not in gone)
        return dict.fromkeys(pin(row, self.city) for row in kept)

    def going_on(self, expires: int, here: Callable[[], Collection[bytes]]) -> tuple[Walk | None, ...]:
        """The walks as the cursors of this page begin with them. Who missed a page has no part in those below it either."""
        if not any(self.walks):
            return self.walks
        still = here()
        return tuple(
            walk and msgspec.structs.replace(walk, expires=expires, pinned=tuple(p for p in walk.pinned if p in still))
            for walk in self.walks
        )


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One request to one node. parts: the inquiries it serves, each with its own targets; inquiry: the first of them, which
    they equal in everything that is sent but the patients. variables: their JSON, but for the refs."""

    inquiry: Inquiry
    places: list[Place | None]
    variables: bytes
    parts: list[tuple[Inquiry, NodeRequest]]
    subjects: dict[str, Subject] = field(default_factory=dict)
    facilities: dict[str, str] = field(default_factory=dict)

    @property
    def request(self) -> NodeRequest:
        """The node and all patients of the call."""
        if len(self.parts) == 1:
            return self.parts[0][1]
        one = self.parts[0][1]
        return replace(one, targets=tuple(Target(code, ref) for ref, code in self.facilities.items()))

    @property
    def pages(self) -> tuple[Slice, ...]:
        """What is asked of each list."""
        return tuple(map(Slice, self.inquiry.sizes, self.places))

    def takes(self, inquiry: Inquiry, request: NodeRequest) -> bool:
        """Adds the inquiry's patients, unless one stands here on another basis or the call is full."""
        basis, evidence = inquiry.permit.basis.value, inquiry.permit.evidence
        mine = {t.ref: Subject(t.ref, basis, evidence) for t in request.targets}
        if self.parts:
            if any(self.subjects.get(ref, subject) != subject for ref, subject in mine.items()):
                return False
            if len(self.subjects.keys() | mine.keys()) > PATIENTS_A_CALL:
                return False
        self.subjects.update(mine)
        self.facilities.update({t.ref: t.facility for t in request.targets})
        self.parts.append((inquiry, request))
        return True


def calls_of(inquiries: Sequence[Inquiry]) -> list[Call]:
    """The fewest calls that ask all of this."""
    alike: dict[tuple[str, bytes, bytes, str, Allowed], list[Call]] = {}
    alone: list[Call] = []
    for inquiry in inquiries:
        late = any(walk is not None and walk.late for walk in inquiry.walks)
        places, sent = [], b""
        for request in inquiry.plan.requests:
            if late or not sent:  # else every node is asked from the same place
                places = inquiry.places(request.node.id)
                sent = _JSON.encode(inquiry.variables(places))
            if len(inquiries) == 1:
                open_calls = [Call(inquiry, places, sent, [])]
                alone += open_calls
            else:
                permit = inquiry.permit
                key = (request.node.id, inquiry.prepared.query_json, sent, permit.purpose.value, permit.allowed)
                open_calls = alike.setdefault(key, [])
            if not any(call.takes(inquiry, request) for call in open_calls):
                open_calls.append(Call(inquiry, places, sent, []))
                open_calls[-1].takes(inquiry, request)
    return alone or [call for calls in alike.values() for call in calls]


def posts_of(calls: Sequence[Call], key: Ed25519PrivateKey, kid: str, now: float) -> list[Post]:
    """What is sent, call by call; all delegations are signed at once. now: Unix seconds."""
    bodies: list[bytes] = []
    delegations: list[Delegation] = []
    for call in calls:
        prepared, permit = call.inquiry.prepared, call.inquiry.permit
        representations = [{"__typename": "Patient", "ref": ref} for ref in call.subjects]
        name, reduced = f"{prepared.subquery.prefix}refs", call.parts[0][1].reduced
        if reduced is not None:
            body = reduced.body({**call.inquiry.variables(call.places), name: representations})
        else:
            between = b"," if len(call.variables) > 2 else b""
            refs = _JSON.encode(representations)
            variables = b'%b%b"%b":%b}' % (call.variables[:-1], between, name.encode(), refs)
            body = prepared.query_json + variables + b"}"
        bodies.append(body)
        delegations.append(
            new_delegation(
                audience=call.parts[0][1].node.id,
                body=body,
                now=now,
                jti=secrets.token_urlsafe(16),
                purpose=permit.purpose.value,
                subjects=tuple(call.subjects.values()),
                allowed=permit.allowed,
                contract=CONTRACT_VERSION,
            )
        )
    return list(map(Post, bodies, sign_delegations(key, kid, delegations)))
