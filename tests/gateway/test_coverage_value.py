"""The ledger as clients read it: every field of the GraphQL type, every text in both languages, for every outcome."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    is_list_type,
    is_non_null_type,
)
from hypothesis import HealthCheck, given, settings

from gateway.advice import ADVICE, DOUBTFUL, FAILED_ITEMS, NONE_LOCATED, SUMMARY, text
from gateway.coverage import Assessment
from gateway.ledger import as_value
from gateway.line import SOUND, Line
from schema.coverage import Completeness, Language, Outcome
from schema.elements import RecordKind
from schema.scalars import PARTIAL_DATE
from tests.gateway.asking import CITY_SCHEMA, city, compiled, question, state
from tests.gateway.ledgers import Made, assessed

CITY = city(state("A"), state("B"))
NOTICES = [text("một", "one"), text("hai", "two")]
PLAIN_TYPES: dict[str, type] = {"Int": int, "String": str, "Boolean": bool, "ID": str, "PartialDate": str}


def conforms(value: Any, field: GraphQLField) -> None:
    """Fails unless the value is what this field promises; a text that depends on the language is there in all of them."""
    if "language" in field.args:
        assert value.keys() == {language.value for language in Language}
        for written in value.values():
            is_of(written, field.type)
            assert written and all(written)
    else:
        is_of(value, field.type)


def is_of(value: Any, kind: GraphQLOutputType) -> None:
    if is_non_null_type(kind):
        assert value is not None
        is_of(value, kind.of_type)
    elif value is None:
        return
    elif is_list_type(kind):
        for item in value:
            is_of(item, kind.of_type)
    elif isinstance(kind, GraphQLObjectType):
        assert value.keys() == kind.fields.keys()
        for name, field in kind.fields.items():
            conforms(value[name], field)
    elif isinstance(kind, GraphQLEnumType):
        assert value in kind.values
    else:
        assert isinstance(kind, GraphQLScalarType) and type(value) is PLAIN_TYPES[kind.name]
        assert kind.name != "PartialDate" or PARTIAL_DATE.fullmatch(str(value))


def assessment(*lines: Line, completeness: Completeness = Completeness.INCOMPLETE) -> Assessment:
    return Assessment(completeness, lines, (), 2, 2, 2)


def one(line: Line) -> Any:
    """The only line of a ledger, by GraphQL names."""
    (shown,) = as_value(assessment(line), CITY, NOTICES)["facilities"]
    return shown


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(assessed())
def test_every_ledger_has_every_field_of_its_type_in_every_language(made: Made) -> None:
    value = as_value(made.ledger, made.city, NOTICES)
    is_of(value, CITY_SCHEMA.type_map["Coverage"])  # type: ignore[arg-type]
    for facility in value["facilities"]:
        assert facility["records"] == sum(kind["records"] for kind in facility["kinds"])
        assert facility["facility"]["name"] == f"Bệnh viện {facility['facility']['code']}"
    assert [value[n] for n in ("registered", "connected", "current", "located")] == [
        len(made.city.facilities),
        sum(s.node_id is not None for s in made.city.facilities.values()),
        len(made.city.facilities) - len(made.stale),
        len(made.ledger.located),
    ]


@pytest.mark.parametrize(("outcome", "failed", "doubtful"), list(product(Outcome, (0, 1), (False, True))))
def test_every_outcome_is_shown_with_its_advice(outcome: Outcome, failed: int, doubtful: bool) -> None:
    kinds = ((RecordKind.ENCOUNTER, outcome, "WHY", 3),)
    shown = one(Line("A", outcome, None, kinds, failed, 7, "2026-03-01", 5, doubtful))
    is_of(shown, CITY_SCHEMA.type_map["FacilityCoverage"])  # type: ignore[arg-type]
    expected = ADVICE[outcome]
    if outcome in SOUND and failed:
        expected = FAILED_ITEMS
    elif outcome in SOUND and doubtful:
        expected = DOUBTFUL
    assert (shown["outcome"], shown["advice"], shown["failedItems"]) == (outcome.value, expected, failed)
    assert shown["kinds"] == [{"kind": "ENCOUNTER", "outcome": outcome.value, "reason": "WHY", "records": 3}]
    assert (shown["records"], shown["tookMs"], shown["asOf"], shown["feedLagSeconds"]) == (3, 7, "2026-03-01", 5)


def test_no_two_outcomes_have_the_same_advice() -> None:
    for language in Language:
        told = [advice[language.value] for advice in (*ADVICE.values(), DOUBTFUL, FAILED_ITEMS)]
        assert len(set(told)) == len(Outcome) + 2


@pytest.mark.parametrize("completeness", list(Completeness))
def test_every_completeness_has_its_own_summary_and_nobody_located_another(completeness: Completeness) -> None:
    line = Line("A", Outcome.ANSWERED, None)
    value = as_value(assessment(line, completeness=completeness), CITY, NOTICES)
    assert (value["completeness"], value["summary"]) == (completeness.value, SUMMARY[completeness])
    assert as_value(assessment(completeness=completeness), CITY, [])["summary"] == NONE_LOCATED
    for language in Language:
        assert len({t[language.value] for t in (*SUMMARY.values(), NONE_LOCATED)}) == len(Completeness) + 1


def test_notices_keep_their_order_in_both_languages() -> None:
    assert as_value(assessment(), CITY, NOTICES)["notices"] == {"VI": ["một", "hai"], "EN": ["one", "two"]}


def test_a_facility_the_registry_has_forgotten_is_shown_by_its_code() -> None:
    assert one(Line("Z", Outcome.UNREACHABLE, "NODE_NOT_CONNECTED"))["facility"] == {"code": "Z", "name": "Z"}


def test_a_warning_is_never_how_a_client_learns_of_a_partial_answer() -> None:
    """What programs read are enum values; the texts are for people and may change."""
    asked = compiled(
        question("", coverage="coverage { completeness facilities { outcome v: advice e: advice(language: EN) } }")
    )
    ((_, shape),) = asked.prepared.coverage
    for outcome in Outcome:
        made = assessment(Line("A", outcome, None))
        shown = msgspec.json.decode(msgspec.json.encode(shape.of(as_value(made, CITY, []), {})))
        texts = {"v": ADVICE[outcome]["VI"], "e": ADVICE[outcome]["EN"]}
        assert shown == {"completeness": "INCOMPLETE", "facilities": [{"outcome": outcome.value, **texts}]}
