"""The city's GraphQL schema. `patient` is compiled once a document and answered as finished bytes (DESIGN 5.1); the rest is
ordinary Strawberry."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any

import msgspec
import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLError, GraphQLResolveInfo, ObjectValueNode, OperationDefinitionNode, ValueNode, VariableNode
from strawberry.types import Info

from gateway.access.callers import Caller, Role
from gateway.access.grants import Grant as StoredGrant
from gateway.answer import Answer, Prepared
from gateway.calls import CONTRACT_VERSION
from gateway.connection import ConnectionWriter
from gateway.errors import ClientError
from gateway.history import History, Question
from gateway.shape import shape
from gateway.strictness import LENIENT, Strictness
from gateway.subquery import SubQuery, compile_subquery
from schema.access import AccessInput, Basis, Grant, GrantInput, PatientBy, Purpose
from schema.clinical import RECORD_TYPES
from schema.connections import connection_fields
from schema.coverage import Coverage, OnIncomplete, StatementStatus
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


PATIENTS_LIMIT = 60  # a ward, not a district
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
    """What one request brings. extensions: what the answer's `extensions` will hold. errors: those that stand beside data."""

    caller: Caller
    request: Request
    document: Document
    by_post: bool
    history: History
    extensions: dict[str, Any]
    patients: int = 0  # `patient` fields of this operation; all are resolved before the first of them is awaited
    errors: list[dict[str, Any]] = field(default_factory=list)
    _together: DataLoader[Question, Answer] | None = None

    async def answer(self, question: Question) -> Answer:
        """The answer to one field; several of one operation are asked together, and equal ones once."""
        if self.patients == 1:
            return await self.history.answer(question)
        if self._together is None:
            self._together = DataLoader(self.history.answers, cache=False)
        return await self._together.load(question)


def refused(code: str, vi: str, en: str, **more: Any) -> GraphQLError:
    """An error a client may see; `more` goes into its extensions."""
    vi, en = vi.rstrip("."), en.rstrip(".")
    return GraphQLError(f"{vi}. {en[:1].upper()}{en[1:]}.", extensions={"code": code, **more})


ON_INCOMPLETE = strawberry.argument(
    description="FAIL: thiếu thì báo lỗi, không trả dữ liệu. An INCOMPLETE answer becomes an error."
)
REQUIRE = strawberry.argument(
    description="Mã cơ sở bắt buộc phải trả lời. Codes of facilities without whose answer there is none."
)
PARTIAL_ERRORS = strawberry.argument(
    description="Mỗi cơ sở lỗi thêm một dòng trong errors; dữ liệu vẫn giữ. One error a failed facility beside the data."
)


@strawberry.type
class Query:
    """What may be asked of the city."""

    @strawberry.field(description="Phiên bản hợp đồng. The contract version.")
    def contract(self) -> str:
        return CONTRACT_VERSION

    @strawberry.field(description="Các cơ sở đã đăng ký. The city's registered facilities.")
    async def facilities(self, info: Info) -> list[Facility]:
        city = await answering(info.context.history.registry.snapshot())
        return [Facility(code=f.code, name=f.name) for f in city.facilities.values()]

    @strawberry.field(description="Các giấy đồng ý của chính người hỏi. The caller's own grants, newest first.")
    async def grants(self, info: Info) -> list[Grant]:
        context: GatewayContext = info.context
        token = await own_token(context)
        return [grant_value(g) for g in await answering(context.history.grants.of_patient(token))]

    @strawberry.field(description="Bệnh sử qua các cơ sở. A patient's history across facilities.")
    async def patient(
        self,
        info: Info,
        by: PatientBy,
        access: AccessInput,
        on_incomplete: Annotated[OnIncomplete, ON_INCOMPLETE] = OnIncomplete.CONTINUE,
        require: Annotated[list[str] | None, REQUIRE] = None,
        partial_errors: Annotated[bool, PARTIAL_ERRORS] = False,
    ) -> PatientAnswer | None:
        # Null with an error of its own when refused: in a ward list one refusal must not take the others' answers away.
        raise TypeError("resolve_patient answers this field")


@strawberry.type
class Mutation:
    """What a citizen may change."""

    @strawberry.mutation(description="Người bệnh cho xem hồ sơ. The patient gives a grant to read.")
    async def give_grant(self, info: Info, terms: GrantInput) -> Grant:
        context: GatewayContext = info.context
        return grant_value(await answering(context.history.grants.give(await own_token(context), terms)))

    @strawberry.mutation(description="Người bệnh rút lại. The patient withdraws a grant; the next query feels it.")
    async def withdraw_grant(self, info: Info, id: strawberry.ID) -> Grant:  # noqa: A002 - the contract's name
        context: GatewayContext = info.context
        return grant_value(await answering(context.history.grants.withdraw(await own_token(context), str(id))))


async def patient_answer(
    info: GraphQLResolveInfo[Any], by: PatientBy, access: AccessInput, strictness: Strictness
) -> Completed:
    """The finished answer of one `patient` field, and its ledger in `extensions.coverage`, also where it fails."""
    context: GatewayContext = info.context
    if not context.by_post:
        raise refused("POST_REQUIRED", "Hồ sơ chỉ hỏi bằng POST", "clinical queries are sent by POST")
    raw = context.document.variables(context.request)
    prepared = prepare(context, info, raw)
    if context.patients > PATIENTS_LIMIT:
        raise refused(
            "TOO_MANY_PATIENTS",
            f"Mỗi lần hỏi tối đa {PATIENTS_LIMIT} người bệnh",
            f"at most {PATIENTS_LIMIT} patients may be asked for at once",
        )
    question = Question(context.caller, by, access, prepared, raw, strictness)
    answer: Answer = await answering(context.answer(question))
    context.extensions.setdefault("coverage", {})[info.path.key] = answer.coverage
    context.errors += [{**error, "path": [info.path.key]} for error in answer.errors]
    if answer.failure is not None:
        failure = answer.failure
        raise refused(failure.code, failure.vi, failure.en, facilities=failure.facilities)
    return Completed(msgspec.Raw(answer.body))


def resolve_patient(
    _: Any,
    info: GraphQLResolveInfo[Any],
    by: dict[str, Any],
    access: dict[str, Any],
    onIncomplete: Any = None,  # noqa: N803 - the contract's names
    require: list[str] | None = None,
    partialErrors: bool = False,  # noqa: N803
) -> Any:
    """graphql-core's resolver of `patient`: makes the two inputs by hand, which Strawberry does by walking their types
    anew at each call, for a tenth of the gateway's whole cost."""
    info.context.patients += 1
    evidence = access.get("evidence")
    given = AccessInput(purpose=Purpose(access["purpose"]), basis=Basis(access["basis"]), evidence=evidence)
    fails = onIncomplete is not None and OnIncomplete(onIncomplete) is OnIncomplete.FAIL
    strict = fails or require or partialErrors
    strictness = Strictness(fails, frozenset(require or ()), partialErrors) if strict else LENIENT
    return patient_answer(info, PatientBy(kind=IdentifierKind(by["kind"]), value=by["value"]), given, strictness)


async def answering(work: Any) -> Any:
    """Await, turning the gateway's own refusals into GraphQL errors."""
    try:
        return await work
    except ClientError as error:
        raise refused(error.code, error.vi, error.en) from None


async def own_token(context: GatewayContext) -> bytes:
    """The patient token of a citizen's own identity under the newest key; what older grants there are come over to it."""
    caller = context.caller
    if caller.role is not Role.CITIZEN or caller.identity is None:
        raise refused("ACCESS_DENIED", "Chỉ chính người bệnh làm được việc này", "only the patient can do this")
    tokens = context.history.keys.live().tokens(caller.identity.kind, caller.identity.value)
    if len(tokens) > 1:
        await answering(context.history.grants.carry_over(dict.fromkeys(tokens[:-1], tokens[-1])))
    return tokens[-1]


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
        for argument in nodes[0].arguments or ():
            if argument.name.value == "by" and not _by_variable(argument.value, info.operation):
                raise refused(
                    "IDENTIFIER_INLINE",
                    "Số giấy tờ chỉ được truyền bằng biến",
                    "an identifier may only travel as a variable",
                )
        subquery = compile_subquery(scope, info.operation, nodes)
        coverage = tuple((s.key, shape(scope, s)) for s in subquery.answer if s.name == "coverage")
        writers = tuple(ConnectionWriter(scope, c) for c in subquery.connections)
        operation = info.operation
        made = Prepared(subquery, query_json(subquery), coverage, writers)

        @cache
        def comparing() -> Prepared:
            other = compile_subquery(scope, operation, nodes, compare=True)
            return replace(made, subquery=other, query_json=query_json(other))

        known = document.plans[key] = replace(made, comparing=comparing)
    if not known.tells_coverage and not context.caller.reads_extensions:
        raise refused(
            "COVERAGE_NOT_SELECTED",
            "Hãy chọn coverage { completeness }: câu trả lời có thể thiếu",
            "select coverage { completeness }: an answer may be incomplete",
        )
    return known


def query_json(subquery: SubQuery) -> bytes:
    """What a node is sent, up to the variables."""
    return b'{"query":' + msgspec.json.encode(subquery.text) + b',"variables":'


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
    schema = strawberry.Schema(Query, Mutation, types=list(RECORD_TYPES.values()), config=schema_config())
    query = schema._schema.query_type
    assert query is not None
    query.fields["patient"].resolve = resolve_patient
    return schema


def sdl() -> str:
    """The printed schema, as kept in schema/gateway.graphql."""
    return city_schema().as_str() + "\n"
