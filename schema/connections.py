"""Relay connections, one pair a record kind, for each side of the wire.

At a node an edge carries what the gateway needs for the merge; at the gateway it carries what a client may use. Edges
belong to the gateway, bodies to the hospital (DESIGN 5.2), so the two sides' edge types differ while `node` is the same.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import GenericAlias
from typing import Any

import strawberry

from schema.clinical import CONNECTION_FIELDS, RECORD_TYPES
from schema.elements import Facility, RecordKind
from schema.filters import PAGE_DEFAULT, RecordFilter, TimelineFilter
from schema.record import Record


@strawberry.type(
    name="PageInfo", description="Trang. hasNextPage nói về các cơ sở đã trả lời. Speaks of nodes that answered."
)
class PageInfo:
    """gap_cursor asks again only the facilities that failed."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None
    gap_cursor: str | None


@strawberry.type(name="PageInfo", description="Whether this node has more rows after the last edge.")
class NodePageInfo:
    """The node knows only its own rows."""

    has_next_page: bool


@dataclass(frozen=True, slots=True)
class ConnectionTypes:
    """The connection types of one field: `field` is the GraphQL name on Patient; kind is None for the timeline."""

    field: str
    kind: RecordKind | None
    gateway: type
    node: type


def _pair(field: str, kind: RecordKind | None, record: type) -> ConnectionTypes:
    name = field[0].upper() + field[1:] if kind is None else record.__name__

    def make(type_name: str, annotations: dict[str, Any], description: str) -> type:
        cls = type(type_name, (), {"__annotations__": annotations, "__doc__": description, "__module__": __name__})
        return strawberry.type(cls, name=type_name, description=description)

    gateway_edge = make(
        f"{name}Edge",
        {
            "cursor": str,
            "sort_key": str,
            "facility": Facility,
            "late": bool,
            "conflict": bool,
            "also_at": list[Facility],
            "node": record,
        },
        "Một dòng và nơi nó đến. A row and where it came from; sortKey places late rows.",
    )
    node_edge = make(
        f"{name}Edge",
        {
            "sort_key": str,
            "id": strawberry.ID,
            "kind": RecordKind,
            "facility": str,
            "key": str | None,
            "content_hash": str,
            "subject": str,
            "node": record,
        },
        "A row with what the merge needs: sortKey is the sort time, subject the ref it belongs to.",
    )
    gateway = make(
        f"{name}Connection",
        {"edges": GenericAlias(list, (gateway_edge,)), "page_info": PageInfo},
        "Danh sách có thứ tự, mới nhất trước.",
    )
    node = make(
        f"{name}Connection", {"edges": GenericAlias(list, (node_edge,)), "page_info": NodePageInfo}, "Newest first."
    )
    return ConnectionTypes(field, kind, gateway, node)


CONNECTIONS: tuple[ConnectionTypes, ...] = (
    *(_pair(CONNECTION_FIELDS[kind], kind, RECORD_TYPES[kind]) for kind in RecordKind),
    _pair("timeline", None, Record),
)
BY_FIELD: dict[str, ConnectionTypes] = {c.field: c for c in CONNECTIONS}


def connection_fields(side: str) -> dict[str, Any]:
    """The connection fields of Patient for 'gateway' or 'node', by GraphQL name.

    Their arguments are part of the contract; their values are compiled with the patient, never resolved one by one.
    """
    return {c.field: _field(TimelineFilter if c.kind is None else RecordFilter, getattr(c, side)) for c in CONNECTIONS}


def _field(filters: type, returns: type) -> Any:
    def compiled(self: Any, **_: Any) -> Any:
        raise TypeError("a connection is answered by its patient")

    arguments = {"first": (int, PAGE_DEFAULT), "after": (str | None, None), "filter": (filters | None, None)}
    parameter = inspect.Parameter
    compiled.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            parameter("self", parameter.POSITIONAL_OR_KEYWORD),
            *(parameter(n, parameter.KEYWORD_ONLY, default=d, annotation=t) for n, (t, d) in arguments.items()),
        ],
        return_annotation=returns,
    )
    compiled.__annotations__ = {**{n: t for n, (t, _) in arguments.items()}, "return": returns}
    return strawberry.field(resolver=compiled)
