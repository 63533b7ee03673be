"""Bringing the gateway's database to this release's tables: forward only, run at every start."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from gateway.errors import StoreTooNew
from gateway.store.engine import Store

_HERE = Path(__file__).parent / "migrations"


async def prepare(store: Store) -> None:
    """`upgrade head`. Safe at every start, of several gateways too: one waits for the other. Raises StoreTooNew when a newer
    release was here before."""
    async with store.writing() as connection:
        await connection.run_sync(upgrade)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Forward to this revision on this connection, in its transaction."""
    from alembic import command  # costs 0.1 s and memory that only a start needs
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        if "Can't locate revision" not in str(error):
            raise
        raise StoreTooNew(
            "Cơ sở dữ liệu do bản mới hơn tạo; hãy cài bản city-gateway mới",
            "the database was made by a newer release; install that release of city-gateway",
        ) from None
