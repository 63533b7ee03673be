"""Bringing both databases to this release's tables: forward only, one tree of revisions each, run at every start.

Developers add a revision with `python -m node_agent.store.migrate store "what changed"` (or `inbox`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, create_engine, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node_agent.errors import StoreTooNew
from node_agent.settings import Settings
from node_agent.store.engine import Store
from node_agent.store.postgresql import BACKEND, check_server
from node_agent.tables import INBOX, STORE

_HERE = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Tree:
    """One line of revisions. The version table is named after it, so that both may live in one PostgreSQL database."""

    name: str
    metadata: MetaData

    @property
    def version_table(self) -> str:
        """Where the database keeps its revision."""
        return f"alembic_{self.name}"


STORE_TREE = Tree("store", STORE)
INBOX_TREE = Tree("inbox", INBOX)


async def prepare(store: Store, settings: Settings) -> None:
    """Migrates both databases and writes the facilities and feeds of the settings. Safe to run at every start.

    Raises StoreTooNew, and on PostgreSQL StoreUnreachable and StoreEncodingWrong.
    """
    for engine in (store.inbox_engine, store.engine):
        if engine.dialect.name == BACKEND:
            await check_server(engine)
    async with store.writing_inbox() as connection:
        await connection.run_sync(upgrade, INBOX_TREE)
    async with store.writing() as connection:
        await connection.run_sync(upgrade, STORE_TREE)
        await _declare(connection, settings)


def upgrade(connection: Connection, tree: Tree) -> None:
    """`upgrade head` on this connection, in its transaction. Raises StoreTooNew when a newer release was here before."""
    from alembic import command  # costs 0.1 s and memory that only a start needs
    from alembic.util import CommandError

    try:
        command.upgrade(_config(tree, connection), "head")
    except CommandError as error:
        if "Can't locate revision" not in str(error):
            raise
        raise StoreTooNew(
            f"Cơ sở dữ liệu {tree.name} do bản mới hơn tạo; hãy cài bản node-agent mới",
            f"the {tree.name} database was made by a newer release; install that release of node-agent",
        ) from None


def _config(tree: Tree, connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("version_locations", str(_HERE / "versions" / tree.name))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, metadata=tree.metadata, version_table=tree.version_table)
    return config


async def _declare(connection: AsyncConnection, settings: Settings) -> None:
    facility, feed = STORE.tables["facility"], STORE.tables["feed"]
    names = dict((await connection.execute(select(facility.c.code, facility.c.name))).all())
    for f in settings.facilities:
        if f.code not in names:
            await connection.execute(insert(facility).values(code=f.code, name=f.name))
        elif names[f.code] != f.name:
            await connection.execute(update(facility).where(facility.c.code == f.code).values(name=f.name))
    rhythms = {(r.facility, r.feed): r.rhythm_seconds for r in await connection.execute(select(feed))}
    for line in settings.feeds:
        for code in [line.facility] if line.facility else settings.facility_codes:
            rhythm = settings.rhythm(line.kind, code)
            if (code, line.kind.value) not in rhythms:
                row = {"facility": code, "feed": line.kind.value, "rhythm_seconds": rhythm}
                await connection.execute(insert(feed).values(row))
                rhythms[(code, line.kind.value)] = rhythm
            elif rhythms[(code, line.kind.value)] != rhythm:
                mine = (feed.c.facility == code) & (feed.c.feed == line.kind.value)
                await connection.execute(update(feed).where(mine).values(rhythm_seconds=rhythm))


def main(tree_name: str, message: str) -> None:
    """Writes the next revision of a tree from the difference between its revisions and tables.py."""
    from alembic import command

    tree = {t.name: t for t in (STORE_TREE, INBOX_TREE)}[tree_name]
    with create_engine("sqlite://").connect() as connection:
        config = _config(tree, connection)
        command.upgrade(config, "head")
        command.revision(config, message, autogenerate=True, version_path=str(_HERE / "versions" / tree.name))


if __name__ == "__main__":
    main(*sys.argv[1:])
