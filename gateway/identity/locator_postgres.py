"""The locator on PostgreSQL: the reads of SqliteLocator (locator.py), through gateway/store/reader.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from gateway.identity.locator import FIND, FIND_ONE, SPLITS, Row, probes
from gateway.store.reader import PointReader


def numbered(sql: str) -> str:
    """A statement with PostgreSQL's placeholders."""
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in zip(count(1), rest, strict=False))


_FIND, _FIND_ONE = numbered(FIND), numbered(FIND_ONE)


class PostgresLocator:
    """One prepared statement a read, one round trip, no transaction: what was committed last."""

    def __init__(self, points: PointReader) -> None:
        self._points = points

    async def find(self, tokens: Sequence[bytes]) -> Sequence[Row]:
        """See Locator."""
        if len(tokens) == 1:
            return await self._points.fetch(_FIND_ONE, tokens[0])
        return await self._points.fetch(_FIND, *probes(tokens))

    async def splits(self) -> Sequence[Row]:
        """See Locator."""
        return await self._points.fetch(SPLITS)
