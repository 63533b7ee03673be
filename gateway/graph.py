"""The city's GraphQL schema. `patient` is compiled once a document and answered as finished bytes (DESIGN 5.1); the rest is
ordinary Strawberry."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import strawberry
from aiodataloader import DataLoader
from graphql import GraphQLResolveInfo
from strawberry.types import Info

from gateway.access.callers import Caller, Role
from gateway.access.grant_type import grant_value
from gateway.answer import Answer
from gateway.errors import ClientError
from gateway.history import History, Question
from gateway.ledger import mirrored
from gateway.live.event import compile_live
from gateway.live.live import Event, Listener, Live
from gateway.live.subscription import Subscription
from gateway.prepare import check_coverage, check_identifier, prepared_of, refused
from gateway.strictness import LENIENT, Strictness
from schema.access import AccessInput, Basis, Grant, GrantInput, PatientBy, Purpose
from schema.clinical import RECORD_TYPES
from schema.connections import connection_fields
from schema.coverage import Coverage, OnIncomplete, StatementStatus
from schema.elements import Facility, Gender
from schema.execution import Completed, Document, Request, Result
from schema.identity import IdentifierKind
from schema.messages import CONTRACT_VERSION
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
    """patient is null only when no facility is located for the identifier; coverage then says so."""

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
    live: Live | None = None
    listener: Listener | None = None
    _together: DataLoader[Question, Answer] | None = None

    def whole(self, result: Result) -> Result:
        """The operation's result with the ledgers and single facilities' errors of its fields."""
        if not self.extensions:
            return result
        return Result(result.data, [*result.errors, *self.errors], result.request_error, self.extensions)

    async def answer(self, question: Question) -> Answer:
        """The answer to one field; several of one operation are asked together, and equal ones once."""
        if self.patients == 1:
            return await self.history.answer(question)
        if self._together is None:
            self._together = DataLoader(self.history.answers, cache=False)
        return await self._together.load(question)


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


async def subscribe_history(
    _: Any, info: GraphQLResolveInfo[Any], by: dict[str, Any], access: dict[str, Any], **_page: Any
) -> AsyncGenerator[Event, None]:
    """graphql-core's source of `history`; first and filter are read from the compiled selection."""
    context: GatewayContext = info.context
    if context.live is None or context.listener is None:
        raise refused("SUBSCRIPTION_UNSUPPORTED", "Ở đây không nghe được", "nothing can be listened to here")
    raw = context.document.variables(context.request)
    selection = compiled(context, info, raw, live=True)
    question = Question(context.caller, *about(by, access), selection.prepared, raw)
    events: AsyncGenerator[Event, None] = await answering(context.live.open(context.listener, question, selection))
    return events


async def patient_answer(
    info: GraphQLResolveInfo[Any], by: PatientBy, access: AccessInput, strictness: Strictness
) -> Completed:
    """The finished answer of one `patient` field, and its ledger in `extensions.coverage`, also where it fails."""
    context: GatewayContext = info.context
    if not context.by_post:
        raise refused("POST_REQUIRED", "Hồ sơ chỉ hỏi bằng POST", "clinical queries are sent by POST")
    raw = context.document.variables(context.request)
    prepared = compiled(context, info, raw)
    if context.patients > PATIENTS_LIMIT:
        raise refused(
            "TOO_MANY_PATIENTS",
            f"Mỗi lần hỏi tối đa {PATIENTS_LIMIT} người bệnh",
            f"at most {PATIENTS_LIMIT} patients may be asked for at once",
        )
    question = Question(context.caller, by, access, prepared, raw, strictness)
    answer: Answer = await answering(context.answer(question))
    context.extensions.setdefault("coverage", {})[info.path.key] = mirrored(answer.coverage)
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
    fails = onIncomplete is not None and OnIncomplete(onIncomplete) is OnIncomplete.FAIL
    strict = fails or require or partialErrors
    strictness = Strictness(fails, frozenset(require or ()), partialErrors) if strict else LENIENT
    return patient_answer(info, *about(by, access), strictness)


def about(by: dict[str, Any], access: dict[str, Any]) -> tuple[PatientBy, AccessInput]:
    """The two inputs of a clinical field."""
    evidence = access.get("evidence")
    given = AccessInput(purpose=Purpose(access["purpose"]), basis=Basis(access["basis"]), evidence=evidence)
    return PatientBy(kind=IdentifierKind(by["kind"]), value=by["value"]), given


def compiled(context: GatewayContext, info: GraphQLResolveInfo[Any], raw: dict[str, Any], live: bool = False) -> Any:
    """The compiled selection of this clinical field (a Prepared, a LiveSelection of `history`), from the document's plans
    where it was compiled before."""
    document = context.document
    booleans, scope = document.scope(raw)
    key = (context.request.operation_name, info.path.key, booleans)
    known = document.plans.get(key)
    if known is None:
        nodes, operation = tuple(info.field_nodes), info.operation
        check_identifier(operation, nodes)
        known = document.plans[key] = (
            compile_live(scope, operation, str(info.path.key), nodes) if live else prepared_of(scope, operation, nodes)
        )
    check_coverage(known.tells_coverage, context.caller.reads_extensions)
    return known


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
