"""Partial dates and decimals: what is taken, and one order for all precisions."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.filters import chosen_kinds, period_bounds
from schema.scalars import parse_decimal, parse_partial_date, sort_time

GOOD_DATES = [
    "2024",
    "2024-02",
    "2024-02-29",
    "2024-02-29T07:30+07:00",
    "2024-02-29T07:30:15+07:00",
    "2024-02-29T07:30:15.123456+07:00",
    "0001",
    "9999-12-31T23:59:59.9+07:00",
]
BAD_DATES = ["", " ", "24", "2024-", "2024-13", "2024-00", "2024-01-32", "2024-01-00", "2024-01-01T24:00+07:00", "2024-01-01T07:60+07:00", "2024-01-01T07:30", "2024-01-01T07:30Z", "2024-01-01T07:30+08:00", "2024-01-01T07:30:15.1234567+07:00", "2024-01-01 07:30+07:00", "2024\n", "２０２４", "2024-2", "-2024", 2024, None, True, b"2024", ["2024"]]  # fmt: skip
GOOD_DECIMALS = ["0", "12", "-12", "0.500", "-0.1", "123456789012345678", "1.0000000000000000000000000000000000000001"]
BAD_DECIMALS = [
    "",
    "00",
    "01",
    "+1",
    "1.",
    ".5",
    "1e3",
    "1,5",
    "NaN",
    "Infinity",
    " 1",
    "1\n",
    "１",
    "--1",
    1,
    1.5,
    None,
    True,
]


@pytest.mark.parametrize("value", GOOD_DATES)
def test_a_date_of_any_precision_is_itself(value: str) -> None:
    assert parse_partial_date(value) == value
    assert len(sort_time(value)) == 26


@pytest.mark.parametrize("value", BAD_DATES, ids=repr)
def test_what_is_no_partial_date_is_refused_without_quoting_it(value: object) -> None:
    with pytest.raises(ValueError, match="PartialDate must be") as caught:
        parse_partial_date(value)
    assert not (isinstance(value, str) and len(value) > 5 and value in str(caught.value))


@pytest.mark.parametrize("value", GOOD_DECIMALS)
def test_a_decimal_keeps_its_digits(value: str) -> None:
    assert parse_decimal(value) == value


@pytest.mark.parametrize("value", BAD_DECIMALS, ids=repr)
def test_what_is_no_decimal_string_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="Decimal must be"):
        parse_decimal(value)


moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


def text_of(moment: datetime, precision: str) -> str:
    match precision:
        case "year":
            return f"{moment:%Y}"
        case "month":
            return f"{moment:%Y-%m}"
        case "day":
            return f"{moment:%Y-%m-%d}"
        case "minute":
            return f"{moment:%Y-%m-%dT%H:%M}+07:00"
        case "second":
            return f"{moment:%Y-%m-%dT%H:%M:%S}+07:00"
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}+07:00"


def earliest(moment: datetime, precision: str) -> datetime:
    """The first moment that a date of this precision can mean."""
    start = {"year": {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}, "month": {"day": 1, "hour": 0, "minute": 0, "second": 0}, "day": {"hour": 0, "minute": 0, "second": 0}, "minute": {"second": 0}, "second": {}}  # fmt: skip
    return moment if precision == "fraction" else moment.replace(microsecond=0, **start[precision])  # type: ignore[arg-type]


precisions = st.sampled_from(["year", "month", "day", "minute", "second", "fraction"])


@given(moments, precisions, moments, precisions)
def test_the_bytes_of_sort_times_order_as_the_earliest_moments_do(a: datetime, p: str, b: datetime, q: str) -> None:
    left, right = sort_time(text_of(a, p)), sort_time(text_of(b, q))
    assert (left.encode() < right.encode()) == (earliest(a, p) < earliest(b, q))
    assert datetime.fromisoformat(left) == earliest(a, p)
    assert parse_partial_date(text_of(a, p))


def test_undated_sorts_below_every_date() -> None:
    assert sort_time(None) == sort_time("") == "" < sort_time("0001")


@given(moments, precisions, moments)
def test_a_partial_end_of_a_period_means_its_last_moment(end: datetime, precision: str, row: datetime) -> None:
    low, high = period_bounds(None, text_of(end, precision))
    inside = earliest(row, precision) <= earliest(end, precision)  # the row's own year, day … is not after the end's
    assert (low <= sort_time(text_of(row, "fraction")) < high) is inside


@given(moments, precisions, moments)
def test_a_partial_start_of_a_period_means_its_first_moment(start: datetime, precision: str, row: datetime) -> None:
    low, high = period_bounds(text_of(start, precision), None)
    assert (low <= sort_time(text_of(row, "fraction")) < high) is (row >= earliest(start, precision))


def test_undated_rows_match_only_an_open_start() -> None:
    for start, inside in ((None, True), ("2024", False)):
        low, high = period_bounds(start, "2025")
        assert (low <= sort_time(None) < high) is inside


def test_one_kind_means_a_list_of_one_and_none_means_all() -> None:
    assert chosen_kinds({"kinds": "ENCOUNTER"}) == ("ENCOUNTER",) == chosen_kinds({"kinds": ["ENCOUNTER"]})
    assert chosen_kinds(None) is chosen_kinds({}) is chosen_kinds({"kinds": None}) is None
    assert chosen_kinds({"kinds": []}) == ()


def test_a_leap_day_is_ordered_between_its_neighbours() -> None:
    days = [date(2024, 2, 27) + timedelta(n) for n in range(5)]
    assert [sort_time(str(d)) for d in days] == sorted(sort_time(str(d)) for d in days)
