"""Shaping what the gateway owns: the client's keys, the client's order, the client's language."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from graphql import get_named_type
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.advice import LAW_HIDDEN, SUMMARY
from gateway.coverage import assess
from gateway.ledger import as_value
from gateway.plan import plan_query
from gateway.shape import Shape, Tail, Tailed, shape
from schema.coverage import Completeness, Outcome
from schema.elements import RecordKind
from tests import plain
from tests.gateway.asking import CITY_SCHEMA, FRESH, NOW, choice, city, compiled, question, state
from tests.gateway.selections import Drawn, Names, trimmed

OF = city(state("A"), state("B", None, connected=False))


def value() -> Any:
    """A ledger of one unreachable and one unconnected facility."""
    made = compiled(question("encounters { edges { node { id } } }")).subquery
    plan = plan_query(made, {}, choice("A", withheld=("A",)), OF, None)
    return as_value(assess(plan, [], OF, made, NOW, FRESH), OF, [LAW_HIDDEN])


def shaped(coverage: str, more: str = "", **variables: Any) -> Any:
    made = compiled(question("", more, coverage), **variables)
    (selected,) = [s for s in made.subquery.answer if s.name == "coverage"]
    compiled_shape = shape(made.scope, selected)
    assert isinstance(compiled_shape, Shape)
    return plain_json(compiled_shape.of(value(), made.raw))


def plain_json(found: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(found))


def test_every_field_of_the_ledger_fits_the_schema() -> None:
    def texts(selection: str) -> str:
        return selection.replace("notices", "notices vi: notices(language: VI)").replace(
            "summary", "summary en: summary(language: EN)"
        )

    everything = texts(plain.full_selection(CITY_SCHEMA, "Coverage"))
    found = shaped(f"coverage {{ {everything} }}")

    def check(kind: Any, data: Any) -> None:
        for name, field in kind.fields.items():
            text = str(field.type)
            assert name in data and (data[name] is not None or not text.endswith("!")), name
            inner = get_named_type(field.type)
            for item in (
                (data[name] if isinstance(data[name], list) else [data[name]]) if hasattr(inner, "fields") else []
            ):
                check(inner, item)

    check(CITY_SCHEMA.type_map["Coverage"], found)
    assert found["__typename"] == "Coverage" and {f["__typename"] for f in found["facilities"]} == {"FacilityCoverage"}
    assert found["facilities"][0]["facility"] == {"__typename": "Facility", "code": "A", "name": "Bệnh viện A"}
    assert found["facilities"][0]["kinds"][0]["__typename"] == "KindCoverage"
    assert msgspec.json.encode(found)


def test_keys_come_in_the_clients_order_under_its_names_even_twice() -> None:
    found = shaped(
        "coverage { b: located a: completeness located c: completeness facilities { x: facility { n: name code } } }"
    )
    assert list(found) == ["b", "a", "located", "c", "facilities"]
    assert found["a"] == found["c"] == "INCOMPLETE" and found["b"] == found["located"] == 1
    assert found["facilities"][0] == {"x": {"n": "Bệnh viện A", "code": "A"}}


@pytest.mark.parametrize("language", ["VI", "EN"])
def test_texts_come_in_the_language_asked_by_literal_variable_or_default(language: str) -> None:
    expected = SUMMARY[Completeness.INCOMPLETE]
    assert shaped(f"coverage {{ completeness summary(language: {language}) }}")["summary"] == expected[language]
    more = ", $l: Language!"
    found = shaped(
        "coverage { completeness summary(language: $l) notices(language: $l) facilities { advice(language: $l) } }",
        more,
        l=language,
    )
    assert found["summary"] == expected[language] and found["notices"] == [LAW_HIDDEN[language]]
    assert (
        found["facilities"][0]["advice"]
        != shaped(
            "coverage {{ completeness facilities {{ advice(language: {}) }} }}".format(
                {"VI": "EN", "EN": "VI"}[language]
            )
        )["facilities"][0]["advice"]
    )


def test_vietnamese_comes_first() -> None:
    assert shaped("coverage { completeness summary }")["summary"] == SUMMARY[Completeness.INCOMPLETE]["VI"]
    assert (
        shaped("coverage { completeness summary(language: $l) }", ", $l: Language = VI")["summary"]
        == SUMMARY[Completeness.INCOMPLETE]["VI"]
    )
    optional = shaped("coverage { completeness summary(language: $l) }", ", $l: Language = EN")
    assert optional["summary"] == SUMMARY[Completeness.INCOMPLETE]["EN"]


def test_fragments_and_directives_shape_the_ledger_too() -> None:
    made = compiled(
        question("", ", $yes: Boolean!", "coverage { ...C @include(if: $yes) ... @skip(if: $yes) { located } registered @skip(if: true) }",
                 "fragment C on Coverage { completeness facilities { ... on FacilityCoverage { outcome } } }"), yes=True,
    )  # fmt: skip
    (selected,) = [s for s in made.subquery.answer if s.name == "coverage"]
    found = plain_json(shape(made.scope, selected).of(value(), made.raw))
    assert list(found) == ["completeness", "facilities"]
    assert found["facilities"] == [{"outcome": line["outcome"]} for line in value()["facilities"]]


def test_null_stays_null() -> None:
    assert Shape("X", ()).of(None, {}) is None and Shape("X", ()).of([None, {}], {}) == [None, {}]


def everything(seed: int) -> Any:
    """A ledger of random lines under GraphQL names, as coverage.as_value makes them."""
    rng = random.Random(seed)

    def texts() -> Any:
        return {language: f"{language} {rng.random()}" for language in ("VI", "EN")}

    def line(number: int) -> Any:
        kinds = [
            {"kind": kind.value, "outcome": rng.choice(list(Outcome)).value, "reason": None, "records": number}
            for kind in rng.sample(list(RecordKind), rng.randrange(4))
        ]
        return {
            "facility": {"code": f"{number:05}", "name": "Bệnh viện"}, "outcome": "ANSWERED", "reason": rng.choice([None, "X"]),
            "kinds": kinds, "records": number, "failedItems": 0, "tookMs": rng.choice([None, 3]), "asOf": "2026-03-01",
            "feedLagSeconds": None, "advice": texts(),
        }  # fmt: skip

    numbers = {name: rng.randrange(50) for name in ("registered", "connected", "current", "located")}
    notices = {language: [str(rng.random())] * rng.randrange(3) for language in ("VI", "EN")}
    lines = [line(n) for n in range(rng.randrange(4))]
    return {"completeness": "UNCERTAIN", "facilities": lines, "summary": texts(), "notices": notices, **numbers}


def resolved(type_name: str, value: Any) -> Any:
    """The same for the naive executor: type names on every object, a function for every text in two languages."""
    if isinstance(value, list):
        return [resolved(type_name, item) for item in value]
    out: Any = {"__typename": type_name}
    for name, field in CITY_SCHEMA.type_map[type_name].fields.items():  # type: ignore[attr-defined]
        inner = get_named_type(field.type)
        if "language" in field.args:
            out[name] = lambda language, texts=value[name]: texts[language]
        else:
            out[name] = resolved(inner.name, value[name]) if hasattr(inner, "fields") else value[name]
    return out


@settings(max_examples=100, deadline=None, phases=[Phase.generate])  # a smaller seed is no smaller query
@given(st.integers(0, 2**32))
def test_any_selection_of_the_ledger_is_shaped_as_graphql_itself_would(seed: int) -> None:
    drawn = Drawn(seed)
    body = f"located {drawn.inside('Coverage', ' '.join(drawn.on('Coverage', 3) for _ in range(3)))}"
    query = trimmed(question("", drawn.declared, f"coverage {{ {body} }}", drawn.rest))
    variables = {n: v for n, v in drawn.variables().items() if n in Names(query).used}
    ledger = everything(seed)
    asked = compiled(query, **variables)
    (selected,) = asked.subquery.answer
    root = {"patient": lambda by, access, **_: {"coverage": resolved("Coverage", ledger)}}
    access = {"by": {"kind": "CCCD", "value": "x"}, "access": {"purpose": "TREAT", "basis": "GRANT"}}
    expected = plain.answer(CITY_SCHEMA, query, root, {**access, **variables})["patient"]["coverage"]
    made = shape(asked.scope, selected)
    assert msgspec.json.encode(made.of(ledger, asked.raw)) == msgspec.json.encode(
        expected
    )  # in the client's order, too
    lines, cut = ledger["facilities"], seed % (len(ledger["facilities"]) + 1)
    twice = {line["facility"]["code"]: line for line in [*lines[:1], *lines[cut:]]}  # the first may be in both
    ledger["facilities"] = Tailed(lines[:cut], Tail(twice), frozenset(line["facility"]["code"] for line in lines[:cut]))
    if cut:
        for _ in ("made", "remembered"):
            assert msgspec.json.encode(made.of(ledger, asked.raw)) == msgspec.json.encode(expected)


def test_a_tail_is_written_anew_for_another_language_and_another_shape() -> None:
    def lines(coverage: str, **variables: str) -> Any:
        return shaped(coverage, ", $l: Language!", **variables)["facilities"]

    by_variable = "coverage { completeness facilities { advice(language: $l) } }"
    vietnamese, english = lines(by_variable, l="VI"), lines(by_variable, l="EN")
    assert vietnamese[1] != english[1] and vietnamese == lines(by_variable, l="VI")
    assert shaped("coverage { completeness facilities { outcome } }")["facilities"][1] == {"outcome": "LOCATOR_BEHIND"}


def test_a_language_given_as_null_is_the_default_one() -> None:
    """A variable that may be null is valid GraphQL where the argument has a default."""
    selection = "coverage { completeness summary(language: $l) facilities { advice(language: $l) } }"
    assert shaped(selection, ", $l: Language = EN", l=None) == shaped(selection.replace("$l", "VI"))
