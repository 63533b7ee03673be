"""Grants: a patient gives, lists and withdraws the right to read; queries look one up afresh every time.

Whether a grant permits anything is decide.py; the tables are gateway/store/grants.py. Nothing here is cached: a
withdrawal must hold for the very next query, and a store that cannot be read permits nothing.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import ge
from pathlib import Path
from typing import Any, Protocol

from asyncpg.exceptions import PostgresError
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import ClientError, StoreUnavailable
from gateway.identity.rotation import carry_over
from gateway.store.engine import Hold, Store
from gateway.store.grants import COLUMNS, GRANTS, NEXT_VERSION
from gateway.store.reader import PointReader
from gateway.store.tables import from_moment, moment
from schema.access import GrantInput, VouchedBy
from schema.elements import RecordKind
from schema.filters import period_bounds

DAYS_LIMIT = 366
_FACILITY = re.compile(r"[0-9A-Z]{5}", re.ASCII)
_GRANT_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_GRANTS = select(*(GRANTS.c[name] for name in COLUMNS))
_AWAY = (StoreUnavailable, SQLAlchemyError, OSError)  # also what only a damaged store would say


class GrantStoreUnavailable(ClientError):
    """Grants cannot be read or written now: every grant-based reading fails closed. Carries nothing of the grant."""

    code = "GRANT_STORE_UNAVAILABLE"
    status = 503

    def __init__(self) -> None:
        super().__init__("Chưa kiểm tra được giấy đồng ý; thử lại sau", "grants cannot be checked now; try again later")


class GrantNotFound(ClientError):
    """This patient has no such grant; another patient's looks the same."""

    code = "GRANT_NOT_FOUND"
    status = 404

    def __init__(self) -> None:
        super().__init__("Không có giấy đồng ý này", "there is no such grant of yours")


class GrantTermsRefused(ClientError):
    """Terms nobody can give. reason: GRANTEE_MISSING, GRANTEE_MALFORMED, DAYS, KINDS_EMPTY or PERIOD_EMPTY."""

    code = "GRANT_TERMS_REFUSED"

    def __init__(self, reason: str, vi: str, en: str) -> None:
        super().__init__(vi, en)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grant:
    """id: 128 random bits, base64url. kinds: None for all. period_from, period_to: PartialDates of the records' time.

    created_at, expires_at, withdrawn_at: Unix seconds. version: of this patient's grants when this one last changed.
    """

    id: str
    patient_token: bytes
    grantee_facility: str | None
    grantee_licence: str | None
    kinds: tuple[RecordKind, ...] | None
    period_from: str | None
    period_to: str | None
    created_at: float
    expires_at: float
    withdrawn_at: float | None
    vouched_by: VouchedBy
    version: int

    def __repr__(self) -> str:
        return f"Grant(version={self.version})"

    def bounds(self) -> tuple[str, str]:
        """(low, high) of the records' sort time, as schema.filters.period_bounds."""
        return period_bounds(self.period_from, self.period_to)


class GrantReader(Protocol):
    """Reads one grant as it is now. Raises GrantStoreUnavailable; never answers from memory."""

    async def find(self, grant_id: str) -> Grant | None:
        """The grant, withdrawn and expired ones too, or None."""
        ...


class SqliteGrantReader:
    """Point reads on a raw connection in the event loop: some 0.01 ms, less than handing it to a thread."""

    _SQL = f"SELECT {', '.join(COLUMNS)} FROM {GRANTS.name} WHERE id = ?"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def find(self, grant_id: str) -> Grant | None:
        """See GrantReader."""
        try:
            if self._connection is None:
                # No transaction is ever opened, so each statement sees what was committed last; mode=ro makes no file.
                uri = f"{self._path.resolve().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.05)
            row = self._connection.execute(self._SQL, (grant_id,)).fetchone()
        except sqlite3.Error:
            self.close()
            raise GrantStoreUnavailable from None
        return None if row is None else _grant(dict(zip(COLUMNS, row, strict=True)))

    def close(self) -> None:
        """Closes the connection; the next find opens one again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresGrantReader:
    """One prepared statement outside any transaction, which sees what every gateway committed last."""

    _SQL = f"SELECT {', '.join(COLUMNS)} FROM {GRANTS.name} WHERE id = $1"

    def __init__(self, points: PointReader) -> None:
        self._points = points

    async def find(self, grant_id: str) -> Grant | None:
        """See GrantReader."""
        try:
            rows = await self._points.fetch(self._SQL, grant_id)
        except (StoreUnavailable, PostgresError):
            raise GrantStoreUnavailable from None
        return _grant(dict(zip(COLUMNS, rows[0], strict=True))) if rows else None


class GrantStore:
    """Grants in the gateway's store. clock: Unix seconds; new_id: 128 random bits as text."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        reader: GrantReader | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self._store, self._clock, self._new_id = store, clock, new_id
        self._reader = reader or reader_of(store)

    async def find(self, grant_id: str) -> Grant | None:
        """The grant as it is now; raises GrantStoreUnavailable."""
        # What is no id is nobody's: NUL or half a surrogate pair must not look like a store that is away.
        return await self._reader.find(grant_id) if _GRANT_ID.fullmatch(grant_id) else None

    async def give(self, patient_token: bytes, terms: GrantInput) -> Grant:
        """A new grant of this patient; raises GrantTermsRefused or GrantStoreUnavailable."""
        check_terms(terms)
        now, period = self._clock(), terms.period
        row: dict[str, Any] = {
            "id": self._new_id(),
            "patient_token": patient_token,
            "grantee_facility": terms.grantee_facility,
            "grantee_licence": terms.grantee_licence,
            "kinds": None if terms.kinds is None else " ".join(sorted({kind.value for kind in terms.kinds})),
            "period_from": period and period.from_,
            "period_to": period and period.to,
            "created_at": _moment(now),
            "expires_at": _moment(now + terms.days * 86_400),
            "withdrawn_at": None,
            "vouched_by": VouchedBy.GATEWAY.value,
        }
        try:
            async with self._store.writing(Hold.ROWS) as connection:
                row["version"] = await _next_version(connection, patient_token)
                await connection.execute(insert(GRANTS).values(row))
        except _AWAY:
            raise GrantStoreUnavailable from None
        return _grant(row)

    async def of_patient(self, patient_token: bytes) -> list[Grant]:
        """All grants the patient ever gave, newest change first; raises GrantStoreUnavailable."""
        query = _GRANTS.where(GRANTS.c.patient_token == patient_token).order_by(GRANTS.c.version.desc())
        try:
            async with self._store.reading() as connection:
                return [_grant(row) for row in (await connection.execute(query)).mappings()]
        except _AWAY:
            raise GrantStoreUnavailable from None

    async def withdraw(self, patient_token: bytes, grant_id: str) -> Grant:
        """The withdrawn grant; a second time changes nothing. Raises GrantNotFound (another patient's too) or GrantStoreUnavailable."""
        if not _GRANT_ID.fullmatch(grant_id):
            raise GrantNotFound
        mine = (GRANTS.c.id == grant_id) & (GRANTS.c.patient_token == patient_token)
        change = update(GRANTS).where(mine, GRANTS.c.withdrawn_at.is_(None))
        try:
            async with self._store.writing(Hold.ROWS) as connection:
                changed = await connection.execute(change.values(withdrawn_at=_moment(self._clock())))
                if changed.rowcount:
                    version = await _next_version(connection, patient_token)
                    await connection.execute(update(GRANTS).where(mine).values(version=version))
                row = (await connection.execute(_GRANTS.where(mine))).mappings().first()
        except _AWAY:
            raise GrantStoreUnavailable from None
        if row is None:
            raise GrantNotFound
        return _grant(row)

    async def carry_over(self, newer: Mapping[bytes, bytes]) -> None:
        """Moves a patient's grants from the token of an older key to that of the newest; raises GrantStoreUnavailable."""
        try:
            async with self._store.writing() as connection:
                await carry_over(connection, newer)
        except _AWAY:
            raise GrantStoreUnavailable from None


def reader_of(store: Store) -> GrantReader:
    """The way to read one grant that fits the database."""
    if store.points is not None:
        return PostgresGrantReader(store.points)
    assert store.path is not None
    return SqliteGrantReader(store.path)


def check_terms(terms: GrantInput) -> None:
    """Raises GrantTermsRefused unless the grant names a grantee, a life of 1 to 366 days and something to read."""
    facility, licence, period = terms.grantee_facility, terms.grantee_licence, terms.period
    if facility is None and licence is None:
        raise GrantTermsRefused("GRANTEE_MISSING", "Cần nêu cơ sở hoặc người hành nghề", "name a facility or a licence")
    if facility is not None and not _FACILITY.fullmatch(facility):
        raise GrantTermsRefused("GRANTEE_MALFORMED", "Mã cơ sở có 5 ký tự", "a facility code has 5 characters")
    if licence is not None and (
        not 1 <= len(licence) <= 100 or licence != licence.strip() or not licence.isprintable()
    ):
        raise GrantTermsRefused("GRANTEE_MALFORMED", "Số chứng chỉ không hợp lệ", "the licence is not usable")
    if not 1 <= terms.days <= DAYS_LIMIT:
        raise GrantTermsRefused("DAYS", f"Thời hạn từ 1 đến {DAYS_LIMIT} ngày", f"days must be 1 to {DAYS_LIMIT}")
    if terms.kinds is not None and not terms.kinds:
        raise GrantTermsRefused("KINDS_EMPTY", "Không có loại bản ghi nào", "kinds is empty; null means all")
    if period is not None and ge(*period_bounds(period.from_, period.to)):
        raise GrantTermsRefused("PERIOD_EMPTY", "Khoảng thời gian trống", "the period holds no time")


async def _next_version(connection: AsyncConnection, patient_token: bytes) -> int:
    return int((await connection.execute(text(NEXT_VERSION), {"patient_token": patient_token})).scalar_one())


def _moment(seconds: float) -> str:
    return moment(datetime.fromtimestamp(seconds, UTC))


def _seconds(text: str) -> float:
    return from_moment(text).timestamp()


def _grant(row: Mapping[Any, Any]) -> Grant:
    kinds, withdrawn = row["kinds"], row["withdrawn_at"]
    return Grant(
        **dict(row)
        | {
            "patient_token": bytes(row["patient_token"]),
            "kinds": None if kinds is None else tuple(RecordKind(kind) for kind in kinds.split()),
            "created_at": _seconds(row["created_at"]),
            "expires_at": _seconds(row["expires_at"]),
            "withdrawn_at": None if withdrawn is None else _seconds(withdrawn),
            "vouched_by": VouchedBy(row["vouched_by"]),
        }
    )
