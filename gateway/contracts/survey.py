"""Comparing a sub-query with a node's contract: what the node knows of it, and how its answer becomes one of ours. Pure.

Made once a document and contract; one request's arguments are reduced.py. The reduced text says the same in the node's words:
no fragments, no directives, every argument a variable. Output fields the node lacks are left out and filled with null; where
null is not allowed, the record kind is UNSUPPORTED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, OperationDefinitionNode, parse

from gateway.contracts.contract import Contract, named, ours
from gateway.contracts.filling import Read, Slot, read_enum, read_object, read_one_of, read_typed
from schema.clinical import RECORD_TYPES
from schema.connections import BY_FIELD
from schema.elements import RecordKind
from schema.selection import Scope, Selected, Variables, condition_variables, fragments_of, reader

KIND_UNKNOWN = "KIND_UNKNOWN"
FIELD_REQUIRED = "FIELD_REQUIRED"
ARGUMENT_UNKNOWN = "ARGUMENT_UNKNOWN"
CONTRACT_UNKNOWN = "CONTRACT_UNKNOWN"
PAGING = frozenset({"first", "after"})  # in use in every list, whatever a request gives for them
KIND_OF = {record.__name__: kind for kind, record in RECORD_TYPES.items()}
EMPTY: Mapping[str, Any] = {"edges": [], "pageInfo": {"hasNextPage": False}}  # a list nobody was asked for


class Unsupported(Exception):
    """What a contract cannot be asked; reason is one of the codes above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Given:
    """An argument as a variable of the reduced text. type: the node's own, None where it lacks the argument."""

    variable: str
    argument: str
    type: str | None
    required: bool
    read: Callable[[Variables], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One field of the patient. kind: of a connection, None of the timeline. excluded: the timeline's kinds whose rows this
    node cannot give. reason: why it cannot be asked at all."""

    slot: Slot
    field: str
    kind: RecordKind | None
    text: str
    arguments: tuple[Given, ...]
    filter: Callable[[Variables], Any]
    excluded: Mapping[RecordKind, str]
    reason: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether it is a connection, the timeline included."""
        return self.field in BY_FIELD


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """differs: whether the ordinary sub-query cannot simply be sent. reason: why nothing at all can be asked."""

    contract: Contract
    differs: bool
    parts: tuple[Part, ...]
    root: tuple[str, Given] | None
    reason: str | None = None


def survey(text: str, variables: Variables, theirs: Contract) -> Survey:
    """Compare a sub-query's text with a contract. variables: raw; only those of @include and @skip are read."""
    ast = parse(text, no_location=True)
    booleans = {name: bool(variables.get(name)) for name in condition_variables(ast)}
    scope = Scope(fragments_of(ast), booleans)
    compiler = _Compiler(scope, theirs)
    (operation,) = (d for d in ast.definitions if isinstance(d, OperationDefinitionNode))
    (entities,) = (n for n in operation.selection_set.selections if isinstance(n, FieldNode))
    root = Selected("_entities", entities.name.value, (entities,))
    try:
        reached = "_entities" in theirs.fields.get("Query", ())
        if not reached or "Patient" not in theirs.members.get("_Entity", ()):
            raise Unsupported(CONTRACT_UNKNOWN)
        (refs,) = compiler.arguments("Query", root)
        parts = tuple(
            compiler.part(i, s) for i, s in enumerate(scope.collect(root.nodes, "Patient", frozenset({"_Entity"})))
        )
    except Unsupported as why:
        return Survey(theirs, True, (), None, why.reason)
    differs = compiler.differs or not _readable(theirs, scope.fragments, entities, "_Entity", set())
    return Survey(theirs, differs, parts, (root.key, refs))


def _readable(theirs: Contract, fragments: Mapping[str, Any], node: Any, type_name: str, seen: set[str]) -> bool:
    """Whether every field that stands below this node, skipped or on a type that never comes, is in the contract: a node
    refuses the whole text for any that is not."""
    for inner in node.selection_set.selections if node.selection_set else ():
        if isinstance(inner, FieldNode):
            name = inner.name.value
            known = theirs.fields.get(type_name, {}).get(name)
            if name == "__typename":
                continue
            if known is None or not _readable(theirs, fragments, inner, named(known.type), seen):
                return False
        else:
            spread = inner
            if isinstance(inner, FragmentSpreadNode):
                if (
                    inner.name.value in seen
                ):  # once is enough: fragments that spread each other twice would take 2^n steps
                    continue
                seen.add(inner.name.value)
                spread = fragments[inner.name.value]
            on = spread.type_condition.name.value if spread.type_condition else type_name
            if on not in theirs.fields or not _readable(theirs, fragments, spread, on, seen):
                return False
    return True


@dataclass(slots=True)
class _Compiler:
    """differs is set by whatever keeps the ordinary sub-query from being sent as it is."""

    scope: Scope
    theirs: Contract
    differs: bool = False
    variables: int = 0
    given: list[Given] = field(default_factory=list)
    excluded: dict[RecordKind, str] = field(default_factory=dict)

    def part(self, number: int, selected: Selected) -> Part:
        """One field of the patient; Unsupported for what every patient must have."""
        is_list = selected.name in BY_FIELD
        kind = BY_FIELD[selected.name].kind if is_list else None
        self.given, self.excluded = [], {}
        filters = reader(selected.argument("filter"))
        try:
            text, slot = self._slot("Patient", selected, f"p{number}")
            if is_list and kind is None:
                self._kinds()
        except Unsupported as why:
            if not is_list:
                raise
            self.differs = True
            lacking = selected.name not in self.theirs.fields.get("Patient", {})
            reason = KIND_UNKNOWN if lacking else why.reason
            return Part(Slot(selected.key, None, None, EMPTY), selected.name, kind, "", (), filters, {}, reason)
        return Part(slot, selected.name, kind, text, tuple(self.given), filters, dict(self.excluded))

    def _kinds(self) -> None:
        """The timeline's kinds that the node does not know are excluded; those that we do not know must not come."""
        name = RecordKind.__name__
        mine, theirs = ours().values[name], self.theirs.values.get(name, frozenset())
        for unknown in mine - theirs:
            self.excluded.setdefault(RecordKind(unknown), KIND_UNKNOWN)
        self.differs |= not self.theirs.exact or mine != theirs

    def arguments(self, type_name: str, selected: Selected) -> list[Given]:
        """The field's arguments as variables; the timeline always gets its filter, to leave kinds out."""
        known = self.theirs.fields[type_name][selected.name].arguments
        mine = ours().fields[type_name][selected.name].arguments
        asked = {a.name.value: reader(a.value) for a in selected.nodes[0].arguments or ()}
        if selected.name == "timeline" and "filter" in known:
            asked.setdefault("filter", reader(None))
        lacking = PAGING & asked.keys() - known.keys()
        if lacking or any(a.required and name not in asked for name, a in known.items()):
            raise Unsupported(ARGUMENT_UNKNOWN)
        out = []
        for name, read in asked.items():
            theirs = known.get(name)
            fits = theirs is not None and _skeleton(theirs.type) == _skeleton(mine[name].type)
            self.differs |= not fits or not self._takes(mine[name].type)
            kind, required = (theirs.type, theirs.required) if theirs and fits else (None, False)
            out.append(Given(f"a{self.variables}", name, kind, required, read))
            self.variables += 1
        return out

    def _takes(self, type_text: str) -> bool:
        """Whether every value of our input type is one of theirs."""
        name, mine = named(type_text), ours()
        if name in mine.values:
            return mine.values[name] <= self.theirs.values.get(name, frozenset())
        known = self.theirs.inputs.get(name, {})
        wanted = mine.inputs.get(name, {})
        return not any(a.required for n, a in known.items() if n not in wanted) and all(
            n in known and _skeleton(known[n].type) == _skeleton(a.type) and self._takes(a.type)
            for n, a in wanted.items()
        )

    def _slot(self, type_name: str, selected: Selected, alias: str) -> tuple[str, Slot]:
        """The text of one field and how its value is read; ('', a constant) for what is not asked."""
        if selected.name == "__typename":
            return "", Slot(selected.key, None, None, type_name)
        mine = ours().fields[type_name][selected.name]
        theirs = self.theirs.fields.get(type_name, {}).get(selected.name)
        name = named(mine.type)
        alike = (name in ours().values) == (name in self.theirs.values)
        if theirs is None or _skeleton(theirs.type) != _skeleton(mine.type) or not alike:
            self.differs = True
            if mine.type.endswith("!"):
                raise Unsupported(FIELD_REQUIRED)
            return "", Slot(selected.key, None)
        arguments = self.arguments(type_name, selected)
        self.given += arguments
        told = ",".join(f"{a.argument}:${a.variable}" for a in arguments if a.type)
        below, leaf = self._below(name, mine.type, selected)
        read = read_typed(mine.type, leaf) if leaf or self._weaker(theirs.type, mine.type) else None
        return f"{alias}:{selected.name}{f'({told})' if told else ''}{below}", Slot(selected.key, alias, read)

    def _below(self, name: str, type_text: str, selected: Selected) -> tuple[str, Read | None]:
        """The selection below a field, and what reads one value of it."""
        mine = ours()
        if name in mine.values:
            known = mine.values[name]
            if self.theirs.exact and self.theirs.values[name] <= known:
                return "", None
            self.differs = True
            return "", read_enum(known, _levels(type_text)[0] == "!")
        if name in mine.members:
            text, read = self._any(name, selected)
        elif name in mine.fields:
            text, read = self._object(name, selected, "f")
        else:
            return "", None
        return f"{{{text}}}", read

    def _object(self, name: str, selected: Selected, prefix: str) -> tuple[str, Read]:
        abstract = frozenset(i for i, objects in ours().members.items() if name in objects)
        collected = self.scope.collect(selected.nodes, name, abstract)
        made = [self._slot(name, s, f"{prefix}{i}") for i, s in enumerate(collected)]
        return " ".join(text for text, _ in made if text) or "__typename", read_object(tuple(slot for _, slot in made))

    def _any(self, name: str, selected: Selected) -> tuple[str, Read]:
        """A record of any kind: each type apart, under aliases of its own, since two types' fields may differ at that node."""
        texts, reads = ["__typename"], {}
        for i, one in enumerate(sorted(ours().members[name])):
            before = len(self.given)
            try:
                if one not in self.theirs.members.get(name, ()):
                    raise Unsupported(KIND_UNKNOWN)
                text, reads[one] = self._object(one, selected, f"t{i}_")
            except Unsupported as why:
                self.differs = True
                self.excluded[KIND_OF[one]] = why.reason
                del self.given[before:]
                continue
            texts.append(f"...on {one}{{{text}}}")
        return " ".join(texts), read_one_of(reads)

    def _weaker(self, theirs: str, mine: str) -> bool:
        """Whether their type allows null where ours does not."""
        weak = any(m == "!" and t != "!" for t, m in zip(_levels(theirs), _levels(mine), strict=True))
        self.differs |= weak
        return weak


def _skeleton(type_text: str) -> str:
    return type_text.replace("!", "")


def _levels(type_text: str) -> list[str]:
    """'!' or '' of each level, the innermost first: ['!', ''] of '[Code!]'."""
    tail = type_text.lstrip("[")[len(named(type_text)) :]
    return ["!" if part.startswith("!") else "" for part in tail.split("]")]
