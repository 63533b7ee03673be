"""The store as a command has it: settings read, database migrated, closed at the end. No command is known here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.settings import Settings, load_settings
from gateway.store.engine import Store, open_store
from gateway.store.migrate import prepare

T = TypeVar("T")


def with_store(work: Callable[[Store, Settings], Awaitable[T]]) -> T:
    """What `work` gives."""
    settings = load_settings()

    async def run() -> T:
        store = open_store(settings)
        try:
            await prepare(store)
            return await work(store, settings)
        finally:
            await store.close()

    return asyncio.run(run())
