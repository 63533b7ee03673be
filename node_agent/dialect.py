"""The few SQL pieces in which SQLite and PostgreSQL differ when JSON is built as text (DESIGN 5.3).

Text concatenation gives the same bytes on both; json functions never agree between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Before FROM, so that the parser has read it when it comes to a nested item: SQLite's parser stack holds 100 symbols.
ALL = "coalesce(group_concat(j,','),'')"


Kind = Literal["text", "integer"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Expressions over one database. All return SQL text; a NULL never reaches a || chain."""

    name: str

    def parameter(self, number: int, kind: Kind) -> str:
        """The placeholder of the parameter of this number, from 1; PostgreSQL has to be told its type."""
        return f"?{number}" if self.name == "sqlite" else f"${number}::{kind}"

    def quoted(self, expression: str) -> str:
        """A JSON string, or null."""
        return (
            f"json_quote({expression})"
            if self.name == "sqlite"
            else f"coalesce(to_json({expression}::text)::text,'null')"
        )

    def number(self, expression: str) -> str:
        """A JSON number from an integer column, or null."""
        return f"coalesce(cast({expression} as text),'null')"

    def boolean(self, expression: str) -> str:
        """true, false or null."""
        return f"CASE WHEN {expression} THEN 'true' WHEN NOT {expression} THEN 'false' ELSE 'null' END"

    def joined(self, item: str, order: str, source: str) -> str:
        """A comma-separated list of `item` over `source` (FROM … WHERE …) in `order`; '' when there are no rows."""
        if self.name == "sqlite":
            return f"(SELECT {ALL} FROM (SELECT {item} AS j {source} ORDER BY {order}))"
        return f"(SELECT coalesce(string_agg({item},',' ORDER BY {order}),'') {source})"

    def page(self, item: str, keys: tuple[str, ...], source: str, limit: str) -> str:
        """Like joined, newest first over `keys`, only the first `limit` rows."""
        order = ",".join(f"{key} DESC" for key in keys)
        if self.name == "sqlite":
            return f"(SELECT {ALL} FROM (SELECT {item} AS j {source} ORDER BY {order} LIMIT {limit}))"
        inner = ",".join(f"{key} AS k{i}" for i, key in enumerate(keys))
        outer = ",".join(f"k{i} DESC" for i in range(len(keys)))
        page = f"SELECT {item} AS j,{inner} {source} ORDER BY {order} LIMIT {limit}"
        return f"(SELECT coalesce(string_agg(j,',' ORDER BY {outer}),'') FROM ({page}) page)"

    def within(self, column: str, low: str, high: str) -> str:
        """True when low <= column < high, bytewise.

        Hidden from PostgreSQL's choice of index: not knowing the bounds it takes them for so narrow that any index of the
        patient looks as good as the one of patient and kind, and reads the whole history for each kind.
        """
        column = column if self.name == "sqlite" else f"{column}||''"
        return f"{column}>={low} AND {column}<{high}"

    def denied(self, labels: str, mask: str) -> str:
        """True when a row carries none of the denied labels."""
        return f"({labels} & {mask}) = 0"


SQLITE = Dialect("sqlite")
POSTGRESQL = Dialect("postgresql")
