"""How the demo prints an answer: every word of the contract, no false 'none', nothing that steers a terminal."""

from __future__ import annotations

import io
import subprocess
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, validate
from rich.console import Console

from compose.demo import words
from compose.demo.place import MARK, PlaceRefused, make_anew, running
from compose.demo.question import QUERY
from compose.demo.record_text import date_text, record_lines, result_text
from compose.demo.timeline import show_answer
from schema.coverage import Completeness, Outcome, StatementStatus
from schema.elements import EncounterClass, Gender, MedicationUse, RecordKind

SDL = Path(__file__).resolve().parents[2] / "schema" / "gateway.graphql"
EMPTY: dict[str, Any] = {"edges": [], "pageInfo": {"hasNextPage": False}}


def answer(facility: str = "Bệnh viện A", **changes: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        "facility": {"code": "01001", "name": facility},
        "outcome": "TIMED_OUT",
        "reason": None,
        "records": 0,
        "failedItems": 0,
        "tookMs": None,
        "asOf": None,
        "advice": "Gọi điện.",
        "adviceEn": "Call.",
        "kinds": [],
    }
    coverage = {
        "completeness": "INCOMPLETE",
        "registered": 2,
        "connected": 2,
        "current": 2,
        "located": 1,
        "summary": "THIẾU.",
        "summaryEn": "Missing.",
        "notices": [],
        "noticesEn": [],
        "facilities": [line],
    }
    person = {
        "name": "NGUYỄN VĂN A",
        "birthDate": "1950",
        "gender": None,
        "allergyStatus": "UNKNOWN",
        "medicationStatus": "UNKNOWN",
        "allergies": EMPTY,
        "observations": EMPTY,
        "timeline": EMPTY,
    }
    return {"data": {"patient": {"patient": person | changes, "coverage": coverage}}}


def printed(value: dict[str, Any], width: int = 120) -> str:
    out = io.StringIO()
    show_answer(Console(file=out, width=width), value)
    return out.getvalue()


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (words.KIND, RecordKind),
        (words.OUTCOME, Outcome),
        (words.COMPLETENESS, Completeness),
        (words.STATEMENT, StatementStatus),
        (words.GENDER, Gender),
        (words.ENCOUNTER_CLASS, EncounterClass),
        (words.MEDICATION_USE, MedicationUse),
    ],
)
def test_every_value_of_the_contract_has_words(table: words.Words, values: type[Enum]) -> None:
    assert set(table) == {value.value for value in values}


def test_the_question_is_valid_against_the_printed_schema() -> None:
    assert validate(build_schema(SDL.read_text()), parse(QUERY)) == []


@pytest.mark.parametrize("status", [s.value for s in StatementStatus])
def test_none_is_said_only_where_a_clinician_stated_it(status: str) -> None:
    text = printed(answer(allergyStatus=status))
    line = next(line for line in text.splitlines() if line.startswith("Dị ứng"))
    assert status in line
    assert ("none" in line, "không có" in line) == ((True, True) if status == "STATED_NONE" else (False, False))


@pytest.mark.parametrize("width", [60, 90, 120, 200])
def test_a_missing_hospital_is_named_at_every_width(width: int) -> None:
    text = printed(answer(), width)
    assert "TIMED_OUT" in text and "INCOMPLETE" in text and "Gọi điện." in text
    assert all(len(line) <= width for line in text.splitlines())


def test_a_patient_nobody_located_is_not_shown_as_an_empty_history() -> None:
    value = answer()
    value["data"]["patient"]["patient"] = None
    text = printed(value)
    assert "Timeline" not in text and "INCOMPLETE" in text


def test_what_a_hospital_wrote_cannot_steer_the_terminal() -> None:
    text = printed(answer("[red]A[/red]\x1b[2J\x07"))
    assert "[red]A[/red][2J" in text and "\x1b" not in text and "\x07" not in text


def test_dates_are_printed_as_precise_as_they_were_recorded() -> None:
    assert [date_text(d) for d in ("2026", "2026-11", "2026-11-14", "2026-11-14T09:24+07:00", None)] == [
        "2026",
        "11/2026",
        "14/11/2026",
        "14/11/2026 09:24",
        "",
    ]


def test_a_blood_pressure_is_printed_as_sent_with_its_unit() -> None:
    code = {"code": "85354-9", "display": "Huyết áp", "asSent": None}
    part = {"code": code, "value": "151", "quantity": {"value": "151", "comparator": None, "unit": "mm[Hg]"}}
    node = {"observationCode": code, "value": "151/97", "components": [part, part]}
    assert result_text(node) == "Huyết áp 151/97 mm[Hg]"
    assert result_text(node | {"value": None}) == "Huyết áp Huyết áp 151 mm[Hg], Huyết áp 151 mm[Hg]"


def test_a_row_that_the_newest_file_lacks_says_so() -> None:
    card = {"kind": "INSURANCE_PLAN_CARD", "number": "DN4010123456789", "notResent": True}
    assert record_lines(card)[0].startswith("DN4010123456789")
    assert "not in the newest file" in record_lines(card)[-1]


def test_a_number_that_belongs_to_another_program_now_does_not_block_a_new_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    make_anew(folder)
    other = subprocess.Popen(["sleep", "60"])
    try:
        (folder / MARK).write_text(f"{other.pid}\n")
        assert running(folder) == []
        make_anew(folder)
    finally:
        other.kill()
        other.wait()


def test_only_a_folder_that_a_demo_made_is_removed(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(PlaceRefused, match="left alone"):
        make_anew(tmp_path)
    (tmp_path / MARK).write_text("1\n")
    make_anew(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [MARK]
