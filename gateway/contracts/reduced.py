"""One request to a node of another contract: what it is asked, which kinds it cannot be, and its answer made into ours. Pure.

The comparison of the document with the contract is survey.py. A filter field, argument or enum value that the node lacks and
this request uses takes the whole list away; the timeline only loses the kinds that the node cannot give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.contracts.contract import Contract, given
from gateway.contracts.filling import Unfit
from gateway.contracts.survey import ARGUMENT_UNKNOWN, EMPTY, FIELD_REQUIRED, Given, Part, Survey, survey
from gateway.subquery import SubQuery
from schema.elements import RecordKind
from schema.filters import chosen_kinds
from schema.selection import Variables

KINDS_UNSUPPORTED = "KINDS_UNSUPPORTED"
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Filled:
    """A node's answer in our contract's shape. left_out: of each patient, the lists whose rows had to be left out (by part),
    each with its reason; or why the patient does not fit at all, who then is null."""

    body: bytes
    left_out: tuple[Mapping[str, str] | Unfit, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Reduced:
    """asked: the parts that this node is asked. reads: the kinds of a timeline, by its part's key. unsupported: kind -> reason.

    kinds: by the variable of a timeline's filter, those to be named in it. nothing: why the node is not asked at all.
    """

    survey: Survey
    asked: tuple[Part, ...]
    reads: Mapping[str, tuple[RecordKind, ...]]
    kinds: Mapping[str, tuple[str, ...]]
    unsupported: Mapping[RecordKind, str]
    nothing: str | None

    def body(self, variables: Variables) -> bytes:
        """The request body. variables: the ordinary sub-query's, the representations included."""
        root = self.survey.root
        assert root is not None, "a node that cannot be asked anything is not asked"
        arguments = [root[1], *(a for part in self.asked for a in part.arguments if a.type)]
        values = {a.variable: self._value(a, variables) for a in arguments}
        declared = ",".join(
            f"${a.variable}:{a.type if a.required else str(a.type).removesuffix('!')}" for a in arguments
        )
        fields = " ".join(part.text for part in self.asked)
        text = f"query({declared}){{_entities({root[1].argument}:${root[1].variable}){{...on Patient{{{fields}}}}}}}"
        told = {name: value for name, value in values.items() if value is not None}
        return _JSON.encode({"query": text, "variables": told})

    def _value(self, argument: Given, variables: Variables) -> Any:
        value = given(argument.read(variables))
        chosen = self.kinds.get(argument.variable)
        return value if chosen is None else {**(value or {}), "kinds": chosen}

    def fill(self, body: bytes) -> Filled:
        """What the node sent, as if it spoke our contract. What is no sound answer at all is handed on as it is: who reads
        it says why."""
        try:
            answer = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Filled(body)
        if not isinstance(answer, dict) or answer.get("errors"):
            return Filled(_JSON.encode({"errors": answer["errors"]}) if isinstance(answer, dict) else body)
        data = answer.get("data")
        entities = data.get("_entities") if isinstance(data, dict) else None
        if not isinstance(entities, list):
            return Filled(body)
        filled: list[dict[str, Any] | None] = []
        left_out: list[Mapping[str, str] | Unfit] = []
        for entity in entities:
            here: dict[str, str] = {}
            try:
                filled.append(None if entity is None else self._entity(entity, here))
                left_out.append(here)
            except Unfit as why:  # one patient's; the others of the call are as good as ever
                filled.append(None)
                left_out.append(why)
        return Filled(_JSON.encode({"data": {"_entities": filled}}), tuple(left_out))

    def kinds_in(self, part: str) -> tuple[RecordKind, ...]:
        """The kinds that a list reads at this node."""
        own = (p.kind for p in self.survey.parts if p.slot.key == part and p.kind is not None)
        return self.reads.get(part) or tuple(own)

    def _entity(self, entity: Any, left_out: dict[str, str]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        asked = {id(part) for part in self.asked}
        for part in self.survey.parts:
            slot = part.slot
            if slot.alias is None or id(part) not in asked:
                out[slot.key] = EMPTY if part.is_list else slot.constant
                continue
            try:
                out[slot.key] = slot.of(entity)
            except Unfit as why:
                if not part.is_list:
                    raise
                out[slot.key] = EMPTY  # rows that were half understood would be half a truth
                left_out[slot.key] = why.reason
        return out


def reduce(subquery: SubQuery, theirs: Contract, variables: Variables) -> Reduced | None:
    """What a node of this contract is asked; None: the ordinary sub-query. variables: the client's, raw."""
    key = theirs.digest, theirs.exact
    compared: Survey | None = subquery.surveys.get(key)
    if compared is None:
        compared = subquery.surveys[key] = survey(subquery.text, variables, theirs)
    if not compared.differs:
        return None
    if compared.reason:
        return Reduced(compared, (), {}, {}, {}, compared.reason)
    asked: list[Part] = []
    reads: dict[str, tuple[RecordKind, ...]] = {}
    kinds: dict[str, tuple[str, ...]] = {}
    unsupported: dict[RecordKind, str] = {}
    for part in compared.parts:
        if not part.is_list:
            asked.append(part)
            continue
        if part.kind is None:
            taken = _timeline(part, theirs, variables, reads, kinds, unsupported)
        else:
            reason = part.reason or _lacks(part, theirs, variables)
            taken = reason is None
            if reason:
                unsupported[part.kind] = reason
        if taken:
            asked.append(part)
    lists = any(part.is_list for part in compared.parts)
    left = any(part.is_list for part in asked)
    reasons = set(unsupported.values())
    nothing = None if left or not lists else reasons.pop() if len(reasons) == 1 else KINDS_UNSUPPORTED
    return Reduced(compared, tuple(asked), reads, kinds, unsupported, nothing)


def _lacks(part: Part, theirs: Contract, variables: Variables) -> str | None:
    """Why this request's arguments cannot be put to the node. The timeline's kinds are looked at apart."""
    for argument in part.arguments:
        value = argument.read(variables)
        if part.kind is None and isinstance(value, Mapping):
            value = {**value, "kinds": None}
        if value is not None and given(value) != {}:
            reason = ARGUMENT_UNKNOWN if argument.type is None else theirs.lacks(argument.type, value)
            if reason:
                return reason
    return None


def _timeline(
    part: Part,
    theirs: Contract,
    variables: Variables,
    reads: dict[str, tuple[RecordKind, ...]],
    kinds: dict[str, tuple[str, ...]],
    unsupported: dict[RecordKind, str],
) -> bool:
    """Whether this timeline is asked, and of which kinds."""
    argument = next((a for a in part.arguments if a.argument == "filter"), None)
    chosen = chosen_kinds(part.filter(variables))
    wanted = tuple(RecordKind) if chosen is None else tuple(RecordKind(k) for k in dict.fromkeys(chosen))
    left = tuple(k for k in wanted if k not in part.excluded)
    # Rows that we cannot read must not come: kinds that we do not know, and those whose bodies cannot be filled.
    newer = not theirs.exact or bool(
        theirs.values.get(RecordKind.__name__, frozenset()) - RecordKind.__members__.keys()
    )
    cut = chosen is not None or newer or FIELD_REQUIRED in {part.excluded.get(k) for k in wanted}
    reason = part.reason or _lacks(part, theirs, variables)
    if reason is None and cut and left:
        names = theirs.inputs.get(str(argument.type), {}) if argument and argument.type else {}
        if "kinds" in names and argument:
            kinds[argument.variable] = tuple(k.value for k in left)
        else:
            reason = ARGUMENT_UNKNOWN
    for kind in wanted:
        why = reason or part.excluded.get(kind)
        if why:
            unsupported[kind] = why
    reads[part.slot.key] = left
    return reason is None and bool(left)
