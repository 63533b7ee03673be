"""What contract a node speaks: its printed schema read into a small value, once a hash. Pure but for the shipped schemas.

Which contract a node has is registry.py; what is asked of a node that speaks another one than ours is reduced.py. A
schema comes from a node, so it is only ever read as a description; nothing in it is believed about data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from cachetools import LRUCache
from graphql import GraphQLError, NonNullTypeNode, parse, print_ast

SDL_LIMIT = 200_000  # characters; ours has 20,000
TOKENS_LIMIT = 25_000  # read in 0.1 s, on the event loop
OURS = "node.graphql"
RELEASED = "released"
_RELEASED_NAME = re.compile(r"node-(\d+)\.(\d+)\.graphql")
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})")


class UnreadableSchema(Exception):
    """A text that is no schema, or too long for one."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument or input field. type: as printed, '[RecordKind!]'. required: it must be given."""

    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class FieldType:
    """An output field: its type as printed, and its arguments."""

    type: str
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, slots=True, eq=False)
class Contract:
    """A node's schema. fields: of objects and interfaces. members: the objects of a union or interface.

    exact: the node told this schema itself. Otherwise it may know enum values that stand nowhere in here.
    """

    digest: str
    fields: Mapping[str, Mapping[str, FieldType]]
    inputs: Mapping[str, Mapping[str, Argument]]
    values: Mapping[str, frozenset[str]]
    members: Mapping[str, frozenset[str]]
    exact: bool = True

    def lacks(self, type_text: str, value: Any) -> str | None:
        """Why this contract cannot take an argument's raw JSON value: ARGUMENT_UNKNOWN, ENUM_VALUE_UNKNOWN or None. A null
        in it counts as not given; `given` takes it away before it is sent."""
        name = named(type_text)
        if value is None:
            return None
        if isinstance(value, list):
            return next((why for v in value if (why := self.lacks(name, v))), None)
        if name in self.values:
            if isinstance(value, Mapping):  # an input object of ours, an enum of theirs
                return "ARGUMENT_UNKNOWN"
            return None if value in self.values[name] else "ENUM_VALUE_UNKNOWN"
        if name not in self.inputs or not isinstance(value, Mapping):
            return None
        known = self.inputs[name]
        told = {key for key, inner in value.items() if inner is not None}
        if told - known.keys() or any(a.required and key not in told for key, a in known.items()):
            return "ARGUMENT_UNKNOWN"
        return next((why for key in sorted(told) if (why := self.lacks(known[key].type, value[key]))), None)


NOTHING = Contract("", {}, {}, {}, {})  # of a node whose contract nobody can know


def named(type_text: str) -> str:
    """'[Code!]!' -> 'Code'."""
    return type_text.strip("[]!")


def given(value: Any) -> Any:
    """An argument's value without the input fields that are null: a node that does not know them would refuse them."""
    if isinstance(value, Mapping):
        return {k: given(v) for k, v in value.items() if v is not None}
    return [given(v) for v in value] if isinstance(value, list) else value


def read_contract(sdl: str) -> Contract:
    """The contract of a printed schema; raises UnreadableSchema. About 30 ms for ours, so once a hash."""
    if len(sdl) > SDL_LIMIT:
        raise UnreadableSchema
    try:
        document = parse(sdl, no_location=True, max_tokens=TOKENS_LIMIT)
    except (GraphQLError, RecursionError):
        raise UnreadableSchema from None
    fields: dict[str, dict[str, FieldType]] = {}
    inputs: dict[str, dict[str, Argument]] = {}
    values: dict[str, frozenset[str]] = {}
    members: dict[str, set[str]] = {}
    for definition in document.definitions:
        name = definition.name.value if getattr(definition, "name", None) else ""  # type: ignore[attr-defined]
        match definition.kind.removesuffix("_definition").removesuffix("_extension"):
            case "object_type" | "interface_type":
                mine = fields.setdefault(name, {})
                for f in definition.fields or ():  # type: ignore[attr-defined]
                    mine[f.name.value] = FieldType(print_ast(f.type), _arguments(f.arguments))
                for interface in definition.interfaces or ():  # type: ignore[attr-defined]
                    members.setdefault(interface.name.value, set()).add(name)
            case "input_object_type":
                inputs.setdefault(name, {}).update(_arguments(definition.fields))  # type: ignore[attr-defined]
            case "enum_type":
                told = {v.name.value for v in definition.values or ()}  # type: ignore[attr-defined]
                values[name] = values.get(name, frozenset()) | told
            case "union_type":
                members.setdefault(name, set()).update(t.name.value for t in definition.types or ())  # type: ignore[attr-defined]
    if "Query" not in fields:
        raise UnreadableSchema
    frozen = {name: frozenset(objects) for name, objects in members.items()}
    return Contract(digest_of(sdl), fields, inputs, values, frozen)


def _arguments(nodes: Iterable[Any] | None) -> dict[str, Argument]:
    return {
        a.name.value: Argument(print_ast(a.type), isinstance(a.type, NonNullTypeNode) and a.default_value is None)
        for a in nodes or ()
    }


def digest_of(sdl: str) -> str:
    """Hex SHA-256 of a schema's text, by which nodes name theirs."""
    return hashlib.sha256(sdl.encode()).hexdigest()


@cache
def ours() -> Contract:
    """The contract this gateway speaks with nodes."""
    return read_contract(resources.files("schema").joinpath(OURS).read_text(encoding="utf-8"))


@cache
def assumed(version: str) -> Contract:
    """The contract of a node that never told its schema, by the version it declares: the newest shipped release of the same
    major version that is not newer. NOTHING where there is none; then nothing can be asked of the node."""
    told = _VERSION.fullmatch(version)
    if told is None:
        return NOTHING
    major, minor = int(told[1]), int(told[2])
    shipped = [
        m for f in resources.files("schema").joinpath(RELEASED).iterdir() if (m := _RELEASED_NAME.fullmatch(f.name))
    ]
    older = [m for m in shipped if int(m[1]) == major and int(m[2]) <= minor]
    if not older:
        return NOTHING
    newest = max(older, key=lambda m: int(m[2]))
    contract = read_contract(resources.files("schema").joinpath(RELEASED, newest[0]).read_text(encoding="utf-8"))
    return contract if int(newest[2]) == minor else replace(contract, exact=False)


# What was read, by digest; None: no schema at all. The digest names the text, so nothing in here can grow old.
KNOWN: LRUCache[str, Contract | None] = LRUCache(64)


def unread(digests: Iterable[str]) -> set[str]:
    """Those whose schema must be looked up before `contract_of` is asked."""
    return {d for d in digests if d and d != ours().digest and d not in KNOWN}


def contract_of(digest: str, version: str, schemas: Mapping[str, str]) -> Contract | None:
    """The contract of a node, None where it is ours. schemas: texts by digest, of those unread; a node whose schema is not
    there, or is none, has the contract of the version it declares."""
    if digest == ours().digest:
        return None
    if digest in schemas and digest not in KNOWN:
        try:
            KNOWN[digest] = read_contract(schemas[digest])
        except UnreadableSchema:
            KNOWN[digest] = None
    contract = KNOWN.get(digest) or assumed(version)
    return None if contract.exact and contract.digest == ours().digest else contract
