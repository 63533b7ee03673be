"""A clinical field of a document -> all that is compiled from it once, and what its document must be to be asked. Pure."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
from graphql import FieldNode, GraphQLError, ObjectValueNode, OperationDefinitionNode, ValueNode, VariableNode

from gateway.answer import Prepared
from gateway.connection import ConnectionWriter
from gateway.errors import bilingual
from gateway.shape import shape
from gateway.subquery import SubQuery, compile_subquery
from schema.selection import Scope


def refused(code: str, vi: str, en: str, **more: Any) -> GraphQLError:
    """An error a client may see; `more` goes into its extensions."""
    return GraphQLError(bilingual(vi, en), extensions={"code": code, **more})


def prepared_of(scope: Scope, operation: OperationDefinitionNode, nodes: tuple[FieldNode, ...]) -> Prepared:
    """Compile the selection of one `patient` response key."""
    subquery = compile_subquery(scope, operation, nodes)
    coverage = tuple((s.key, shape(scope, s)) for s in subquery.answer if s.name == "coverage")
    writers = tuple(ConnectionWriter(scope, c) for c in subquery.connections)
    made = Prepared(subquery, _query_json(subquery), coverage, writers)

    @cache
    def comparing() -> Prepared:
        other = compile_subquery(scope, operation, nodes, compare=True)
        return replace(made, subquery=other, query_json=_query_json(other))

    return replace(made, comparing=comparing)


def _query_json(subquery: SubQuery) -> bytes:
    """What a node is sent, up to the variables."""
    return b'{"query":' + msgspec.json.encode(subquery.text) + b',"variables":'


def check_coverage(told: bool, reads_extensions: bool) -> None:
    """Raises COVERAGE_NOT_SELECTED unless the client reads how complete its answer is."""
    if not told and not reads_extensions:
        raise refused(
            "COVERAGE_NOT_SELECTED",
            "Hãy chọn coverage { completeness }: câu trả lời có thể thiếu",
            "select coverage { completeness }: an answer may be incomplete",
        )


def check_identifier(operation: OperationDefinitionNode, nodes: tuple[FieldNode, ...]) -> None:
    """Raises IDENTIFIER_INLINE."""
    for argument in nodes[0].arguments or ():
        if argument.name.value == "by" and not _by_variable(argument.value, operation):
            raise refused(
                "IDENTIFIER_INLINE",
                "Số giấy tờ chỉ được truyền bằng biến",
                "an identifier may only travel as a variable",
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
