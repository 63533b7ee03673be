"""Every outcome and reason of the ledger: explained in the README, advised in both languages, and reached by a test.

Adding an outcome without any of these fails here.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from gateway import advice
from gateway.line import SOUND
from schema.coverage import Completeness, Language, Outcome
from tests.codes import ROOT
from tests.test_docs import README, rows, section

FAULTS, COMPLETENESS, OPTIONS, PAGES, BREAKERS, VERSIONS = (
    f"tests/{path}.py"
    for path in (
        "end_to_end/test_faults",
        "end_to_end/test_completeness",
        "end_to_end/test_coverage_options",
        "end_to_end/test_pages",
        "end_to_end/test_breakers",
        "end_to_end/test_versions",
    )
)
# The test that reaches each over real processes.
REACHED: dict[Outcome, tuple[str, str]] = {
    Outcome.ANSWERED: (OPTIONS, "test_an_incomplete_answer_fails_for_who_wants_it_so_and_still_says_why"),
    Outcome.EMPTY: (OPTIONS, "test_a_filter_nothing_matches_is_empty_and_one_that_leaves_hospitals_out_says_so"),
    Outcome.NOT_HELD: (COMPLETENESS, "test_allergies_of_xml_only_hospitals_are_not_held_and_the_status_is_unknown"),
    Outcome.NOT_ASKED: (OPTIONS, "test_a_filter_nothing_matches_is_empty_and_one_that_leaves_hospitals_out_says_so"),
    Outcome.LOCATOR_BEHIND: (
        COMPLETENESS,
        "test_a_registered_facility_that_is_not_connected_makes_the_answer_uncertain",
    ),
    Outcome.LAGGING: (COMPLETENESS, "test_a_feed_silent_for_three_weeks_makes_the_answer_incomplete"),
    Outcome.WITHHELD: (OPTIONS, "test_rows_of_another_birth_date_are_withheld_with_their_reason"),
    Outcome.REFUSED: (OPTIONS, "test_a_node_that_does_not_trust_the_gateway_refuses"),
    Outcome.UNREACHABLE: (FAULTS, "test_a_killed_process_is_unreachable_and_back_after_a_restart"),
    Outcome.TIMED_OUT: (FAULTS, "test_a_hung_process_is_timed_out_and_answers_again_when_it_wakes"),
    Outcome.INVALID_RESPONSE: (FAULTS, "test_a_misbehaving_node_loses_only_its_own_part"),
    Outcome.TRUNCATED: (PAGES, "test_what_a_hospital_could_not_give_comes_late_by_the_gap_cursor"),
    Outcome.CIRCUIT_OPEN: (
        BREAKERS,
        "test_a_failing_node_s_circuit_opens_for_all_its_facilities_alone_and_closes_when_it_is_well",
    ),
    Outcome.UNSUPPORTED: (VERSIONS, "test_what_an_old_node_cannot_be_asked_is_in_the_ledger_and_nobody_else_suffers"),
    Outcome.OVER_BUDGET: (BREAKERS, "test_a_node_without_room_is_over_budget_and_costs_nobody_else_a_row"),
}


@cache
def functions(file: str) -> dict[str, str]:
    """The source of each test of a file, with its decorators."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return found


def outcome_rows() -> dict[str, list[str]]:
    return {row[0].strip("`"): row for row in rows(section(README, "### Outcomes in the ledger")) if len(row) == 3}


@pytest.mark.parametrize("outcome", list(Outcome), ids=lambda o: o.value)
def test_every_outcome_has_advice_in_both_languages_a_row_and_a_test(outcome: Outcome) -> None:
    for language in Language:
        assert advice.ADVICE[outcome][language.value].strip()
    _, meaning, complete = outcome_rows()[outcome.value]
    assert meaning
    assert complete.startswith(
        "yes" if outcome in SOUND else "UNCERTAIN" if outcome is Outcome.LOCATOR_BEHIND else "no"
    )
    file, test = REACHED[outcome]
    assert test in functions(file), f"{file} has no {test}"
    assert f'"{outcome.value}"' in functions(file)[test], f"{test} does not look at {outcome.value}"


def test_the_rows_stand_in_the_order_in_which_outcomes_worsen() -> None:
    named = [name for name in outcome_rows() if name in Outcome.__members__]
    assert named == [outcome.value for outcome in Outcome]


def reason_rows() -> list[tuple[str, frozenset[Outcome]]]:
    """(reason, the outcomes it is said to go with) for every reason of the README."""
    table = section(README, "### Outcomes in the ledger").partition("| reason | with |")[2]
    found: list[tuple[str, frozenset[Outcome]]] = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            named = frozenset(Outcome(word) for word in re.findall(r"[A-Z_]+", cells[1]) if word in Outcome.__members__)
            found += [(reason, named) for reason in re.findall(r"`([A-Z0-9_]+)`", cells[0])]
    return found


def test_every_reason_the_readme_names_has_advice_with_its_outcome_and_none_is_left_over() -> None:
    told = set(reason_rows())
    assert len(told) > 20
    anywhere = {(reason, outcomes) for reason, outcomes in told if reason in advice.COPIES or reason == "FAILED_ITEMS"}
    assert {reason for reason, _ in anywhere} == {"FAILED_ITEMS", *advice.COPIES}
    for reason, outcomes in told - anywhere:
        assert outcomes, reason
        for outcome in outcomes:
            assert reason == advice.HTTP or (outcome, reason) in advice.REASONS, (outcome, reason)
    pairs = {(outcome, reason) for reason, outcomes in told for outcome in outcomes}
    assert advice.REASONS.keys() == {pair for pair in pairs if pair[1] != advice.HTTP}


def test_every_text_is_there_in_both_languages_and_differs_between_them() -> None:
    texts = [*advice.ADVICE.values(), *advice.REASONS.values(), *advice.SUMMARY.values()]
    texts += [value for value in vars(advice).values() if isinstance(value, dict) and value.keys() == {"VI", "EN"}]
    assert len(texts) > 40 and advice.SUMMARY.keys() == set(Completeness)
    for text in texts:
        assert text.keys() == {language.value for language in Language}
        vi, en = text["VI"], text["EN"]
        assert re.search(r"[ăâđêôơư\u1ea0-\u1ef9áàãéèíìóòõúùý]", vi.lower()), vi
        assert en.isascii() and vi != en and min(len(vi), len(en)) > 8


def test_a_reason_counts_only_with_its_own_outcome() -> None:
    known = advice.of(Outcome.WITHHELD, "IDENTITY_CONFLICT")
    assert known is not advice.ADVICE[Outcome.WITHHELD]
    assert advice.of(Outcome.TIMED_OUT, "IDENTITY_CONFLICT") is advice.ADVICE[Outcome.TIMED_OUT]
    assert advice.of(Outcome.REFUSED, "HTTP_403") is advice.ADVICE[Outcome.REFUSED]
    assert advice.of(Outcome.WITHHELD, None) is advice.ADVICE[Outcome.WITHHELD]
