"""What the contract says a node must answer, worked out naively from rows as dicts."""

from __future__ import annotations

from typing import Any

from node_agent.graph import subgraph
from node_agent.records import ParsedPatient
from schema.clinical import CONNECTION_FIELDS
from schema.delegation import Allowed
from schema.elements import RecordKind
from tests import plain
from tests.plain import Json

EVERYTHING = Allowed(None, 0, "", "~")
NODE = plain.plain_schema(subgraph())


def representations(refs: list[str]) -> list[Json]:
    return [{"__typename": "Patient", "ref": ref} for ref in refs]


def codes_of(value: Any) -> set[str]:
    """The codes in a body, as a code filter compares them."""
    found: set[str] = set()
    if isinstance(value, dict):
        text = value.get("code") or value.get("asSent")
        if value.get("__typename") == "Code" and text:
            found.add("".join(c for c in text if c not in ".*† ").upper())
        found = found.union(*map(codes_of, value.values()))
    elif isinstance(value, list):
        found = found.union(*map(codes_of, value))
    return found


def visible(row: Json, allowed: Allowed) -> bool:
    return (
        not row["labels"] & allowed.denied_labels
        and (allowed.kinds is None or row["kind"] in allowed.kinds)
        and allowed.period_low <= row["sort"] < allowed.period_high
    )


def matches(row: Json, given: Json) -> bool:
    """Whether a row passes a RecordFilter or TimelineFilter, by the words of schema/filters.py."""
    period = given.get("period") or {}
    start, end = ((period.get(n) or "").removesuffix("+07:00") for n in ("from", "to"))
    if start and not row["sort"] >= start + "0000-01-01T00:00:00.000000"[len(start) :]:
        return False
    if end and not row["sort"][: len(end)] <= end:
        return False
    code = "".join(c for c in given.get("code") or "" if c not in ".*† ").upper()
    if code and not any(c.startswith(code) for c in row["codes"]):
        return False
    if given.get("facility") is not None and row["facility"] != given["facility"]:
        return False
    if given.get("encounter") is not None and given["encounter"] not in (row["encounter"], row["id"]):
        return False
    return given.get("kinds") is None or row["kind"] in given["kinds"]


def naive_patient(ref: str, known: ParsedPatient, mine: list[Json], allowed: Allowed) -> Json:
    """The Patient of the contract as dicts."""
    open_rows = [r for r in mine if visible(r, allowed)]

    def connection(kind: RecordKind | None) -> Any:
        name = "Timeline" if kind is None else plain.type_of(kind)

        def page(first: int = 20, after: str | None = None, filter: Json | None = None) -> Json:  # noqa: A002
            found = [r for r in open_rows if kind in (None, RecordKind(r["kind"])) and matches(r, filter or {})]
            found.sort(key=position, reverse=True)
            left = [r for r in found if after is None or position(r) < tuple(after.split("|"))]
            edges = [edge(r, name) for r in left[:first]]
            info = {"__typename": "PageInfo", "hasNextPage": len(left) > first}
            return {"__typename": f"{name}Connection", "edges": edges, "pageInfo": info}

        return page

    def edge(row: Json, name: str) -> Json:
        return {
            "__typename": f"{name}Edge", "sortKey": row["sort"], "id": row["id"], "kind": row["kind"],
            "facility": row["facility"], "key": row["key"], "contentHash": row["hash"], "subject": ref,
            "node": record(row),
        }  # fmt: skip

    def record(row: Json) -> Json:
        return {**row["body"], **{name: lambda n=name, r=row: related(r, n) for name in relations(row["kind"])}}

    def related(row: Json, name: str) -> list[Json]:
        if name == "results":
            linked = [r for i in row["links"].get(name, []) for r in open_rows if r["id"] == i]
            return [record(r) for r in linked]
        kind = RELATIONS[name]
        found = [r for r in open_rows if r["encounter"] == row["id"] and r["kind"] == kind.value]
        found.sort(key=lambda r: (r["seq"], r["id"]))
        return [diagnosis(r) if name == "diagnoses" else record(r) for r in found]

    lists = {CONNECTION_FIELDS[k]: connection(k) for k in RecordKind}
    return {
        "__typename": "Patient", "ref": ref, "name": known.name, "birthDate": known.birth_date,
        "gender": known.gender, **lists, "timeline": connection(None),
        "ledger": {"__typename": "NodeLedger", "facility": known.facility, "failedItems": 0, "lagging": False,
                   "asOf": "2026-03-01T09:03:04+07:00", "feedLagSeconds": 0},
    }  # fmt: skip


RELATIONS = {
    "diagnoses": RecordKind.CONDITION,
    **{CONNECTION_FIELDS[k]: k for k in RecordKind if k is not RecordKind.ENCOUNTER},
}


def relations(kind: str) -> list[str]:
    if kind == "DIAGNOSTIC_REPORT":
        return ["results"]
    names = NODE.type_map["Encounter"].fields  # type: ignore[attr-defined]
    return [n for n in RELATIONS if n in names] if kind == "ENCOUNTER" else []


def diagnosis(row: Json) -> Json:
    code = row["body"]["code"]
    view = {n: code[n] for n in ("system", "code", "display", "asSent")}
    return {"__typename": "Diagnosis", "id": row["id"], "role": row["body"]["role"], **view}


def position(row: Json) -> tuple[str, str, str]:
    return row["sort"], row["facility"], row["id"]
