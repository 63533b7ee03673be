"""On which databases a whole city runs here: every store, inbox and the gateway's state in a file each, or each node's and
the gateway's in a PostgreSQL database of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from compose.demo.launch import NodeSpec, Process, RunningCity, launch
from compose.demo.process import Programs
from node_agent.settings import CONFIG_VARIABLE, load_settings
from tests.forked import FORKED
from tests.postgres import drop_database, fresh_database

SQLITE, POSTGRESQL = "sqlite", "postgresql"
# For a module whose every test is of a city made with the fixture `database`: it runs on either.
BOTH = pytest.mark.parametrize("database", [SQLITE, POSTGRESQL], indirect=True, scope="module")


@contextmanager
def launched(
    database: str,
    folder: Path,
    specs: Sequence[NodeSpec],
    *,
    gateway_options: Mapping[str, object] | None = None,
    registered: Mapping[str, str] | None = None,
    programs: Programs = FORKED,
) -> Iterator[RunningCity]:
    """A city on this kind of database; see launch."""
    if database == SQLITE:
        with launch(
            folder, specs, gateway_options=gateway_options, registered=registered, programs=programs
        ) as running:
            yield running
        return
    own, *theirs = urls = [fresh_database() for _ in range(1 + len(specs))]
    specs = [
        replace(s, options={**s.options, "database_url": u, "inbox_url": u}) for s, u in zip(specs, theirs, strict=True)
    ]
    options = {**(gateway_options or {}), "database_url": own}
    try:
        with launch(folder, specs, gateway_options=options, registered=registered, programs=programs) as running:
            yield running
        assert not list(folder.rglob("*.db")), "something was kept in a file after all"
    finally:
        for url in urls:
            drop_database(url)


def in_store(node: Process, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    """What one statement gives in a node's store, on whatever it is; none for one that changes something."""
    url = load_settings(Path(node.environment[CONFIG_VARIABLE]), {}).store_url

    async def run() -> list[tuple[Any, ...]]:
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                done = await connection.execute(text(sql), values)
                return [tuple(row) for row in done] if done.returns_rows else []
        finally:
            await engine.dispose()

    return asyncio.run(run())
