"""A watched folder: files that have come to rest are handed to the inbox, then moved to processed/ or failed/.

Polling, because the folder is often a network share where notifications do not work. A file is taken when its size and
time were the same at two looks; its bytes are in the inbox before it is moved, so nothing is lost by a stop in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from node_agent.inbox import State
from node_agent.ingest import Ingest
from schema.elements import Feed

PROCESSED, FAILED = "processed", "failed"
Look = dict[Path, tuple[int, int]]
_log = structlog.get_logger(__name__)


async def watch(folder: Path, feed: Feed, ingest: Ingest, poll_seconds: float, told: Callable[[], None]) -> None:
    """Take up files of this folder until cancelled, in order of name; `told` is called after each that was stored.

    A file that cannot be read or kept now is tried again at the next look; a folder that is away is waited for.
    """
    before: Look = {}
    while True:
        now = await asyncio.to_thread(look, folder)
        left = len(now)
        ingest.note_unread(str(folder), left)
        for path in sorted(p for p, state in now.items() if before.get(p) == state):
            if await take(path, feed, ingest):
                left -= 1
                ingest.note_unread(str(folder), left)
                told()
        before = now
        await asyncio.sleep(poll_seconds)


def look(folder: Path) -> Look:
    """The plain files of the folder with size and modification time; hidden and half-written (.tmp, .part) ones left out."""
    found: Look = {}
    try:
        for path in folder.iterdir():
            if path.name.startswith(".") or path.suffix in (".tmp", ".part"):
                continue
            state = path.stat()
            if path.is_file():
                found[path] = (state.st_size, state.st_mtime_ns)
    except OSError as error:
        _log.warning("folder cannot be read", error=type(error).__name__)
    return found


async def take(path: Path, feed: Feed, ingest: Ingest) -> bool:
    """One file into the inbox and out of the folder; False when it has to wait."""
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        _log.warning("file cannot be read", error=type(error).__name__)
        return False
    try:
        result = await ingest.receive(feed, path.name, data)
    except Exception as error:  # noqa: BLE001 - a full disk or a locked database must not end the watch for good
        _log.error("file cannot be received", error=type(error).__name__)
        return False
    bad = result.state in (State.FAILED, State.PARTIAL)
    try:
        await asyncio.to_thread(move, path, FAILED if bad else PROCESSED)
    except OSError as error:
        # It will be met again and recognised as a duplicate.
        _log.warning("file cannot be moved", error=type(error).__name__)
    return True


def move(path: Path, part: str) -> None:
    """Rename into a folder beside it; a file of that name there before is kept by numbering the new one."""
    folder = path.parent / part
    folder.mkdir(exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        target, number = folder / f"{path.stem}.{number}{path.suffix}", number + 1
    path.rename(target)
