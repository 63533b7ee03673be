"""Reading a value of a node that speaks another contract, and handing it on as ours has it. Pure; compiled by reduced.py.

Missing fields become null under the client's keys. An enum value that we do not know becomes null where the contract allows
it, UNKNOWN where the enum has that, and otherwise spoils the list it stands in. Scalars pass as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Read = Callable[[Any], Any]


class Unfit(Exception):
    """A value that our contract cannot carry: reason is NOT_THE_CONTRACT or ENUM_VALUE_UNKNOWN."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Slot:
    """One response key. alias: under which the node answers it; None: not asked, `constant` is written instead."""

    key: str
    alias: str | None
    read: Read | None = None
    constant: Any = None

    def of(self, value: Mapping[str, Any]) -> Any:
        """This field of an object as the node answered it."""
        if self.alias is None:
            return self.constant
        if not isinstance(value, dict) or self.alias not in value:
            raise Unfit("NOT_THE_CONTRACT")
        found = value[self.alias]
        return self.read(found) if self.read else found


def read_object(slots: tuple[Slot, ...]) -> Read:
    """An object with our keys in the client's order."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Unfit("NOT_THE_CONTRACT")
        return {slot.key: slot.of(value) for slot in slots}

    return read


def read_one_of(types: Mapping[str, Read]) -> Read:
    """A value of an interface or union, which says its type."""

    def read(value: Any) -> Any:
        name = value.get("__typename") if isinstance(value, dict) else None
        if not isinstance(name, str) or name not in types:
            raise Unfit("NOT_THE_CONTRACT")
        return types[name](value)

    return read


def read_enum(known: frozenset[str], required: bool) -> Read:
    """A value of an enum whose newer values we do not know."""
    instead = "UNKNOWN" if required and "UNKNOWN" in known else None

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise Unfit("NOT_THE_CONTRACT")
        if value in known:
            return value
        if required and instead is None:
            raise Unfit("ENUM_VALUE_UNKNOWN")
        return instead

    return read


def read_typed(type_text: str, leaf: Read | None) -> Read:
    """A value of a type as printed, '[Code!]!'; leaf reads its innermost values that are not null."""
    if type_text.endswith("!"):
        inner = read_typed(type_text[:-1], leaf)

        def required(value: Any) -> Any:
            if value is None:
                raise Unfit("NOT_THE_CONTRACT")
            return inner(value)

        return required
    if type_text.startswith("["):
        item = read_typed(type_text[1:-1], leaf)

        def items(value: Any) -> Any:
            if value is None:
                return None
            if not isinstance(value, list):
                raise Unfit("NOT_THE_CONTRACT")
            return [item(v) for v in value]

        return items
    return lambda value: value if value is None or leaf is None else leaf(value)
