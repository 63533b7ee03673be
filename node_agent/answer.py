"""What surrounds a compiled statement: its bound parameters on the way in, the node's ledger on the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from graphql import GraphQLError

from node_agent.compile import Statement
from node_agent.store.reader import Reader
from node_agent.store.rows import search_code
from schema.bad_input import CURSOR_TEXT
from schema.delegation import Allowed
from schema.elements import RecordKind
from schema.filters import BadArgument, check_filter, check_page_size, chosen_kinds, period_bounds
from schema.scalars import local_time

ALL_KINDS = "|" + "|".join(kind.value for kind in RecordKind) + "|"
FIRST_PAGE = "~"  # greater than every sort time, code and id: nothing is before it
HEALTH = "SELECT facility,feed,rhythm_seconds,last_received_at FROM feed"


def bindings(statement: Statement, raw: Mapping[str, Any], allowed: Allowed) -> dict[str, Any]:
    """The statement's parameters but for `ref`: the allowed set and each connection's arguments."""
    kinds = ALL_KINDS if allowed.kinds is None else "|" + "|".join(allowed.kinds) + "|"
    out: dict[str, Any] = {
        "denied": allowed.denied_labels,
        "kinds": kinds,
        "low": allowed.period_low,
        "high": allowed.period_high,
    }
    for page in statement.pages:
        given = page.filter(raw) or {}
        try:
            first = check_page_size(page.first(raw))
            check_filter(given)
        except BadArgument as error:
            raise _refused(error.code, error.vi, error.en) from None
        period = given.get("period") or {}
        low, high = period_bounds(period.get("from"), period.get("to"))
        code = search_code(given.get("code") or "") or None
        at = _position(page.after(raw))
        values = {
            "first": first,
            "low": low,
            "high": high,
            "code": code,
            "code_end": code and code + "\U0010ffff",
            "facility": given.get("facility"),
            "encounter": given.get("encounter"),
            "at": at[0],
            "at_facility": at[1],
            "at_id": at[2],
        }
        if page.name == "timeline":
            chosen = chosen_kinds(given)
            values["kinds"] = ALL_KINDS if chosen is None else "|" + "|".join(chosen) + "|"
        out.update({page.prefix + name: value for name, value in values.items()})
    return out


def _refused(code: str, vi: str, en: str) -> GraphQLError:
    return GraphQLError(f"{vi}. {en[:1].upper()}{en[1:]}.", extensions={"code": code})


def _position(after: Any) -> tuple[str, str, str]:
    if after is None:
        return FIRST_PAGE, FIRST_PAGE, FIRST_PAGE
    parts = after.split("|") if isinstance(after, str) else []
    if len(parts) != 3:
        raise _refused("BAD_CURSOR", *CURSOR_TEXT)
    return parts[0], parts[1], parts[2]


@dataclass(slots=True)
class Ledger:
    """The node's word on its own feeds, read with each answer; `now` gives seconds since 1970."""

    reader: Reader
    now: Callable[[], float]
    fresh_seconds: float = 1.0
    _read_at: float = field(default=-1e9)
    _feeds: dict[str, list[tuple[int, float | None]]] = field(default_factory=dict)

    async def weave(self, statement: Statement, row: Sequence[Any]) -> bytes:
        """The entity's JSON: the statement's parts with this facility's ledger between them."""
        _, facility, failed, *parts = row
        if not statement.ledgers:
            return str(parts[0]).encode()
        state = await self._state(facility, failed)
        text = str(parts[0])
        for selection, part in zip(statement.ledgers, parts[1:], strict=True):
            text += msgspec.json.encode({s.key: state[s.name] for s in selection}).decode() + part
        return text.encode()

    async def _state(self, facility: str, failed: int) -> dict[str, Any]:
        now = self.now()
        if now - self._read_at > self.fresh_seconds:
            feeds: dict[str, list[tuple[int, float | None]]] = {}
            for code, _, rhythm, last in await self.reader.fetch_all(HEALTH, (), 1.0):
                feeds.setdefault(code, []).append((rhythm, last and seconds_of(last)))
            self._feeds, self._read_at = feeds, now
        mine = self._feeds.get(facility, [])
        heard = [last for _, last in mine if last is not None]
        lags = [now - last for last in heard]
        return {
            "__typename": "NodeLedger",
            "facility": facility,
            "failedItems": failed,
            "asOf": local_time(max(heard)) if heard else None,
            "lagging": len(heard) < len(mine) or any(last is not None and now - last > rhythm for rhythm, last in mine),
            "feedLagSeconds": int(max(lags)) if lags else None,
        }


def seconds_of(utc: str) -> float:
    """Seconds since 1970 of the store's fixed-width UTC text."""
    return datetime.fromisoformat(utc.replace("Z", "+00:00")).timestamp()
