"""Which database a test's nodes keep their stores in: SQLite, or a real PostgreSQL. conftest.py says which; tests need not."""

from __future__ import annotations

from pathlib import Path

from tests.postgres import fresh_database

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_current = SQLITE
_made: dict[Path, str] = {}


def use(database: str) -> None:
    """From now on nodes keep their stores there."""
    global _current
    _current = database


def current() -> str:
    """Where nodes keep their stores now."""
    return _current


def urls(folder: Path) -> dict[str, str]:
    """The settings that put the store and the inbox of the node of this data folder where they belong; always the same ones."""
    if _current == SQLITE:
        return {}
    url = _made.setdefault(folder, "") or fresh_database()
    _made[folder] = url
    return {"database_url": url, "inbox_url": url}  # both in one database: they must not be in each other's way
