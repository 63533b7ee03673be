"""A small schema, and running requests on it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import strawberry
from graphql import GraphQLError

from schema.execution import Completed, Executor, Request, Result
from schema.scalars import Decimal, PartialDate, schema_config

CANARY = "CANARY-001090123456"
DONE = {"n": 1, "deep": [{"x": None}]}


@strawberry.type
class Inner:
    n: int
    x: str


@strawberry.type
class Thing:
    name: str

    @strawberry.field
    def done(self) -> Inner:
        return Completed(msgspec.Raw(b'{"n":1}'))  # type: ignore[return-value]

    @strawberry.field
    async def later(self) -> str:
        await asyncio.sleep(0)
        return "later"

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError(CANARY)

    @strawberry.field
    def broken_required(self) -> str:
        raise RuntimeError(CANARY)


@strawberry.input
class Given:
    date: PartialDate | None = None
    amount: Decimal | None = None
    number: int | None = None


@strawberry.type
class Query:
    @strawberry.field
    def done(self, label: str = "") -> Inner:
        return Completed({**DONE, "label": label})  # type: ignore[return-value]

    @strawberry.field
    async def done_later(self) -> Inner:
        await asyncio.sleep(0)
        return Completed(msgspec.Raw(b'{"later":true}'))  # type: ignore[return-value]

    @strawberry.field
    def nothing(self) -> Inner | None:
        return Completed(None)  # type: ignore[return-value]

    @strawberry.field
    def unchecked(self) -> Inner:
        return Completed(None)  # type: ignore[return-value]

    @strawberry.field
    def items(self) -> list[Inner]:
        return [Completed("a"), Inner(n=2, x="y"), Completed({"z": 1})]  # type: ignore[list-item]

    @strawberry.field
    def thing(self) -> Thing:
        return Thing(name="thing")

    @strawberry.field
    def coded(self) -> str:
        raise GraphQLError("Không được. Refused.", extensions={"code": "REFUSED_BY_TEST"})

    @strawberry.field
    def take(self, given: Given | None = None, text: str = "", number: int = 0) -> str:
        return "taken"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def change(self) -> str:
        return "changed"


SCHEMA = strawberry.Schema(Query, Mutation, config=schema_config())


def run(
    query: str, operation: str | None = None, *, executor: Executor | None = None, get: bool = False, **variables: Any
) -> Result:
    made = executor or Executor(SCHEMA)
    return asyncio.run(made.run(Request(query, variables or None, operation), None, queries_only=get))


def data(query: str, operation: str | None = None, **variables: Any) -> Any:
    result = run(query, operation, **variables)
    assert result.errors == []
    return msgspec.json.decode(msgspec.json.encode(result.data))


def code(result: Result) -> str:
    assert len(result.errors) == 1
    return str(result.errors[0]["extensions"]["code"])
