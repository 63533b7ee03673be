"""The subgraph: an Apollo Federation v2 schema whose Patient is compiled, not resolved field by field.

`Patient @key(fields: "ref")` is the only entity. `_entities` compiles the selection once a document (compile.py), runs one
statement a patient and hands the text on as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
import strawberry
from graphql import GraphQLError
from strawberry.federation.schema import FederationAny
from strawberry.types import Info

from node_agent.answer import Ledger, bindings
from node_agent.compile import Compiler, Statement
from node_agent.store.reader import DeadlineOver, Reader
from schema.connections import connection_fields
from schema.coverage import NodeLedger
from schema.delegation import Delegation
from schema.elements import Gender
from schema.execution import Completed, Document, Request
from schema.messages import CONTRACT_VERSION
from schema.scalars import PartialDate, schema_config


def patient_type() -> type:
    """The node's Patient: who the facility says it is, its ledger, and a connection a record kind."""
    fields = connection_fields("node")
    annotations: dict[str, Any] = {
        "ref": strawberry.ID,
        "name": str | None,
        "birth_date": PartialDate | None,
        "gender": Gender | None,
        "ledger": NodeLedger,
    }
    for name, value in fields.items():
        value.graphql_name = name
    cls = type("Patient", (), {"__annotations__": annotations, "__module__": __name__, **fields})
    description = (
        "Một người bệnh như một cơ sở biết. A person as one facility knows them; ref is the node's own opaque key."
    )
    return strawberry.federation.type(cls, name="Patient", keys=["ref"], description=description)


@strawberry.type(description="Nút của một bệnh viện. A hospital's node.")
class Query:
    """Clinical data is reached by `_entities` only, under a delegation."""

    @strawberry.field(description="Phiên bản hợp đồng. The contract version this node speaks.")
    def contract(self) -> str:
        return CONTRACT_VERSION


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What one request brings: the delegation it came under, its text, and the time it has."""

    delegation: Delegation
    request: Request
    document: Document
    reader: Reader
    ledger: Ledger
    seconds: float


class Subgraph(strawberry.federation.Schema):
    """The schema; `_entities` answers for patients under the delegation's subjects."""

    async def entities_resolver(self, info: Info, representations: list[FederationAny]) -> list[FederationAny]:  # type: ignore[override]
        """One finished entity a representation, null where the ref is unknown here."""
        context: NodeContext = info.context
        subjects = {s.ref for s in context.delegation.subjects}
        refs = [_ref(r) for r in representations]
        if not subjects.issuperset(refs):
            raise GraphQLError("A patient outside the delegation was asked for.", extensions={"code": "NOT_DELEGATED"})
        raw = context.document.variables(context.request)
        statement = compiled(context, info, raw)
        common = bindings(statement, raw, context.delegation.allowed)
        out: list[Any] = []
        end = time.monotonic() + context.seconds
        for ref in refs:
            try:
                common["ref"] = ref
                values = [common[name] for name in statement.parameters]
                row = await context.reader.fetch_one(statement.sql, values, end - time.monotonic())
            except DeadlineOver:
                raise GraphQLError("The request's time was over.", extensions={"code": "DEADLINE_OVER"}) from None
            out.append(Completed(row and msgspec.Raw(await context.ledger.weave(statement, row))))
        return out


def compiled(context: NodeContext, info: Info, raw: dict[str, Any]) -> Statement:
    """The statement of this `_entities` field, from the document's plans where it was compiled before."""
    document = context.document
    booleans, scope = document.scope(raw)
    key = (context.request.operation_name, info.path.key, booleans)
    statement = document.plans.get(key)
    if statement is None:
        nodes = tuple(info._raw_info.field_nodes)
        compiler = Compiler(context.reader.dialect, scope)
        statement = document.plans[key] = compiler.patient(nodes)
    return statement


def _ref(representation: object) -> str:
    if (
        not isinstance(representation, dict)
        or representation.get("__typename") != "Patient"
        or not isinstance(representation.get("ref"), str)
    ):
        raise GraphQLError(
            'A representation is {__typename: "Patient", ref: …}.', extensions={"code": "BAD_REPRESENTATION"}
        )
    return str(representation["ref"])


Patient = patient_type()


def subgraph() -> Subgraph:
    """The node's schema."""
    return Subgraph(query=Query, types=[Patient], config=schema_config())


def sdl() -> str:
    """The printed schema, as kept in schema/node.graphql."""
    return subgraph().as_str() + "\n"
