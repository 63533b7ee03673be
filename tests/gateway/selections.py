"""Random selections of a client, by the printed schema alone: aliases, directives, fragments of every sort, arguments.

The root of the query and what is asked of the drawn selection are the tests'.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    parse,
    visit,
)

from schema.connections import BY_FIELD
from schema.elements import RecordKind
from tests import plain
from tests.gateway.asking import CITY_SCHEMA

# What a drawn query may declare; names that would clash with the gateway's own are there on purpose.
VARIABLES: Mapping[str, tuple[str, Any]] = {
    "yes": ("Boolean!", True),
    "no": ("Boolean = false", False),
    "open": ("Boolean = true", False),
    "q_first0": ("Int! = 3", 2),
    "_q_after0": ("String", None),
    "code": ('String = "E11"', "I10"),
    "when": ("PartialDate", "2024"),
    "f": ("RecordFilter", {"period": {"to": "2024-02"}, "code": None}),
    "kinds": ("[RecordKind!] = [CONDITION, ENCOUNTER]", ["OBSERVATION", "ENCOUNTER"]),
    "language": ("Language! = EN", "VI"),
}
DIRECTIVES = (
    "", "", "", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: $open)", " @skip(if: $yes)",
    " @include(if: false)", " @skip(if: false) @include(if: $no)",
)  # fmt: skip
SIZES = ("", "first: 1", "first: 2", "first: 30", "first: $q_first0")
FILTERS = (
    "", "", "filter: null", "filter: $f", 'filter: {code: "E11"}', "filter: {code: $code}",
    'filter: {code: $code, period: {from: $when, to: "2025"}}', "filter: {period: {to: $when}, encounter: null}",
)  # fmt: skip
LANGUAGES = ("", "(language: EN)", "(language: VI)", "(language: $language)")
TIMELINE_FILTERS = (*(f for f in FILTERS if "$f" not in f), "filter: {kinds: $kinds}", "filter: {kinds: [CONDITION]}")


class Drawn:
    """One query being drawn from a seed. Response keys are numbered, so that no two fields ever clash."""

    def __init__(self, seed: int) -> None:
        self._rng, self._keys = random.Random(seed), 0
        self.fragments: list[str] = []

    @property
    def rest(self) -> str:
        """The named fragments drawn so far; the test adds them to its query."""
        return " ".join(self.fragments)

    @property
    def declared(self) -> str:
        """Every variable's definition; a valid document has only those it uses: see `trimmed`."""
        return "".join(f", ${name}: {kind}" for name, (kind, _) in VARIABLES.items())

    def variables(self) -> dict[str, Any]:
        """Values for the variables: required ones always, the others given or left to their defaults."""
        return {
            name: value if not isinstance(value, bool) else self.one_of((True, False))
            for name, (kind, value) in VARIABLES.items()
            if kind == "Boolean!" or self.one_of((True, False))
        }

    def one_of(self, choices: Any) -> Any:
        return self._rng.choice(choices)

    def on(self, type_name: str, depth: int) -> str:
        """A selection on an object type or interface; never empty."""
        kind = CITY_SCHEMA.type_map[type_name]
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        names = ["__typename", *sorted(kind.fields)]
        parts = [self.field(kind, self.one_of(names), depth) for _ in range(self.one_of((1, 2, 3, 4)))]
        if isinstance(kind, GraphQLInterfaceType):
            for _ in range(self.one_of((0, 1, 2, 3))):
                name = plain.type_of(self.one_of(list(RecordKind)))
                parts.append(f"... on {name} {{ {self.inside(name, self.on(name, depth))} }}")
        return " ".join(p for p in parts if p) or "__typename"

    def field(self, kind: Any, name: str, depth: int) -> str:
        """A field under its own key; objects are gone into as far as `depth` allows."""
        inner = None if name == "__typename" else get_named_type(kind.fields[name].type)
        if inner is None or not hasattr(inner, "fields"):
            arguments = self.one_of(LANGUAGES) if inner and "language" in kind.fields[name].args else ""
            return f"{self.key()}: {name}{arguments}{self.one_of(DIRECTIVES)}"
        if depth == 0:
            return ""
        key, left_out = self.key(), self.one_of(DIRECTIVES)
        body = self.inside(inner.name, self.on(inner.name, depth - 1))
        again = f" {key}: {name} {{ {self.on(inner.name, 0)} }}" if self.one_of((False, False, True)) else ""
        return f"{key}: {name}{left_out} {{ {body} }}{again}"

    def inside(self, type_name: str, body: str) -> str:
        """The selection as it is, or within a fragment on its type or on the interface it has."""
        match self.one_of(("bare", "bare", "inline", "typed", "named", "nested", "interface")):
            case "inline":
                return f"...{self.one_of(DIRECTIVES)} {{ {body} }}"
            case "typed":
                return f"... on {type_name}{self.one_of(DIRECTIVES)} {{ {body} }}"
            case "named":
                return self.named(type_name, body)
            case "nested":
                return self.named(type_name, f"{self.key()}: __typename {self.named(type_name, body)}")
            case "interface" if type_name in plain.RECORD_NAMES:
                return f"{self.named('Record', f'{self.key()}: kind ... on {type_name} {{ {body} }}')} {self.key()}: id"
        return body

    def named(self, type_name: str, body: str) -> str:
        name = f"F{len(self.fragments)}"
        self.fragments.append(f"fragment {name} on {type_name} {{ {body} }}")
        return f"...{name}{self.one_of(DIRECTIVES)}"

    def connection(self) -> str:
        """Any list of a patient, with several `edges` and `node`s."""
        types = BY_FIELD[self.one_of(sorted(BY_FIELD))]
        name = types.gateway.__name__
        edges = " ".join(self.edges(types.kind, name) for _ in range(self.one_of((1, 1, 2))))
        filters = TIMELINE_FILTERS if types.kind is None else FILTERS
        arguments = ", ".join(a for a in (self.one_of(SIZES), self.one_of(filters)) if a)
        given = f"({arguments})" if arguments else ""
        return f"{self.key()}: {types.field}{given}{self.one_of(DIRECTIVES)} {{ {self.inside(name, edges)} }}"

    def edges(self, kind: RecordKind | None, connection: str) -> str:
        record = "Record" if kind is None else plain.type_of(kind)
        edge = connection.removesuffix("Connection") + "Edge"
        nodes = " ".join(self.node(record) for _ in range(self.one_of((1, 1, 2))))
        return f"{self.key()}: edges{self.one_of(DIRECTIVES)} {{ {self.inside(edge, nodes)} }}"

    def node(self, record: str) -> str:
        """A `node`, at times in two parts that GraphQL joins."""
        key = self.key()
        return " ".join(
            f"{key}: node{self.one_of(DIRECTIVES)} {{ {self.inside(record, self.on(record, 2))} }}"
            for _ in range(self.one_of((1, 1, 2)))
        )

    def key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"


class Names(Visitor):
    """Which variables a text uses, and which it declares."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.used: set[str] = set()
        self.declared: set[str] = set()
        visit(parse(text), self)

    def enter_variable_definition(self, definition: VariableDefinitionNode, *_: Any) -> bool:
        self.declared.add(definition.variable.name.value)
        return False  # the name in it is no use of it

    def enter_variable(self, variable: VariableNode, *_: Any) -> None:
        self.used.add(variable.name.value)


def trimmed(query: str) -> str:
    """The query with only those variables declared that it uses, as a valid document must be."""
    for name in VARIABLES.keys() - Names(query).used:
        query = query.replace(f", ${name}: {VARIABLES[name][0]}", "", 1)
    return query
