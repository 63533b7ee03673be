"""What a Synthea resource must look like in an answer: main fields by kind, from source and GraphQL, and a
hash.

Shares no code with the feed. How lives are cut into hospitals: synthea.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from schema.elements import RecordKind

VIETNAM = timezone(timedelta(hours=7))
Json = dict[str, Any]
Content = Json

_CODE = "{ system code display }"
_COMPONENT = f"components {{ code {_CODE} value quantity {{ value unit code }} }}"
# What `from_answer` reads of each kind; put it inside `node {{ … }}`.
SELECTION: dict[RecordKind, str] = {
    RecordKind.ENCOUNTER: f"status class types {_CODE} reasons {_CODE} period {{ start end }} disposition {_CODE}",
    RecordKind.CONDITION: f"code {_CODE} clinicalStatus verificationStatus onset abatement recordedDate",
    RecordKind.PRESCRIPTION: f"status authoredOn items {{ drug code {_CODE} }}",
    RecordKind.OBSERVATION: f"status categories {_CODE} code {_CODE} value quantity {{ value unit code }} "
    f"valueCode {_CODE} effective issued {_COMPONENT}",
    RecordKind.PROCEDURE: f"status code {_CODE} performed {{ start end }}",
    RecordKind.IMMUNIZATION: f"status vaccine {_CODE} occurrence primarySource",
    RecordKind.ALLERGY_INTOLERANCE: f"statedNone code {_CODE} clinicalStatus verificationStatus type "
    "categories criticality recordedDate",
    RecordKind.DIAGNOSTIC_REPORT: f"status categories {_CODE} code {_CODE} effective issued "
    f"results {{ code {_CODE} value }}",
    RecordKind.IMAGING_STUDY: f"status studyUid started numberOfSeries numberOfInstances modalities {_CODE} "
    f"series {{ uid modality {_CODE} bodySite {_CODE} numberOfInstances }}",
}


def from_answer(kind: RecordKind, node: Json) -> Content:
    """The content of a record of an answer (or a body with `results` put in) in the shape of `expected`."""
    return _ANSWERS[kind](node)


def content_hash(content: Content) -> str:
    """sha256 over sorted, compact JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _time(text: str | None) -> str | None:
    if text is None or "T" not in text:
        return text
    local = datetime.fromisoformat(text).astimezone(VIETNAM)
    return local.isoformat(timespec="milliseconds" if "." in text else "seconds")


def _concept(value: Json | None) -> Json | None:
    if value is None:
        return None
    assert len(value["coding"]) == 1, "Synthea gives one coding a concept"
    return _code({**value["coding"][0], "display": value["coding"][0].get("display") or value.get("text")})


def _code(value: Json | None) -> Json | None:
    return {name: value.get(name) for name in ("system", "code", "display")} if value else None


def _codes(values: list[Json] | None) -> list[Json | None]:
    return [_code(value) for value in values or []]


def _first(value: Json | None) -> str | None:
    return str(value["coding"][0]["code"]) if value else None


def _period(value: Json | None) -> Json | None:
    return {"start": _time(value.get("start")), "end": _time(value.get("end"))} if value else None


def _measure(source: Json) -> Json:
    """value, quantity and valueCode of an Observation or component, in the words of the contract."""
    quantity, concept = source.get("valueQuantity"), source.get("valueCodeableConcept")
    if quantity:
        digits = quantity["value"]
        plain = format(Decimal(digits), "f") if "e" in digits.lower() else digits
        kept = {"value": plain, "unit": quantity.get("unit"), "code": quantity.get("code")}
        unit = quantity.get("unit") or quantity.get("code")
        return {"value": f"{digits} {unit}" if unit else digits, "quantity": kept}
    if concept:
        return {"value": concept.get("text") or concept["coding"][0]["display"], "quantity": None}
    return {"value": source.get("valueString"), "quantity": None}


def _observation(r: Json, _: dict[str, Json]) -> Content:
    return {
        "status": r["status"],
        "categories": [_concept(c) for c in r.get("category", [])],
        "code": _concept(r["code"]),
        **_measure(r),
        "valueCode": _concept(r.get("valueCodeableConcept")),
        "effective": _time(r.get("effectiveDateTime")),
        "issued": _time(r.get("issued")),
        "components": [{"code": _concept(c["code"]), **_measure(c)} for c in r.get("component", [])],
    }


def _report(r: Json, named: dict[str, Json]) -> Content:
    results = [named[item["reference"]] for item in r.get("result", [])]
    return {
        "status": r["status"],
        "categories": [_concept(c) for c in r.get("category", [])],
        "code": _concept(r["code"]),
        "effective": _time(r.get("effectiveDateTime")),
        "issued": _time(r.get("issued")),
        "results": [{"code": _concept(item["code"]), "value": _measure(item)["value"]} for item in results],
    }


def _study(r: Json, _: dict[str, Json]) -> Content:
    series = [
        {
            "uid": s["uid"],
            "modality": _code(s["modality"]),
            "bodySite": _code(s.get("bodySite")),
            "count": int(s["numberOfInstances"]),
        }
        for s in r["series"]
    ]
    return {
        "status": r["status"],
        "studyUid": r["identifier"][0]["value"].removeprefix("urn:oid:"),
        "started": _time(r["started"]),
        "counts": [int(r["numberOfSeries"]), int(r["numberOfInstances"])],
        "series": series,
        "modalities": sorted({s["modality"]["code"] for s in series}),
    }


_CLASSES = {"AMB": "AMBULATORY", "IMP": "INPATIENT", "EMER": "EMERGENCY"}
_Make = Callable[[Json, dict[str, Json]], Content]
SOURCES: dict[str, tuple[RecordKind, _Make]] = {
    "Encounter": (
        RecordKind.ENCOUNTER,
        lambda r, _: {
            "status": r["status"].upper(),
            "class": _CLASSES[r["class"]["code"]],
            "types": [_concept(c) for c in r["type"]],
            "reasons": [_concept(c) for c in r.get("reasonCode", [])],
            "period": _period(r["period"]),
            "disposition": _concept(r.get("hospitalization", {}).get("dischargeDisposition")),
        },
    ),
    "Condition": (
        RecordKind.CONDITION,
        lambda r, _: {
            "code": _concept(r["code"]),
            "clinicalStatus": _first(r["clinicalStatus"]),
            "verificationStatus": _first(r["verificationStatus"]),
            "onset": _time(r.get("onsetDateTime")),
            "abatement": _time(r.get("abatementDateTime")),
            "recordedDate": _time(r.get("recordedDate")),
        },
    ),
    "MedicationRequest": (
        RecordKind.PRESCRIPTION,
        lambda r, _: {
            "status": r["status"],
            "authoredOn": _time(r["authoredOn"]),
            "items": [
                {
                    "drug": r["medicationCodeableConcept"]["text"],
                    "code": _concept(r["medicationCodeableConcept"]),
                }
            ],
        },
    ),
    "Observation": (RecordKind.OBSERVATION, _observation),
    "Procedure": (
        RecordKind.PROCEDURE,
        lambda r, _: {
            "status": r["status"],
            "code": _concept(r["code"]),
            "performed": _period(r["performedPeriod"]),
        },
    ),
    "Immunization": (
        RecordKind.IMMUNIZATION,
        lambda r, _: {
            "status": r["status"],
            "vaccine": _concept(r["vaccineCode"]),
            "occurrence": _time(r["occurrenceDateTime"]),
            "primarySource": r["primarySource"],
        },
    ),
    "AllergyIntolerance": (
        RecordKind.ALLERGY_INTOLERANCE,
        lambda r, _: {
            "statedNone": False,
            "code": _concept(r["code"]),
            "clinicalStatus": _first(r["clinicalStatus"]),
            "verificationStatus": _first(r["verificationStatus"]),
            "type": r["type"],
            "categories": r["category"],
            "criticality": r["criticality"],
            "recordedDate": _time(r["recordedDate"]),
        },
    ),
    "DiagnosticReport": (RecordKind.DIAGNOSTIC_REPORT, _report),
    "ImagingStudy": (RecordKind.IMAGING_STUDY, _study),
}
KINDS = frozenset(kind for kind, _ in SOURCES.values())


def _pick(node: Json, *names: str) -> Json:
    return {name: node[name] for name in names}


def _quantity(node: Json) -> Json:
    kept = _pick(node["quantity"], "value", "unit", "code") if node["quantity"] else None
    return {"value": node["value"], "quantity": kept}


_ANSWERS: dict[RecordKind, Callable[[Json], Content]] = {
    RecordKind.ENCOUNTER: lambda n: {
        **_pick(n, "status", "class"),
        "types": _codes(n["types"]),
        "reasons": _codes(n["reasons"]),
        "period": _pick(n["period"], "start", "end"),
        "disposition": _code(n["disposition"]),
    },
    RecordKind.CONDITION: lambda n: {
        **_pick(n, "clinicalStatus", "verificationStatus", "onset", "abatement", "recordedDate"),
        "code": _code(n["code"]),
    },
    RecordKind.PRESCRIPTION: lambda n: {
        **_pick(n, "status", "authoredOn"),
        "items": [{"drug": i["drug"], "code": _code(i["code"])} for i in n["items"]],
    },
    RecordKind.OBSERVATION: lambda n: {
        **_pick(n, "status", "effective", "issued"),
        **_quantity(n),
        "categories": _codes(n["categories"]),
        "code": _code(n["code"]),
        "valueCode": _code(n["valueCode"]),
        "components": [{"code": _code(c["code"]), **_quantity(c)} for c in n["components"]],
    },
    RecordKind.PROCEDURE: lambda n: {
        "status": n["status"],
        "code": _code(n["code"]),
        "performed": _pick(n["performed"], "start", "end"),
    },
    RecordKind.IMMUNIZATION: lambda n: {
        **_pick(n, "status", "occurrence", "primarySource"),
        "vaccine": _code(n["vaccine"]),
    },
    RecordKind.ALLERGY_INTOLERANCE: lambda n: {
        **_pick(
            n,
            "statedNone",
            "clinicalStatus",
            "verificationStatus",
            "type",
            "categories",
            "criticality",
            "recordedDate",
        ),
        "code": _code(n["code"]),
    },
    RecordKind.DIAGNOSTIC_REPORT: lambda n: {
        **_pick(n, "status", "effective", "issued"),
        "categories": _codes(n["categories"]),
        "code": _code(n["code"]),
        "results": [{"code": _code(r["code"]), "value": r["value"]} for r in n["results"]],
    },
    RecordKind.IMAGING_STUDY: lambda n: {
        **_pick(n, "status", "studyUid", "started"),
        "counts": [n["numberOfSeries"], n["numberOfInstances"]],
        "series": [
            {
                "uid": s["uid"],
                "modality": _code(s["modality"]),
                "bodySite": _code(s["bodySite"]),
                "count": s["numberOfInstances"],
            }
            for s in n["series"]
        ],
        "modalities": sorted({m["code"] for m in n["modalities"]}),
    },
}
