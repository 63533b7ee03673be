"""Values of the insurer's XML: dates, numbers, lists, text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.feeds.bhyt import codes, values
from schema.scalars import DECIMAL, PARTIAL_DATE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261110", "2026-11-10"),
        ("202611100815", "2026-11-10T08:15+07:00"),
        ("20261110081559", "2026-11-10T08:15:59+07:00"),
        ("198003140000", "1980-03-14"),
        ("195000000000", "1950"),
        ("19500000", "1950"),
        ("19500700", "1950-07"),
        ("00000000", None),
        ("9/3/2026", "2026-03-09"),
        ("09/03/2026 14:05", "2026-03-09T14:05+07:00"),
    ],
)
def test_a_date_keeps_the_precision_it_was_written_with(text: str, expected: str | None) -> None:
    assert values.partial_date(text) == expected


@pytest.mark.parametrize(
    "text", ["20260230", "202613450815", "2026111", "202611102500", "hôm qua", "31/02/2026", "٢٠٢٦١١١٠"]
)
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        values.partial_date(text)


@given(st.text(alphabet="0123456789/: ", max_size=20))
def test_any_date_that_is_read_is_a_partial_date(text: str) -> None:
    try:
        value = values.partial_date(text)
    except ValueError:
        return
    assert value is None or PARTIAL_DATE.fullmatch(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("28.000", "28.000"),
        ("007.50", "7.50"),
        (".5", "0.5"),
        ("0", "0"),
        ("-1.2", "-1.2"),
        ("5.", "5"),
        ("000", "0"),
    ],
)
def test_a_number_keeps_its_digits(text: str, expected: str) -> None:
    assert values.decimal(text) == expected


@pytest.mark.parametrize("text", ["", ".", "-", "1,5", "1e3", "12 viên", "1.2.3", "9" * 19])
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        values.decimal(text)


@given(st.text(alphabet="0123456789.-+,e", max_size=40))
def test_any_number_that_is_read_is_a_decimal_of_the_contract(text: str) -> None:
    try:
        value = values.decimal(text)
    except ValueError:
        return
    assert DECIMAL.fullmatch(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.40", ("5.40", None)),
        ("< 0.01", ("0.01", "<")),
        ("≥200", ("200", ">=")),
        ("Âm tính", None),
        ("5 - 6", None),
    ],
)
def test_a_result_is_a_quantity_only_when_it_reads_as_a_number(text: str, expected: object) -> None:
    assert values.measured(text) == expected


def test_lists_lose_empty_places_and_repeats_but_aligned_lists_keep_their_places() -> None:
    assert values.split_list("I10; E11.9 ;;I10;") == ("I10", "E11.9")
    assert values.aligned_list("01006;;01003;") == ("01006", "", "01003")


def test_text_is_composed_and_freed_of_invisible_characters() -> None:
    written = unicodedata.normalize("NFD", "Sốt cao") + "\u00a0\u200bđau\ufeff đầu &lt;2 ngày&gt;\x07 "
    assert values.clean(written) == "Sốt cao đau đầu <2 ngày>"


@given(st.text(max_size=60))
def test_cleaned_text_is_always_storable(text: str) -> None:
    cleaned = values.clean(text)
    assert unicodedata.is_normalized("NFC", cleaned) and "\x00" not in cleaned
    cleaned.encode("utf-8")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("I10", "I10"),
        ("E119", "E11.9"),
        ("E11.9", "E11.9"),
        ("g63.2*", "G63.2"),
        ("A17.0†", "A17.0"),
        ("Tăng HA", None),
    ],
)
def test_an_icd10_code_gets_its_dot_and_keeps_what_was_sent(sent: str, code: str | None) -> None:
    body = codes.icd10(sent)
    assert (body["code"], body["asSent"]) == (code, sent)


def test_versions_have_a_fixed_width_so_that_they_order_bytewise() -> None:
    days = ["", "rác", "20261109", "202611101200", "20261110120001", "20261111"]
    assert [values.fixed_width(day) for day in days] == sorted(values.fixed_width(day) for day in days)
    assert {len(values.fixed_width(day)) for day in days} == {14}
