"""Sensitive records are recognised: every row of the table by example, and what must not be taken for one."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest

from node_agent.errors import ContractViolation
from node_agent.labels import Label, Rule, labels_of, rules, unit_labels
from node_agent.records import ParsedRecord
from schema.elements import RecordKind
from tests.node_agent.visits import condition, encounter, hoso, observation

# What a regimen's parts are called on a prescription, for the names in sensitive.csv.
DRUGS = {
    "(?:tenofovir": "Tenofovir disoproxil fumarat 300mg",
    "(?:lamivudin": "Lamivudine 300mg",
    "(?:emtricitabin": "Emtricitabin 200mg",
    "(?:dolutegravir": "Dolutegravir 50mg",
    "(?:efavirenz": "Efavirenz 600mg",
    "(?:nevirapin": "Nevirapine 200mg",
    "(?:zidovudin": "Zidovudine 300mg",
    "(?:abacavir": "Abacavir 600mg",
    "(?:lopinavir": "Lopinavir 200mg",
    "(?:ritonavir": "Ritonavir 50mg",
}


def drug_names(rule: Rule) -> list[str]:
    return [DRUGS[part.split("|")[0].rstrip(")")] for part in rule.code.split("+")]


def prescription(*drugs: str, key: str = "p") -> ParsedRecord:
    items = [{"position": n, "drug": drug} for n, drug in enumerate(drugs)]
    return ParsedRecord(RecordKind.PRESCRIPTION, key, "XML2", {"use": "TAKE_HOME", "items": items})


def note(text: str) -> ParsedRecord:
    return ParsedRecord(RecordKind.DOCUMENT_REFERENCE, "n", "XML5", {"type": {"display": "Diễn biến"}, "text": text})


def example(rule: Rule) -> ParsedRecord:
    """A record that the rule is about."""
    if rule.system == "icd10":
        return condition("c", rule.code + (".1" if "." not in rule.code and rule.match == "prefix" else ""))
    if rule.system in ("test", "snomed", "drug"):
        return observation("o", code={"system": f"http://{rule.system}", "code": rule.code, "display": "x"})
    if rule.system == "table":
        return replace(observation("o"), table=rule.code)
    if rule.system == "regimen":
        return prescription(*drug_names(rule))
    return note(f"Người bệnh: {rule.code}, theo dõi thêm.")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: f"{rule.system}-{rule.code}"[:40])
def test_every_row_of_the_table_labels_its_example_and_is_dated(rule: Rule) -> None:
    assert labels_of(example(rule)) & rule.label
    assert labels_of(observation("o")) == 0
    assert rule.match in ("prefix", "exact", "word")
    assert rule.system in ("icd10", "test", "snomed", "drug", "table", "regimen", "term")
    for date in (rule.valid_from, rule.reviewed):
        assert len(date) == 10
    assert rule.valid_from <= rule.reviewed


@pytest.mark.parametrize("rule", [r for r in rules() if r.system == "regimen"], ids=lambda rule: rule.note[:30])
def test_one_drug_of_a_regimen_is_no_regimen(rule: Rule) -> None:
    for name in drug_names(rule):
        assert labels_of(prescription(name, "Paracetamol 500mg")) == 0


@pytest.mark.parametrize(
    "code", ["B20", "b20.1", "B201", "B20.1*", " B24 ", "Z21", "R75", "Z20.6", "Z206", "O98.7", "F02.4†"]
)
def test_icd_codes_are_recognised_however_they_are_written(code: str) -> None:
    assert labels_of(condition("c", code)) & Label.HIV


def test_a_code_as_sent_counts_where_none_was_understood() -> None:
    record = ParsedRecord(RecordKind.CONDITION, "c", "XML1", {"code": {"asSent": "B20.1"}})
    assert labels_of(record) & Label.HIV


@pytest.mark.parametrize(
    "code", ["B25", "B02.4", "Z20.5", "Z22", "O98.6", "F02.3", "R74", "F17.2", "J20", "A09", "O03"]
)
def test_neighbouring_codes_are_not_labelled(code: str) -> None:
    assert labels_of(condition("c", code)) == 0


@pytest.mark.parametrize(
    "text",
    [
        "HIV",
        "xét nghiệm hiv âm tính",
        "HIV-1 RNA",
        "HIV1/2",
        "Test nhanh HIVAg/Ab",
        "CD4: 350",
        "thuốc ARV",
        "thuoc khang retrovirus",
        "nhiễm AIDS",
    ],
)
def test_words_in_free_text_are_found(text: str) -> None:
    assert labels_of(note(text)) & Label.HIV


@pytest.mark.parametrize(
    "text", ["Tâm thần phân liệt", "TAM THAN PHAN LIET", unicodedata.normalize("NFD", "tâm thần phân liệt")]
)
def test_words_are_found_without_and_with_decomposed_marks(text: str) -> None:
    assert labels_of(note(text)) & Label.PSYCHIATRIC


@pytest.mark.parametrize(
    "text",
    [
        "shivering",
        "archive",
        "hearing aids",
        "Viêm gan B, tenofovir",
        "carvedilol",
        "CD45",
        "lao động",
        "abces + lamivudine",
    ],
)
def test_words_that_only_look_alike_are_not(text: str) -> None:
    assert labels_of(note(text)) == 0


@pytest.mark.parametrize(
    "name", ["TDF/3TC/DTG", "TDF + 3TC + EFV 300/300/400mg", "Lopinavir/ritonavir 200/50mg", "AZT/3TC"]
)
def test_fixed_combinations_are_recognised_by_their_abbreviations(name: str) -> None:
    assert labels_of(prescription(name)) & Label.HIV


def test_hepatitis_b_treatment_is_not_taken_for_hiv() -> None:
    assert labels_of(prescription("Tenofovir disoproxil fumarat 300mg", "Silymarin")) == 0
    assert labels_of(prescription("Lamivudine 100mg")) == 0


def test_a_regimen_over_several_records_labels_the_unit() -> None:
    given = [
        ParsedRecord(RecordKind.MEDICATION_ADMINISTRATION, name, "XML2", {"use": "IN_FACILITY", "drug": name})
        for name in ("Tenofovir 300mg", "Lamivudine 300mg", "Dolutegravir 50mg")
    ]
    assert [labels_of(r) for r in given] == [0, 0, 0]
    assert unit_labels(hoso("1", encounter("e"), *given)) & Label.HIV
    assert unit_labels(hoso("1", encounter("e"), *given[:2])) == 0


def test_a_unit_is_labelled_by_the_tables_of_its_records_and_by_its_feed() -> None:
    assert unit_labels(hoso("1", encounter("e"), replace(observation("o"), table="XML6"))) & Label.HIV
    blank_rows = frozenset({"XML1", "XML6"})  # exporters send the table of everybody
    assert unit_labels(hoso("1", encounter("e"), tables=blank_rows)) == 0
    assert unit_labels(hoso("1", encounter("e"), labels=frozenset({"ABUSE"}))) == Label.ABUSE


def test_a_label_nobody_knows_is_refused() -> None:
    with pytest.raises(ContractViolation):
        labels_of(replace(observation("o"), labels=frozenset({"SECRET"})))


def test_the_bits_never_change() -> None:
    bits = {"HIV": 1, "TB": 2, "PSYCHIATRIC": 4, "REPRODUCTIVE": 8, "GENETIC": 16, "ABUSE": 32, "SUBSTANCE": 64}
    assert {name: Label[name].value for name in bits} == bits
