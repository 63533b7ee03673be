"""Scalars of the contract: PartialDate and Decimal. Both travel as strings."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import NewType

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

PartialDate = NewType("PartialDate", str)
Decimal = NewType("Decimal", str)

VIETNAM = timezone(timedelta(hours=7))  # the whole country, without summer time
PARTIAL_DATE = re.compile(
    r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])"
    r"(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?\+07:00)?)?)?",
    re.ASCII,
)
DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,40})?", re.ASCII)


def parse_partial_date(value: object) -> str:
    """The value itself when it is a year, month, day, minute, second or fraction in Vietnam's local time; else ValueError."""
    if not isinstance(value, str) or not PARTIAL_DATE.fullmatch(value):
        raise ValueError("PartialDate must be YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.ffffff]]+07:00")
    return value


def parse_decimal(value: object) -> str:
    """The value itself when it is a plain decimal string; else ValueError. A float would lose what was written."""
    if not isinstance(value, str) or not DECIMAL.fullmatch(value):
        raise ValueError("Decimal must be a string such as 12 or 0.500")
    return value


def local_time(seconds: float) -> PartialDate:
    """Unix seconds in Vietnam's local time, to the second."""
    return PartialDate(datetime.fromtimestamp(seconds, VIETNAM).isoformat(timespec="seconds"))


def sort_time(value: str | None) -> str:
    """A fixed-width, bytewise ordered key in Vietnam's local time; '' for undated, which sorts last (DESIGN 5, order).

    The stated rule for partial dates: the unknown part counts as its earliest moment, so '2024' sorts as
    2024-01-01T00:00:00.000000.
    """
    if not value:
        return ""
    full = value.removesuffix("+07:00")
    return full + "0000-01-01T00:00:00.000000"[len(full) :]


SCALARS: dict[object, ScalarDefinition] = {
    PartialDate: strawberry.scalar(
        name="PartialDate",
        description="Năm, tháng, ngày hoặc phút, giờ Việt Nam. A date as precise as it was recorded: YYYY, YYYY-MM, "
        "YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.ffffff]]+07:00, in Vietnam's local time.",
        serialize=str,
        parse_value=parse_partial_date,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Số thập phân dạng chuỗi. A decimal number as a string, with the digits as recorded.",
        serialize=str,
        parse_value=parse_decimal,
    ),
}


def schema_config() -> StrawberryConfig:
    """The configuration both schemas share: camelCase names and the contract's scalars."""
    return StrawberryConfig(auto_camel_case=True, scalar_map=SCALARS)
