"""The watched folder: files at rest are taken in order, half-written ones are left, and nothing ends the watch."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from node_agent.inbox import State
from node_agent.records import ParsedFile
from node_agent.watch import look, move, watch
from schema.elements import Feed
from tests.node_agent.visits import Desk, desk, encounter, hoso

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
POLL_SECONDS = 0.02


class Watched:
    """A watcher running over a folder."""

    def __init__(self, node: Desk, folder: Path) -> None:
        self.node, self.folder, self.told = node, folder, 0
        self.task = asyncio.create_task(watch(folder, Feed.BHYT_XML, node.ingest, POLL_SECONDS, self.tell))

    def tell(self) -> None:
        self.told += 1

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                assert not self.task.done()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def known(node: Desk, name: bytes) -> None:
    key = name.decode()
    node.feeds[Feed.BHYT_XML].files[name] = ParsedFile((hoso("1", encounter(key), key=key),))


async def test_files_are_taken_in_order_of_name_and_moved_by_their_outcome(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        for name in (b"b", b"a"):
            known(node, name)
            (folder / f"{name.decode()}.xml").write_bytes(name)
        (folder / "c.xml").write_bytes(b"no feed knows this")
        watched = Watched(node, folder)
        await watched.until(lambda: not look(folder))
        await watched.until(lambda: node.ingest.backlog() == 0)
        await watched.stop()
        assert [(i.name, i.state) for i in await node.ingest.inbox.items()] == [
            ("a.xml", State.STORED),
            ("b.xml", State.STORED),
            ("c.xml", State.FAILED),
        ]
        assert sorted(p.name for p in (folder / "processed").iterdir()) == ["a.xml", "b.xml"]
        assert [p.name for p in (folder / "failed").iterdir()] == ["c.xml"]
        assert watched.told == 3


async def test_a_file_still_growing_is_left_until_it_rests(tmp_path: Path) -> None:
    async with desk(tmp_path / "data") as node:
        folder = tmp_path / "in"
        folder.mkdir()
        known(node, b"x" * 30)
        watched = Watched(node, folder)
        with (folder / "a.xml").open("ab", buffering=0) as file:
            for _ in range(30):
                file.write(b"x")
                await asyncio.sleep(POLL_SECONDS / 4)
        await watched.until(lambda: not look(folder))
        await watched.stop()
        [item] = await node.ingest.inbox.items()
        assert (item.size, item.state) == (30, State.STORED)


def test_hidden_and_half_written_files_and_folders_are_not_seen(tmp_path: Path) -> None:
    for name in (".a.xml", "a.xml.tmp", "a.part", "b.xml"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.xml").mkdir()
    assert [p.name for p in look(tmp_path)] == ["b.xml"]


async def test_a_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async with desk(tmp_path / "data") as node:
        known(node, b"a")
        watched = Watched(node, tmp_path / "later")
        await asyncio.sleep(4 * POLL_SECONDS)
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "a.xml").write_bytes(b"a")
        await watched.until(lambda: watched.told == 1)
        await watched.stop()


async def test_a_database_that_fails_for_a_while_does_not_end_the_watch(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        known(node, b"a")
        async with node.store.writing_inbox() as connection:
            await connection.execute(text("ALTER TABLE inbox RENAME TO inbox_away"))
        (folder / "a.xml").write_bytes(b"a")
        watched = Watched(node, folder)
        await asyncio.sleep(6 * POLL_SECONDS)
        assert (folder / "a.xml").exists()
        assert node.ingest.backlog() == 1
        async with node.store.writing_inbox() as connection:
            await connection.execute(text("ALTER TABLE inbox_away RENAME TO inbox"))
        await watched.until(lambda: watched.told == 1)
        await watched.stop()
        assert [i.state for i in await node.ingest.inbox.items()] == [State.STORED]


async def test_a_file_taken_before_a_stop_could_move_it_is_met_again_as_a_duplicate(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        known(node, b"a")
        await node.ingest.receive(Feed.BHYT_XML, "a.xml", b"a")
        (folder / "a.xml").write_bytes(b"a")
        watched = Watched(node, folder)
        await watched.until(lambda: watched.told == 1)
        await watched.stop()
        assert [i.state for i in await node.ingest.inbox.items()] == [State.STORED, State.DUPLICATE]
        assert (folder / "processed" / "a.xml").exists()


def test_a_file_of_a_name_already_moved_keeps_both(tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        (tmp_path / "a.xml").write_text(content)
        move(tmp_path / "a.xml", "processed")
    assert {p.name: p.read_text() for p in (tmp_path / "processed").iterdir()} == {
        "a.xml": "one",
        "a.1.xml": "two",
        "a.2.xml": "three",
    }


async def test_a_link_to_nothing_hides_no_other_file_and_counts_as_unread(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        known(node, b"b")
        (folder / "a.xml").symlink_to(tmp_path / "nowhere")
        (folder / "b.xml").write_bytes(b"b")
        watched = Watched(node, folder)
        await watched.until(lambda: watched.told == 1)
        assert node.ingest.backlog() == 1
        (folder / "a.xml").unlink()
        await watched.until(lambda: node.ingest.backlog() == 0)
        await watched.stop()


async def test_a_folder_that_cannot_be_read_counts_as_unread(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        watched = Watched(node, folder)
        await watched.until(lambda: node.ingest.backlog() == 0)
        folder.rename(tmp_path / "away")
        await watched.until(lambda: node.ingest.backlog() == 1)
        (tmp_path / "away").rename(folder)
        await watched.until(lambda: node.ingest.backlog() == 0)
        await watched.stop()


async def test_a_name_that_is_no_utf8_is_written_out_and_its_bytes_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with desk(tmp_path / "data") as node:
        known(node, b"a")
        (folder / os.fsdecode(b"a\xff.xml")).write_bytes(b"a")
        watched = Watched(node, folder)
        await watched.until(lambda: watched.told == 1)
        await watched.stop()
        assert [(i.name, i.state) for i in await node.ingest.inbox.items()] == [("a\\udcff.xml", State.STORED)]


async def test_a_file_that_cannot_be_moved_is_taken_once_and_again_when_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / ".hidden").write_bytes(b"")
    (folder / "processed").symlink_to(folder / ".hidden")
    (folder / "failed").symlink_to(folder / ".hidden")
    async with desk(tmp_path / "data") as node:
        for name in (b"a", b"changed"):
            known(node, name)
        (folder / "a.xml").write_bytes(b"a")
        watched = Watched(node, folder)

        async def names() -> list[tuple[str, State]]:
            return [(i.name, i.state) for i in await node.ingest.inbox.items() if i.name == "a.xml"]

        await watched.until(lambda: node.ingest.backlog() == 0 and watched.told > 0)
        await asyncio.sleep(10 * POLL_SECONDS)
        assert await names() == [("a.xml", State.STORED)]
        told = watched.told
        (folder / "a.xml").write_bytes(b"changed")
        await watched.until(lambda: watched.told > told)
        await watched.stop()
        assert await names() == [("a.xml", State.STORED)] * 2
