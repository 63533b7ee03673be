"""What a client is told of a document or a value that fits no type: its own stable code where the place has one, and what
would be valid. Nothing that was typed is repeated where it could be an identifier. Only read once something is wrong.

Values that fit their type and still cannot be asked are schema/filters.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
    print_ast,
)

from schema.filters import VALID

BACKWARD = frozenset({"last", "before"})
BACKWARD_TEXT = (
    "Danh sách chỉ đi từ mới đến cũ: dùng first và after, không có last và before. "
    "Lists go from new to old only: use first and after; there is no last and no before."
)
CURSOR_TEXT = ("Con trỏ trang không dùng được", "the page cursor cannot be used")
# Arguments and input fields that have a code of their own. No other field of the contract has these names.
PLACES = {
    "first": "BAD_PAGE_SIZE",
    "after": "BAD_CURSOR",
    "from": "BAD_PERIOD",
    "to": "BAD_PERIOD",
    "period": "BAD_PERIOD",
    "code": "BAD_CODE",
}
# An identifier has digits; names of fields and types that have some are masked too, their place is told beside.
_QUOTED = re.compile(r"""(['"])(?:(?!\1).)*\d(?:(?!\1).)*\1""")
_FOUND = re.compile(r"[,;] found: .*", re.DOTALL)  # what graphql-core adds of the value itself
_LONG_NUMBER = re.compile(r"\d{5,}")
_VARIABLE = re.compile(r"Variable '\$(\w+)'(?: has invalid value(?: at ([\w.\[\]]+))?)?")


def syntax_refusal(error: GraphQLError) -> GraphQLError:
    """A document that cannot be parsed: the parser's text, without the words it stumbled over."""
    error.message = silent(error.message)
    return coded(error, "GRAPHQL_PARSE_FAILED")


def validation_refusal(error: GraphQLError, document: DocumentNode) -> GraphQLError:
    """An error of validation under its code: BACKWARD_PAGING_UNSUPPORTED, that of a place, or GRAPHQL_VALIDATION_FAILED."""
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, ArgumentNode) and node.name.value in BACKWARD and error.message.startswith("Unknown argument"):
        error.message = BACKWARD_TEXT
        return coded(error, "BACKWARD_PAGING_UNSUPPORTED")
    if isinstance(node, ValueNode) and not isinstance(node, VariableNode):
        code = next((PLACES[name] for value, name in _placed(document) if value is node and name in PLACES), None)
        if code is not None:
            error.message = _text(code)
            return coded(error, code)
        error.message = silent(error.message.replace(print_ast(node), "…"))
        return coded(error, "GRAPHQL_VALIDATION_FAILED")
    error.message = silent(error.message)
    return coded(error, "GRAPHQL_VALIDATION_FAILED")


def variable_refusal(error: GraphQLError, operation: OperationDefinitionNode) -> GraphQLError:
    """An error of a variable's value under its code: that of the place it goes to, or BAD_USER_INPUT with its type."""
    found = _VARIABLE.match(error.message)
    if found is None:
        error.message = silent(error.message)
        return coded(error, "BAD_USER_INPUT") if error.message.startswith("Variable ") else error
    name, path = found[1], re.findall(r"\w+", found[2] or "")
    inside = [part for part in path if part in PLACES]
    used = [
        place for value, place in _placed(operation) if isinstance(value, VariableNode) and value.name.value == name
    ]
    code = next((PLACES[place] for place in [*inside[-1:], *used] if place in PLACES), None)
    if code is not None:
        error.message = _text(code)
        return coded(error, code)
    declared = next(
        (print_ast(d.type) for d in operation.variable_definitions or () if d.variable.name.value == name), "?"
    )
    error.message = f"Biến '${name}' phải có kiểu {declared}. The variable must be a {declared}."
    return coded(error, "BAD_USER_INPUT")


def coded(error: GraphQLError, code: str) -> GraphQLError:
    """The error itself, with this code."""
    error.extensions = {**(error.extensions or {}), "code": code}
    return error


def silent(message: str) -> str:
    """The message without the value found, quoted words that hold a digit, and long numbers."""
    return _LONG_NUMBER.sub("…", _QUOTED.sub("'…'", _FOUND.sub("", message)))


def _text(code: str) -> str:
    vi, en = VALID.get(code, CURSOR_TEXT)
    return f"{vi}. {en[:1].upper()}{en[1:]}."


def _placed(node: Any, place: str = "") -> Iterator[tuple[ValueNode, str]]:
    """Every value below a node, with the name of the argument or input field it is given to."""
    if isinstance(node, ValueNode):
        yield node, place
    name = getattr(getattr(node, "name", None), "value", "")
    inner = name if node.kind in ("argument", "object_field") else place
    for key in node.keys:
        child = getattr(node, key, None)
        for part in child if isinstance(child, list | tuple) else (child,):
            if part is not None and hasattr(part, "keys") and hasattr(part, "kind"):
                yield from _placed(part, inner)
