"""What the city's state alone says of every answer of a moment, whoever is asked about. Pure; the clock is passed in.

Most of a city may be registered long before it is connected: hundreds of lines that are the same in every answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.city.registry import City
from gateway.line import Line
from schema.coverage import Outcome


@dataclass(frozen=True, slots=True)
class Standing:
    """behind: a line for each registered facility whose locator is not current. silent: whether a connected one's feed is.

    It holds from `since` until `until`, when the next locator ceases to be current, for a city that has not changed.
    """

    behind: tuple[Line, ...]
    silent: bool
    connected: int
    since: datetime
    until: datetime
    fresh_seconds: float


def standing_of(city: City, now: datetime, fresh_seconds: float) -> Standing:
    """The city's standing now; made anew only when it may have changed."""
    known = city.memory.get(Standing)
    if known is None or not known.since <= now <= known.until or known.fresh_seconds != fresh_seconds:
        known = city.memory[Standing] = _made(city, now, fresh_seconds)
    return known


def _made(city: City, now: datetime, fresh_seconds: float) -> Standing:
    fresh = timedelta(seconds=fresh_seconds)
    behind, until = [], now + fresh
    for state in city.facilities.values():
        if state.synced_at is not None and now - state.synced_at <= fresh:
            until = min(until, state.synced_at + fresh)
        else:
            reason = "NOT_CONNECTED" if state.node_id is None else "SYNC_BEHIND"
            behind.append(Line(state.code, Outcome.LOCATOR_BEHIND, reason))
    connected = [state for state in city.facilities.values() if state.node_id is not None]
    silent = any(state.lagging for state in connected)
    return Standing(tuple(behind), silent, len(connected), now, until, fresh_seconds)
