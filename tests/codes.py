"""Every stable code in the source, found by reading it: what the documents must explain. Nothing is imported or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
# Functions and exceptions whose first argument of a code's shape is a code.
MAKERS = frozenset(
    {
        "HttpRefusal",
        "refused",
        "_coded",
        "coded",
        "BadArgument",
        "AskRefused",
        "PlanRefused",
        "DelegationError",
        "InvalidAnswer",
        "Unfit",
        "BhytError",
        "ReadingError",
        "Remark",
        "note",
        "_note",
        "notes.add",
        "Skipped",
        "Line",
        "Seen",
        "NotStoredError",
    }
)
ENUMS = frozenset({"Outcome", "State", "RefusalCode", "Withheld", "Completeness"})
TABLES = frozenset({"REASONS"})
CONSTANTS = frozenset(
    {
        "INTERNAL_ERROR",
        "ACCESS_DENIED",
        "KIND_UNKNOWN",
        "FIELD_REQUIRED",
        "ARGUMENT_UNKNOWN",
        "CONTRACT_UNKNOWN",
        "KINDS_UNSUPPORTED",
    }
)


def is_code(value: object) -> bool:
    """Whether a constant has the shape of a code; one short word alone may be anything."""
    return isinstance(value, str) and len(value) > 3 and CODE.fullmatch(value) is not None


def constants(node: ast.AST | None) -> Iterator[str]:
    """The codes an expression can be: a constant, both branches of a choice, members of a tuple. No call is looked into."""
    if isinstance(node, ast.Constant):
        if is_code(node.value):
            yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from constants(part)


def name_of(function: ast.expr) -> str:
    """'note' for a name and for a method; 'notes.add' for a method of something called notes."""
    if isinstance(function, ast.Attribute):
        owner = function.value
        last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        return f"{last}.{function.attr}" if function.attr == "add" else function.attr
    return function.id if isinstance(function, ast.Name) else ""


def codes_of(tree: ast.AST) -> Iterator[str]:
    """The codes that this module makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in MAKERS:
            for argument in node.args:
                if found := list(constants(argument)):
                    yield from found
                    break
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from constants(value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            if name_of(node.target.value).endswith("notes") and isinstance(node.target.slice, ast.Tuple):
                yield from constants(node.target.slice.elts[0])
        elif isinstance(node, ast.ClassDef):
            yield from class_codes(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
            if names & (CONSTANTS | {"reason"}):
                yield from constants(node.value)
            elif names & TABLES and isinstance(node.value, ast.Dict):
                yield from (str(k.value) for k in node.value.keys if isinstance(k, ast.Constant))


def class_codes(node: ast.ClassDef) -> Iterator[str]:
    """`code = "X"` of an exception, the members of an enum that clients or operators read."""
    for statement in node.body:
        names = (
            {t.id for t in statement.targets if isinstance(t, ast.Name)} if isinstance(statement, ast.Assign) else set()
        )
        if names and isinstance(statement, ast.Assign) and ("code" in names or node.name in ENUMS):
            yield from constants(statement.value)


def all_codes() -> dict[str, str]:
    """Code -> the first file that makes it, relative to the repository."""
    found: dict[str, str] = {}
    for package in ("schema", "gateway", "node_agent"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for code in codes_of(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault(code, str(file.relative_to(ROOT)))
    return found
