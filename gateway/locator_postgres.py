"""The locator on PostgreSQL: the rows and the order of SqliteLocator (locator.py), read through gateway/store/reader.py."""

from __future__ import annotations

from gateway.locator import Located, located_of
from gateway.store.reader import PointReader

# The columns compare bytes since revision 0003; said again, since a wrong order here would go unseen.
FIND = """
SELECT n.id, f.code, l.ref, l.kind, l.day, l.year, l.sex, l.cccd_agrees, l.doubtful
FROM locator l JOIN facility f ON f.pk = l.facility JOIN node n ON n.pk = l.node
WHERE l.token = $1 ORDER BY f.code COLLATE "C", l.ref COLLATE "C"
"""


class PostgresLocator:
    """One prepared statement, one round trip, no transaction: what was committed last."""

    def __init__(self, points: PointReader) -> None:
        self._points = points

    async def find(self, token: bytes) -> tuple[Located, ...]:
        """See Locator."""
        return tuple(map(located_of, await self._points.fetch(FIND, token)))
