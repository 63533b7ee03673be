"""The city's GraphQL schema. `patient` is compiled once a document and answered as finished bytes (DESIGN 5.1); the rest is
ordinary Strawberry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import msgspec
import strawberry
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)
from strawberry.types import Info

from gateway.access.callers import Caller, Role
from gateway.access.grants import Grant as StoredGrant
from gateway.answer import Prepared
from gateway.coverage import Assessment
from gateway.errors import ClientError
from gateway.history import CONTRACT_VERSION, History
from gateway.live import Event, Listener, Live
from gateway.live_event import compile_live
from gateway.merge import ConnectionWriter
from gateway.shape import shape
from gateway.subquery import compile_subquery
from gateway.subscription import Subscription
from schema.access import AccessInput, Basis, Grant, GrantInput, PatientBy, Purpose
from schema.clinical import RECORD_TYPES
from schema.connections import connection_fields
from schema.coverage import Coverage, StatementStatus
from schema.elements import Facility, Gender, Period
from schema.execution import Completed, Document, Request
from schema.identity import IdentifierKind
from schema.scalars import PartialDate, schema_config


def patient_type() -> type:
    """The gateway's Patient: one person across hospitals."""
    annotations: dict[str, Any] = {
        "id": strawberry.ID,
        "name": str | None,
        "birth_date": PartialDate | None,
        "gender": Gender | None,
        "allergy_status": StatementStatus,
        "medication_status": StatementStatus,
    }
    fields = connection_fields("gateway")
    for name, value in fields.items():
        value.graphql_name = name
    cls = type("Patient", (), {"__annotations__": annotations, "__module__": __name__, **fields})
    description = (
        "Người bệnh, ghép từ các cơ sở lúc hỏi. A person, assembled at query time; id differs per application."
    )
    return strawberry.type(cls, name="Patient", description=description)


Patient = patient_type()


@strawberry.type(
    description="Câu trả lời về một người bệnh, luôn kèm sổ. An answer about a patient, always with its ledger."
)
class PatientAnswer:
    """patient is null only when no connected facility knows the identifier; coverage then says so."""

    patient: Patient | None  # type: ignore[valid-type]
    coverage: Coverage


@dataclass(slots=True)
class GatewayContext:
    """What one request brings. extensions: what the answer's `extensions` will hold."""

    caller: Caller
    request: Request
    document: Document
    by_post: bool
    history: History
    extensions: dict[str, Any]
    live: Live | None = None
    listener: Listener | None = None


def refused(code: str, vi: str, en: str) -> GraphQLError:
    """An error a client may see."""
    vi, en = vi.rstrip("."), en.rstrip(".")
    return GraphQLError(f"{vi}. {en[:1].upper()}{en[1:]}.", extensions={"code": code})


@strawberry.type
class Query:
    """What may be asked of the city."""

    @strawberry.field(description="Phiên bản hợp đồng. The contract version.")
    def contract(self) -> str:
        return CONTRACT_VERSION

    @strawberry.field(description="Các cơ sở đã đăng ký. The city's registered facilities.")
    async def facilities(self, info: Info) -> list[Facility]:
        city = await info.context.history.registry.snapshot()
        return [Facility(code=f.code, name=f.name) for f in city.facilities.values()]

    @strawberry.field(description="Các giấy đồng ý của chính người hỏi. The caller's own grants, newest first.")
    async def grants(self, info: Info) -> list[Grant]:
        context: GatewayContext = info.context
        token = own_token(context)
        return [grant_value(g) for g in await answering(context.history.grants.of_patient(token))]

    @strawberry.field(description="Bệnh sử qua các cơ sở. A patient's history across facilities.")
    async def patient(self, info: Info, by: PatientBy, access: AccessInput) -> PatientAnswer:
        return await patient_answer(info._raw_info, by, access)  # type: ignore[return-value]


@strawberry.type
class Mutation:
    """What a citizen may change."""

    @strawberry.mutation(description="Người bệnh cho xem hồ sơ. The patient gives a grant to read.")
    async def give_grant(self, info: Info, terms: GrantInput) -> Grant:
        context: GatewayContext = info.context
        return grant_value(await answering(context.history.grants.give(own_token(context), terms)))

    @strawberry.mutation(description="Người bệnh rút lại. The patient withdraws a grant; the next query feels it.")
    async def withdraw_grant(self, info: Info, id: strawberry.ID) -> Grant:  # noqa: A002 - the contract's name
        context: GatewayContext = info.context
        return grant_value(await answering(context.history.grants.withdraw(own_token(context), str(id))))


async def subscribe_history(
    _: Any, info: GraphQLResolveInfo[Any], by: dict[str, Any], access: dict[str, Any], **_page: Any
) -> AsyncGenerator[Event, None]:
    """graphql-core's source of `history`; first and filter are read from the compiled selection."""
    context: GatewayContext = info.context
    if context.live is None or context.listener is None:
        raise refused("SUBSCRIPTION_UNSUPPORTED", "Ở đây không nghe được", "nothing can be listened to here")
    document, raw = context.document, context.document.variables(context.request)
    booleans, scope = document.scope(raw)
    key = (context.request.operation_name, info.path.key, booleans)
    known = document.plans.get(key)
    if known is None:
        nodes = tuple(info.field_nodes)
        check_identifier(info, nodes)
        known = document.plans[key] = compile_live(scope, info.operation, str(info.path.key), nodes)
    check_coverage(context, known.tells_coverage)
    events: AsyncGenerator[Event, None] = await answering(
        context.live.open(context.listener, *about(by, access), known, raw)
    )
    return events


async def patient_answer(info: GraphQLResolveInfo[Any], by: PatientBy, access: AccessInput) -> Completed:
    """The finished answer of one `patient` field, and its ledger in `extensions.coverage`."""
    context: GatewayContext = info.context
    if not context.by_post:
        raise refused("POST_REQUIRED", "Hồ sơ chỉ hỏi bằng POST", "clinical queries are sent by POST")
    raw = context.document.variables(context.request)
    prepared = prepare(context, info, raw)
    body, ledger = await answering(context.history.answer(context.caller, by, access, prepared, raw))
    context.extensions.setdefault("coverage", {})[info.path.key] = mirrored(ledger)
    return Completed(msgspec.Raw(body))


def mirrored(ledger: Assessment) -> dict[str, Any]:
    """The ledger in `extensions.coverage`."""
    return {
        "completeness": ledger.completeness.value,
        "facilities": [{"code": x.facility, "outcome": x.outcome.value, "reason": x.reason} for x in ledger.located],
        "behind": len(ledger.behind),
    }


def resolve_patient(_: Any, info: GraphQLResolveInfo[Any], by: dict[str, Any], access: dict[str, Any]) -> Any:
    """graphql-core's resolver of `patient`: makes the two inputs by hand, which Strawberry does by walking their types
    anew at each call, for a tenth of the gateway's whole cost."""
    return patient_answer(info, *about(by, access))


def about(by: dict[str, Any], access: dict[str, Any]) -> tuple[PatientBy, AccessInput]:
    """The two inputs of a clinical field."""
    evidence = access.get("evidence")
    given = AccessInput(purpose=Purpose(access["purpose"]), basis=Basis(access["basis"]), evidence=evidence)
    return PatientBy(kind=IdentifierKind(by["kind"]), value=by["value"]), given


async def answering(work: Any) -> Any:
    """Await, turning the gateway's own refusals into GraphQL errors."""
    try:
        return await work
    except ClientError as error:
        raise refused(error.code, error.vi, error.en) from None


def own_token(context: GatewayContext) -> bytes:
    """The patient token of a citizen's own identity."""
    caller = context.caller
    if caller.role is not Role.CITIZEN or caller.identity is None:
        raise refused("ACCESS_DENIED", "Chỉ chính người bệnh làm được việc này", "only the patient can do this")
    return context.history.city_key.patient_token(caller.identity.kind, caller.identity.value)


def grant_value(grant: StoredGrant) -> Grant:
    """The stored grant as the contract shows it."""
    return Grant(
        id=strawberry.ID(grant.id),
        grantee_facility=grant.grantee_facility,
        grantee_licence=grant.grantee_licence,
        kinds=None if grant.kinds is None else sorted(grant.kinds, key=lambda k: k.value),
        period=Period(start=_date(grant.period_from), end=_date(grant.period_to)),
        created_at=local_time(grant.created_at),
        expires_at=local_time(grant.expires_at),
        withdrawn_at=None if grant.withdrawn_at is None else local_time(grant.withdrawn_at),
        vouched_by=grant.vouched_by,
        version=grant.version,
    )


def prepare(context: GatewayContext, info: GraphQLResolveInfo[Any], raw: dict[str, Any]) -> Prepared:
    """The compiled selection of this `patient` field, from the document's plans where it was compiled before."""
    document = context.document
    booleans, scope = document.scope(raw)
    key = (context.request.operation_name, info.path.key, booleans)
    known = document.plans.get(key)
    if known is None:
        nodes = tuple(info.field_nodes)
        check_identifier(info, nodes)
        subquery = compile_subquery(scope, info.operation, nodes)
        coverage = tuple((s.key, shape(scope, s)) for s in subquery.answer if s.name == "coverage")
        query_json = b'{"query":' + msgspec.json.encode(subquery.text) + b',"variables":'
        writers = tuple(ConnectionWriter(scope, c) for c in subquery.connections)
        known = document.plans[key] = Prepared(subquery, query_json, coverage, writers)
    check_coverage(context, known.tells_coverage)
    return known


def check_identifier(info: GraphQLResolveInfo[Any], nodes: tuple[FieldNode, ...]) -> None:
    """Raises IDENTIFIER_INLINE."""
    for argument in nodes[0].arguments or ():
        if argument.name.value == "by" and not _by_variable(argument.value, info.operation):
            raise refused(
                "IDENTIFIER_INLINE",
                "Số giấy tờ chỉ được truyền bằng biến",
                "an identifier may only travel as a variable",
            )


def check_coverage(context: GatewayContext, told: bool) -> None:
    """Raises COVERAGE_NOT_SELECTED unless the client reads how complete its answer is."""
    if not told and not context.caller.reads_extensions:
        raise refused(
            "COVERAGE_NOT_SELECTED",
            "Hãy chọn coverage { completeness }: câu trả lời có thể thiếu",
            "select coverage { completeness }: an answer may be incomplete",
        )


def _by_variable(value: ValueNode | None, operation: OperationDefinitionNode) -> bool:
    """Whether the identifier travels as a variable, and one without a default: that would stand in the text as well."""
    if isinstance(value, ObjectValueNode):
        value = next((f.value for f in value.fields if f.name.value == "value"), None)
    if not isinstance(value, VariableNode):
        return False
    name = value.name.value
    declared = [d for d in operation.variable_definitions or () if d.variable.name.value == name]
    return all(d.default_value is None for d in declared)


def _date(value: str | None) -> PartialDate | None:
    return None if value is None else PartialDate(value)


def local_time(seconds: float) -> PartialDate:
    """Unix seconds as a PartialDate in Vietnam's local time."""
    from datetime import datetime, timedelta, timezone

    return PartialDate(datetime.fromtimestamp(seconds, timezone(timedelta(hours=7))).isoformat(timespec="seconds"))


def city_schema() -> strawberry.Schema:
    """The gateway's schema; the record types are named so that the Record interface finds them."""
    schema = strawberry.Schema(Query, Mutation, Subscription, types=list(RECORD_TYPES.values()), config=schema_config())
    query, subscription = schema._schema.query_type, schema._schema.subscription_type
    assert query is not None and subscription is not None
    query.fields["patient"].resolve = resolve_patient
    subscription.fields["history"].subscribe = subscribe_history
    return schema


def sdl() -> str:
    """The printed schema, as kept in schema/gateway.graphql."""
    return city_schema().as_str() + "\n"
