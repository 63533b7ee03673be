"""One GraphQL executor for both sides: parse and validate once, run on graphql-core, and let `Completed` values pass.

`Completed(value)` is the hook of DESIGN 5.1: a resolver returns it and graphql-core takes the value as the finished
JSON of that field. It skips every check, null in a non-null field included, so what is wrapped must already be right.
The overridden method is not public API of graphql-core: the version is pinned and tests/schema/test_execution.py guards it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import strawberry
from cachetools import LRUCache
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute,
    parse,
    validate,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.bad_input import coded as _coded
from schema.bad_input import silent, syntax_refusal, validation_refusal, variable_refusal
from schema.selection import Scope, condition_variables, defaults_of, fragments_of

PLANS_LIMIT = 64  # of one document: n Boolean variables of @include/@skip make 2^n plans
# The standard introspection query has some 230. Each is answered for every type of the schema, on the event loop.
INTROSPECTED_LIMIT = 400
NO_STREAM = "Subscriptions are served over graphql-transport-ws, and by POST that accepts text/event-stream."
LOG = logging.getLogger("hanoi_health_graph.execution")


class Completed:
    """A field's finished JSON value; graphql-core does not look inside."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class CompletingExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's executor that leaves Completed values alone."""

    def complete_value(
        self,
        return_type: Any,
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        if type(result) is Completed:
            return result.value
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)


@dataclass(frozen=True, slots=True)
class Request:
    """A GraphQL request as it came: variables are raw JSON values."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


@dataclass(slots=True)
class Document:
    """A parsed text: either errors, or the document and its operations. `plans` is room for what a side compiles from it."""

    text: str
    ast: DocumentNode | None
    errors: list[GraphQLError]
    operations: dict[str | None, OperationDefinitionNode]
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    plans: LRUCache[Any, Any] = field(default_factory=lambda: LRUCache(PLANS_LIMIT))

    def variables(self, request: Request) -> dict[str, Any]:
        """Raw variables with the operation's defaults filled in."""
        name = request.operation_name
        operation = self.operations[name] if name is not None else next(iter(self.operations.values()))
        return {**defaults_of(operation), **(request.variables or {})} if operation.variable_definitions else {}

    def scope(self, variables: Mapping[str, Any]) -> tuple[tuple[bool, ...], Scope]:
        """How to read selections of this document under these variables; the first part keys what is compiled from it."""
        values = tuple(bool(variables.get(name)) for name in self.conditions)
        return values, Scope(self.fragments, dict(zip(self.conditions, values, strict=True)))


@dataclass(frozen=True, slots=True)
class Result:
    """data is absent (request_error) when the request could not be executed at all (GraphQL over HTTP, request errors)."""

    data: Any
    errors: list[dict[str, Any]]
    request_error: bool = False
    extensions: dict[str, Any] | None = None


class Executor:
    """Runs requests against one schema. Documents are cached by their text; nothing about a caller or patient is."""

    def __init__(
        self, schema: strawberry.Schema, documents: int = 1_000, max_tokens: int = 5_000, max_depth: int = 20
    ) -> None:
        self.schema = schema._schema
        # Sized by text: a thousand documents as long as a request may be would not fit into memory.
        self.documents: LRUCache[str, Document] = LRUCache(documents * 4_096, lambda d: 4_096 + len(d.text))
        self.max_tokens, self.max_depth = max_tokens, max_depth

    def document(self, text: str) -> Document:
        """The parsed and validated document of this text, from the cache where it was seen before."""
        known = self.documents.get(text)
        if known is None:
            known = self._read(text)
            if self.documents.getsizeof(known) <= self.documents.maxsize:
                self.documents[text] = known
        return known

    def _read(self, text: str) -> Document:
        try:
            ast = parse(text, max_tokens=self.max_tokens, no_location=False)
            if _depth(ast) > self.max_depth:
                deep = GraphQLError(f"The document is nested deeper than {self.max_depth} levels.")
                return Document(text, None, [_coded(deep, "GRAPHQL_TOO_DEEP")], {})
            if _introspected(ast) > INTROSPECTED_LIMIT:
                wide = GraphQLError(f"The document introspects with more than {INTROSPECTED_LIMIT} fields.")
                return Document(text, None, [_coded(wide, "GRAPHQL_VALIDATION_FAILED")], {})
            errors = [validation_refusal(e, ast) for e in validate(self.schema, ast, max_errors=20)]
        except GraphQLSyntaxError as error:
            return Document(text, None, [syntax_refusal(error)], {})
        except RecursionError:
            return Document(
                text, None, [_coded(GraphQLError("The document is nested too deeply."), "GRAPHQL_TOO_DEEP")], {}
            )
        operations = {
            d.name.value if d.name else None: d for d in ast.definitions if isinstance(d, OperationDefinitionNode)
        }
        return Document(text, ast, errors, operations, fragments_of(ast), condition_variables(ast))

    def operation(self, request: Request) -> OperationDefinitionNode | None:
        """The operation a request names, or its only one; None where there is none or the choice is open."""
        operations = self.document(request.query).operations
        if request.operation_name is None and len(operations) == 1:
            return next(iter(operations.values()))
        return operations.get(request.operation_name) if request.operation_name is not None else None

    async def run(self, request: Request, context: Any, *, queries_only: bool = False) -> Result:
        """Execute a request. Every failure is in the result; nothing is raised but cancellation."""
        found = self._executable(request)
        if isinstance(found, Result):
            return found
        ast, operation = found
        if operation.operation is OperationType.SUBSCRIPTION:
            return refuse(_coded(GraphQLError(NO_STREAM), "SUBSCRIPTION_UNSUPPORTED"))
        if queries_only and operation.operation is not OperationType.QUERY:
            return refuse(_coded(GraphQLError("Only queries may be sent by GET."), "POST_REQUIRED"))
        answer = execute(
            self.schema,
            ast,
            context_value=context,
            variable_values=request.variables,
            operation_name=request.operation_name,
            executor_class=CompletingExecutor,
            hide_suggestions=True,
            operation_extensions=None,
        )
        done = await answer if isawaitable(answer) else answer
        errors = [_public(e if e.path else variable_refusal(e, operation)) for e in done.errors or ()]
        return Result(
            done.data, errors, request_error=done.data is None and bool(errors) and not any("path" in e for e in errors)
        )

    async def subscribe(self, request: Request, context: Any) -> AsyncIterable[Any] | Result:
        """The events that a subscription's field gives, as they are: each is the finished value of that field, so nothing
        is executed for one of them. A Result where there is nothing to listen to.
        """
        found = self._executable(request)
        if isinstance(found, Result):
            return found
        ast, operation = found
        if operation.operation is not OperationType.SUBSCRIPTION:
            return await self.run(request, context)
        values, name = request.variables, request.operation_name
        options = {"hide_suggestions": True, "operation_extensions": None}
        made = CompletingExecutor.build(self.schema, ast, None, context, values, name, **options)  # type: ignore[arg-type]
        if isinstance(made, list):
            return refuse(*(variable_refusal(e, operation) for e in made))
        events = create_source_event_stream(made)
        ready = await events if isawaitable(events) else events
        if isinstance(ready, ExecutionResult):
            return refuse(*(e if e.path else variable_refusal(e, operation) for e in ready.errors or ()))
        return ready

    def _executable(self, request: Request) -> tuple[DocumentNode, OperationDefinitionNode] | Result:
        document = self.document(request.query)
        if document.errors or document.ast is None:
            return refuse(*document.errors)
        operation = self.operation(request)
        if operation is None:
            unknown = GraphQLError("Name one of the document's operations in operationName.")
            return refuse(_coded(unknown, "OPERATION_UNKNOWN"))
        return document.ast, operation


def refuse(*errors: GraphQLError) -> Result:
    """A request error: no data, only these errors."""
    return Result(None, [_public(e) for e in errors], request_error=True)


def _depth(ast: DocumentNode) -> int:
    """The most fields one below another. Each fragment is measured once; a cycle counts as nothing, validation refuses it."""
    fragments = fragments_of(ast)
    known: dict[str, int] = {}

    def walk(node: Any) -> int:
        deepest = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in known:
                    known[name] = 0
                    known[name] = walk(fragments[name])
                deepest = max(deepest, known.get(name, 0))
            else:
                deepest = max(deepest, walk(selection) + isinstance(selection, FieldNode))
        return deepest

    return max((walk(d) for d in ast.definitions if hasattr(d, "selection_set")), default=0)


def _introspected(ast: DocumentNode) -> int:
    """The fields below __schema and __type, fragments counted as often as they are spread. A cycle counts as in _depth."""
    fragments = fragments_of(ast)
    known: dict[tuple[str, bool], int] = {}

    def walk(node: Any, inside: bool) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                key = (selection.name.value, inside)
                if key[0] in fragments and key not in known:
                    known[key] = 0
                    known[key] = walk(fragments[key[0]], inside)
                total += known.get(key, 0)
            elif isinstance(selection, FieldNode):
                within = inside or selection.name.value in ("__schema", "__type")
                total += within + walk(selection, within)
            else:
                total += walk(selection, inside)
        return total

    return sum(walk(d, False) for d in ast.definitions if isinstance(d, OperationDefinitionNode))


def _public(error: GraphQLError) -> dict[str, Any]:
    """The error as a client may see it: own codes and texts pass, anything unforeseen becomes INTERNAL_ERROR.

    graphql-core puts the value into the message of a variable that does not fit; values may be identifiers of patients.
    """
    extensions: Mapping[str, Any] = error.extensions or {}
    code, message = extensions.get("code"), error.message
    if code is None and error.original_error is not None:
        LOG.error("resolver failed", extra={"error_type": type(error.original_error).__name__, "path": error.path})
        code, message = "INTERNAL_ERROR", "Lỗi nội bộ. Internal error."
    elif code is None and error.path:
        code, message = (
            ("INTERNAL_ERROR", "Lỗi nội bộ. Internal error.")
            if "got invalid value" in message
            else ("BAD_USER_INPUT", silent(message))
        )
    out: dict[str, Any] = {"message": message}
    if error.locations:
        out["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        out["path"] = error.path
    out["extensions"] = {**extensions, "code": code or "BAD_REQUEST"}
    return out
