"""A watched folder: files that have come to rest are handed to the inbox, then moved to processed/ or failed/.

Polling, because the folder is often a network share where notifications do not work. A file is taken when its size and
time were the same at two looks; its bytes are in the inbox before it is moved, so nothing is lost by a stop in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import structlog

from node_agent.inbox import State
from node_agent.ingest import Ingest
from schema.elements import Feed

PROCESSED, FAILED = "processed", "failed"
Look = dict[Path, tuple[int, int]]
UNREADABLE = (-1, -1)
_log = structlog.get_logger(__name__)


class Taken(Enum):
    """What became of a file: MOVED out of the folder; STAYED although its bytes are in the inbox; or it has to wait."""

    MOVED = "MOVED"
    STAYED = "STAYED"
    WAITS = "WAITS"


async def watch(folder: Path, feed: Feed, ingest: Ingest, poll_seconds: float, told: Callable[[], None]) -> None:
    """Take up files of this folder until cancelled, in order of name; `told` is called after each that was stored.

    A file that cannot be read or kept now is tried again at the next look; a folder that is away is waited for. Both count
    as unread meanwhile: nobody knows what is in there.
    """
    before: Look = {}
    stayed: Look = {}
    while True:
        seen = await asyncio.to_thread(look, folder)
        now = seen or {}
        stayed = {path: state for path, state in stayed.items() if now.get(path) == state}
        waiting = {path: state for path, state in now.items() if path not in stayed}
        left = len(waiting) if seen is not None else 1
        ingest.note_unread(str(folder), left)
        for path in sorted(p for p, state in waiting.items() if before.get(p) == state):
            taken = await take(path, feed, ingest)
            if taken is Taken.STAYED:
                stayed[path] = now[path]
            if taken is not Taken.WAITS:
                left -= 1
                ingest.note_unread(str(folder), left)
                told()
        before = now
        await asyncio.sleep(poll_seconds)


def look(folder: Path) -> Look | None:
    """The plain files of the folder with size and modification time; hidden and half-written (.tmp, .part) ones left out.

    None when the folder cannot be read. A file that cannot even be looked at (a link to nothing) is UNREADABLE: it must not
    hide the others.
    """
    found: Look = {}
    try:
        paths = [p for p in folder.iterdir() if not p.name.startswith(".") and p.suffix not in (".tmp", ".part")]
    except OSError as error:
        _log.warning("folder cannot be read", folder=str(folder), error=type(error).__name__)
        return None
    for path in paths:
        try:
            state = path.stat()
            if path.is_file():
                found[path] = (state.st_size, state.st_mtime_ns)
        except OSError:
            if path.is_symlink():  # else it was there a moment ago
                found[path] = UNREADABLE
    return found


async def take(path: Path, feed: Feed, ingest: Ingest) -> Taken:
    """One file into the inbox and out of the folder."""
    try:
        data = await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        _log.warning("file cannot be read", error=type(error).__name__)
        return Taken.WAITS
    # A name is bytes to the file system: what is no UTF-8 in it is written out, since no database keeps it.
    name = path.name.encode("utf-8", "backslashreplace").decode()
    try:
        result = await ingest.receive(feed, name, data)
    except Exception as error:  # noqa: BLE001 - a full disk or a locked database must not end the watch for good
        _log.error("file cannot be received", error=type(error).__name__)
        return Taken.WAITS
    bad = result.state in (State.FAILED, State.PARTIAL)
    try:
        await asyncio.to_thread(move, path, FAILED if bad else PROCESSED)
    except OSError as error:
        # Taken as done while it stays as it is; after a restart it is met again and recognised as a duplicate.
        _log.warning("file cannot be moved", error=type(error).__name__)
        return Taken.STAYED
    return Taken.MOVED


def move(path: Path, part: str) -> None:
    """Rename into a folder beside it; a file of that name there before is kept by numbering the new one."""
    folder = path.parent / part
    folder.mkdir(exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        target, number = folder / f"{path.stem}.{number}{path.suffix}", number + 1
    path.rename(target)
