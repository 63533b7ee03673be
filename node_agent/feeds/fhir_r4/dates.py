"""FHIR date, dateTime and instant -> PartialDate in Vietnam's local time, as precise as it was written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from schema.scalars import VIETNAM

_SHAPE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


def partial_date(text: str) -> tuple[str, bool]:
    """(PartialDate, whether the zone was missing and Vietnam's taken). ValueError when the text is no FHIR
    date.

    A fraction beyond microseconds is cut; second 60 is the next minute. 2024-01-01T23:30:00Z is the day
    after in Hanoi.
    """
    found = _SHAPE.fullmatch(text)
    if not found:
        raise ValueError("not a FHIR date")
    part = found.groupdict()
    year, month, day = int(part["year"]), int(part["month"] or 1), int(part["day"] or 1)
    if part["hour"] is None:
        datetime(year, month, day)
        return text, False
    second = int(part["second"] or 0)
    leap = second == 60
    moment = datetime(
        year,
        month,
        day,
        int(part["hour"]),
        int(part["minute"]),
        59 if leap else second,
        tzinfo=_zone(part["zone"]),
    )
    try:
        local = (moment + timedelta(seconds=leap)).astimezone(VIETNAM)
    except OverflowError:
        raise ValueError("outside the calendar") from None
    # strftime drops leading zeros of years before 1000 on some platforms; isoformat does not.
    made = local.replace(tzinfo=None).isoformat(timespec="seconds" if part["second"] else "minutes")
    if part["fraction"]:
        made += "." + part["fraction"][:6]
    return made + "+07:00", part["zone"] is None


def version_time(text: str) -> str:
    """meta.lastUpdated as fixed-width UTC text that orders bytewise; ValueError when it is no moment."""
    made = partial_date(text)[0]
    moment = datetime.fromisoformat(made)
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _zone(text: str | None) -> timezone:
    if text is None:
        return VIETNAM
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("no such zone")
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
