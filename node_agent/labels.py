"""Labels of sensitive records, set at ingest from the dated table feeds/codes/sensitive.csv. No policy: who may see what is access.py.

The unit rule (applied in store/supersede.py, over what is current): when the unit itself, or any record of it but a test,
is labelled HIV or PSYCHIATRIC, every record of that unit is, since having been there is the sensitive fact. Other labels stay on the
records that carry them, and on the unit's encounter, documents, referrals and appointments, which repeat diagnoses in
words. A labelled test closes itself and the documents of its visit; a certificate closes only itself.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import cache
from importlib.resources import files
from typing import Any

from node_agent.errors import ContractViolation
from node_agent.records import ParsedRecord, ParsedUnit
from schema.elements import RecordKind


class Label(IntFlag):
    """A bit each; the numbers are in the store and never change."""

    HIV = 1
    TB = 2
    PSYCHIATRIC = 4
    REPRODUCTIVE = 8
    GENETIC = 16
    ABUSE = 32
    SUBSTANCE = 64
    CERTIFICATE = 128  # a paper for the insurer or the registrar; closed itself, says nothing secret of the visit


# Having been there is itself what must not be known (DESIGN 7).
ATTENDANCE = Label.HIV | Label.PSYCHIATRIC
# A screening test done in passing (HIV in pregnancy) is closed itself; the visit in which it was done is no secret.
TESTS = frozenset(k.value for k in (RecordKind.OBSERVATION, RecordKind.PROCEDURE, RecordKind.DIAGNOSTIC_REPORT))
REPEATS_UNIT = frozenset(
    k.value
    for k in (
        RecordKind.ENCOUNTER,
        RecordKind.DOCUMENT_REFERENCE,
        RecordKind.REFERRAL,
        RecordKind.APPOINTMENT,
    )
)
_ICD = re.compile(r"[A-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of sensitive.csv. system: icd10, test, drug, snomed, term, regimen or table; match: prefix, exact, word."""

    label: Label
    system: str
    code: str
    match: str
    valid_from: str
    reviewed: str
    note: str


@cache
def rules() -> tuple[Rule, ...]:
    """The table, in file order."""
    text = files("node_agent.feeds").joinpath("codes/sensitive.csv").read_text("utf-8")
    return tuple(
        Rule(Label[r["label"]], r["system"], r["code"], r["match"], r["valid_from"], r["reviewed"], r["note"])
        for r in csv.DictReader(text.splitlines())
    )


def labels_of(record: ParsedRecord) -> int:
    """The label bits of one record by itself: the feed's, its table's, its codes', its words' and its regimens'."""
    bits = _named(record.labels, record.table) | _table_labels([record.table])
    words: list[str] = []
    for code in _walk(record.body, words):
        bits |= _code_labels(*code)
    text = fold("\n".join(words))
    return int(bits | _term_labels(text) | _regimen_labels(text))


def unit_labels(unit: ParsedUnit) -> int:
    """The label bits of the unit as a whole: the feed's, its tables', and regimens whose drugs lie in several records.

    A table counts by its records: exporters send the HIV and tuberculosis tables of everybody, with blank rows.
    """
    drugs = (RecordKind.PRESCRIPTION, RecordKind.MEDICATION_ADMINISTRATION)
    words: list[str] = []
    for record in unit.records:
        if record.kind in drugs:
            list(_walk(record.body, words))
    return int(
        _named(unit.labels, "*")
        | _table_labels(r.table for r in unit.records)
        | _regimen_labels(fold("\n".join(words)))
    )


def fold(text: str) -> str:
    """Lower case without Vietnamese marks: 'Tâm thần' -> 'tam than', so that unmarked and decomposed spellings match."""
    plain = unicodedata.normalize("NFD", text.casefold()).replace("đ", "d")
    return plain if plain.isascii() else "".join(c for c in plain if not unicodedata.combining(c))


def normal(code: str) -> str:
    """'b20.1*' -> 'B201'."""
    return re.sub(r"[.*†\s]", "", code).upper()


def _named(names: Iterable[str], table: str) -> Label:
    try:
        return _any(Label[name] for name in names)
    except KeyError:
        raise ContractViolation(table, "labels", "nhãn lạ", "unknown label") from None


def _any(labels: Iterable[Label]) -> Label:
    bits = Label(0)
    for label in labels:
        bits |= label
    return bits


def _walk(value: Any, words: list[str]) -> Iterator[tuple[str, str]]:
    """(system, code) of everything that looks like a Code; every string lands in `words`."""
    if isinstance(value, dict):
        system = str(value.get("system") or "").lower()
        for key in ("code", "asSent"):
            if isinstance(code := value.get(key), str):
                yield system, code
        for item in value.values():
            yield from _walk(item, words)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, words)
    elif isinstance(value, str):
        words.append(value)


@cache
def _code_labels(system: str, code: str) -> Label:
    text = normal(code)
    icd = "icd-10" in system or "icd10" in system or (not system and _ICD.fullmatch(code.strip().upper()) is not None)
    bits = Label(0)
    for rule in rules():
        if rule.system not in ("icd10", "test", "drug", "snomed") or (rule.system == "icd10") != icd:
            continue
        wanted = normal(rule.code)
        if text == wanted or (rule.match == "prefix" and text.startswith(wanted)):
            bits |= rule.label
    return bits


def _table_labels(tables: Iterable[str]) -> Label:
    held = frozenset(tables)
    return _any(r.label for r in rules() if r.system == "table" and r.code in held)


@cache
def _terms() -> tuple[tuple[Label, str, re.Pattern[str]], ...]:
    """(label, words, pattern): looking for the words first is twenty times cheaper than the pattern, and mostly enough."""
    found = [(r, fold(r.code)) for r in rules() if r.system == "term"]
    tails = {"prefix": "", "word": r"(?!\w)"}
    return tuple((r.label, words, re.compile(rf"(?<!\w){re.escape(words)}{tails[r.match]}")) for r, words in found)


def _term_labels(text: str) -> Label:
    return _any(label for label, words, pattern in _terms() if words in text and pattern.search(text))


@dataclass(frozen=True, slots=True)
class _Regimen:
    label: Label
    first: tuple[str, ...]  # the names of its first drug: without one of them there is no need to look further
    parts: tuple[re.Pattern[str], ...]


@cache
def _regimens() -> tuple[_Regimen, ...]:
    made = []
    for rule in rules():
        if rule.system == "regimen":
            parts = rule.code.split("+")
            first = tuple(re.findall(r"[a-z0-9]{3,}", parts[0].replace(r"\b", "")))
            made.append(_Regimen(rule.label, first, tuple(re.compile(rf"(?<![^\W\d_])(?:{p})") for p in parts)))
    return tuple(made)


def _regimen_labels(text: str) -> Label:
    return _any(
        regimen.label
        for regimen in _regimens()
        if any(name in text for name in regimen.first) and all(part.search(text) for part in regimen.parts)
    )
