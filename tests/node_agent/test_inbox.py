"""The inbox: bytes are kept as they came, before and whatever happens after, and the same bytes are not ingested twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_agent.errors import FeedNotConfigured, InboxItemNotFound
from node_agent.inbox import Inbox, State, local_text, utc_text
from node_agent.ingest import Ingest
from node_agent.records import ParsedFile
from schema.elements import Feed
from tests.node_agent.visits import NOW, content, desk, encounter, hoso, observation, resources

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]


async def test_bytes_come_back_as_they_went_in(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5
    async with desk(tmp_path) as node:
        item = await node.ingest.inbox.receive(Feed.FHIR, "tệp.json", data)
        assert (item.state, item.size, item.attempts) == (State.RECEIVED, len(data), 0)
        assert await node.ingest.inbox.content(item.pk) == data
        other = Inbox(node.store, lambda: NOW)
        assert [i.pk for i in await other.items(State.RECEIVED)] == [item.pk]


async def test_the_same_bytes_are_a_duplicate_that_points_to_the_first(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        first = await node.post(hoso("1", encounter("e")))
        again = await node.ingest.receive(Feed.BHYT_XML, "other name", b"file 0")
        assert again.state is State.DUPLICATE
        item = await node.ingest.inbox.item(again.pk)
        assert item.duplicate_of == first.pk
        assert await node.ingest.inbox.content(again.pk) == b"file 0"
        assert len(await node.rows("unit")) == 1


async def test_the_same_bytes_of_another_feed_are_no_duplicate(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.ingest.inbox.receive(Feed.BHYT_XML, "a", b"x")
        assert (await node.ingest.inbox.receive(Feed.FHIR, "a", b"x")).state is State.RECEIVED


async def test_a_hospital_that_sends_the_same_file_again_is_not_silent(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e")))
        node.now = NOW.replace(day=9)
        await node.ingest.receive(Feed.BHYT_XML, "again", b"file 0")
        [feed] = [f for f in await node.rows("feed") if f["feed"] == "BHYT_XML"]
        assert feed["last_received_at"] == "2026-03-09T02:03:04.000000Z"


async def test_replaying_a_duplicate_replays_what_it_repeats(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        first = await node.post(hoso("1", encounter("e")))
        again = await node.ingest.receive(Feed.BHYT_XML, "again", b"file 0")
        assert (await node.ingest.ingest(again.pk)).pk == first.pk
        assert (await node.ingest.inbox.item(again.pk)).state is State.DUPLICATE


async def test_a_feed_that_is_not_configured_keeps_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        ingest = Ingest(node.store, node.settings, {}, lambda: NOW)
        with pytest.raises(FeedNotConfigured):
            await ingest.receive(Feed.FHIR, "a", b"x")
        assert await ingest.inbox.items() == []


async def test_an_item_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        for ask in (node.ingest.inbox.item, node.ingest.inbox.content, node.ingest.ingest):
            with pytest.raises(InboxItemNotFound):
                await ask(7)


def test_times_are_fixed_width_utc_and_local_to_the_second() -> None:
    assert utc_text(NOW) == "2026-03-01T02:03:04.000000Z"
    assert local_text(utc_text(NOW.replace(hour=20))) == "2026-03-02T03:03:04+07:00"


async def test_bytes_that_come_back_after_something_newer_stand_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        first = await node.post(hoso("1", encounter("e"), observation("o", "5.6")))
        await node.post(hoso("1", encounter("e"), observation("o", "9.9")))
        again = await node.ingest.receive(Feed.BHYT_XML, "again", b"file 0")
        assert (again.state, await node.current()) == (State.STORED, {"o": "5.6"})
        item = await node.ingest.inbox.item(again.pk)
        assert (item.duplicate_of, await node.ingest.inbox.content(again.pk)) == (first.pk, b"file 0")
        more = await node.ingest.receive(Feed.BHYT_XML, "once more", b"file 0")
        assert more.state is State.DUPLICATE
        before = await content(node)
        assert (await node.ingest.ingest(again.pk)).pk == again.pk
        assert await content(node) == before


async def test_bytes_that_a_newer_version_would_beat_anyway_stay_a_duplicate(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(hoso("1", encounter("e"), observation("o", "5.6")))
        await node.post(hoso("2", encounter("e"), observation("o", "9.9")))
        again = await node.ingest.receive(Feed.BHYT_XML, "again", b"file 0")
        assert (again.state, await node.current()) == (State.DUPLICATE, {"o": "9.9"})


async def test_a_resource_taken_back_in_another_unit_comes_back_with_its_bytes(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        await node.post(resources("", observation("Observation/1")), feed=Feed.FHIR)
        taken = resources("", key="Patient/bn1", withdrawn=frozenset({"Observation/1"}))
        await node.post(taken, feed=Feed.FHIR)
        assert await node.current() == {}
        await node.ingest.receive(Feed.FHIR, "again", b"file 0")
        assert await node.current() == {"Observation/1": "5.6"}


async def test_bytes_whose_first_attempt_was_never_concluded_are_ingested_when_they_come_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as node:
        node.feeds[Feed.BHYT_XML].files[b"x"] = ParsedFile((hoso("1", encounter("e")),))
        item = await node.ingest.inbox.receive(Feed.BHYT_XML, "a", b"x")
        result = await node.ingest.receive(Feed.BHYT_XML, "a", b"x")
        assert (result.pk, result.state) == (item.pk, State.STORED)
        assert len(await node.rows("unit")) == 1
