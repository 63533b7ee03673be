"""Several gateways on one database: what each does is as if it were alone. Threads stand for processes; sockets are elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from gateway.city.credentials import Authentic, Credentials
from gateway.city.enrolment import enrol, invite, revoke
from gateway.city.registry import Registry, read_city, register_facility
from gateway.city.sync import take_in
from gateway.errors import EnrolmentRefused, FacilityNotYours, NodeRefused, StoreUnavailable
from gateway.identity.city_key import CityKey
from gateway.identity.key_ring import LiveKeys
from gateway.settings import Settings
from gateway.store import engine
from gateway.store.engine import Hold, Store, open_store
from gateway.store.migrate import prepare
from gateway.store.tables import FACILITY, FACILITY_HEALTH, LOCATOR, NODE, NODE_POSITION
from schema.elements import Feed
from schema.identity import IdentifierKind
from schema.messages import EnrolmentReply, EnrolmentRequest, PublicKey, SyncRequest
from schema.node_request import sign_request
from tests.hand_made_node import patient

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = LiveKeys((CityKey(bytes(range(32)), 1),))
SIGNING = Ed25519PrivateKey.generate()
PUBLIC = PublicKey.of(SIGNING.public_key())
CODES = tuple(f"0100{i}" for i in range(6))


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    stores = open_store(Settings(data_folder=folder)), open_store(Settings(data_folder=folder))
    try:
        await prepare(stores[0])
        for code in CODES:
            await register_facility(stores[0], code, code, NOW)
        yield stores
    finally:
        for store in stores:
            await store.close()


async def join(store: Store, code: str, *facilities: str) -> EnrolmentReply:
    feeds = {f: [Feed.FHIR.value] for f in facilities}
    return await enrol(store, EnrolmentRequest(code, PUBLIC, "https://node.example", feeds, "1.0"), PUBLIC, NOW)


async def joined(store: Store, *facilities: str) -> Authentic:
    return await known(store, await join(store, await invite(store, facilities, NOW, 1), *facilities))


async def known(store: Store, reply: EnrolmentReply) -> Authentic:
    """The node as its messages are authenticated."""
    async with store.reading() as connection:
        pk = (await connection.execute(select(NODE.c.pk).where(NODE.c.id == reply.node_id))).scalar_one()
        rows = await connection.execute(select(FACILITY.c.code, FACILITY.c.pk).where(FACILITY.c.node == pk))
        return Authentic(pk, reply.node_id, {row.code: row.pk for row in rows})


async def tell(store: Store, node: Authentic, position: int, count: int = 3, since: int = 0) -> int:
    """One message with `count` patients in each of the node's facilities; the position accepted."""
    message: dict[str, Any] = {
        "node_id": node.id,
        "since": since,
        "position": position,
        "head": position,
        "pending": 0,
        "contract_version": "1.0",
        "facilities": [{"facility": f, "feeds": [], "lagging": False} for f in node.facilities],
        "patients": [
            patient(f"0010809{i:05d}", f"ref-{f}-{i:04d}", f)
            for f in node.facilities
            for i in range(position, position + count)
        ],
    }
    request = msgspec.convert(message, SyncRequest)
    taken = await take_in(store, KEY, node, request, frozenset(IdentifierKind), NOW)
    return taken.reply.accepted


async def count_of(store: Store, table: Any, *where: Any) -> int:
    async with store.reading() as connection:
        return int((await connection.execute(select(func.count()).select_from(table).where(*where))).scalar_one())


def kinds(results: Sequence[object]) -> list[str]:
    return sorted({type(r).__name__ for r in results})


async def test_a_code_is_used_once_however_many_gateways_are_asked_at_once(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        code = await invite(stores[0], CODES[:1], NOW, 1)
        tries = (join(stores[i % 2], code, CODES[0]) for i in range(8))
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert kinds(results) == ["EnrolmentRefused", "EnrolmentReply"]
        assert sum(isinstance(r, EnrolmentRefused) for r in results) == 7
        assert await count_of(stores[1], NODE) == 1


async def test_two_codes_for_one_facility_leave_it_with_one_node_and_the_other_revoked(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        codes = [await invite(stores[0], CODES[:1], NOW, 1) for _ in range(4)]
        replies = await asyncio.gather(*(join(stores[i % 2], code, CODES[0]) for i, code in enumerate(codes)))
        city = await read_city(stores[0])
        serving = city.facilities[CODES[0]].node_id
        assert {r.node_id for r in replies} == set(city.nodes)
        assert [n.id for n in city.nodes.values() if not n.revoked] == [serving]


async def test_first_messages_of_all_nodes_at_once_are_all_taken(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        nodes = [await joined(stores[0], code) for code in CODES]
        accepted = await asyncio.gather(*(tell(stores[i % 2], node, 5) for i, node in enumerate(nodes)))
        assert accepted == [5] * len(CODES)
        assert await count_of(stores[0], FACILITY_HEALTH) == len(CODES)
        assert await count_of(stores[0], LOCATOR) == 3 * len(CODES)


async def test_messages_of_one_node_at_once_never_leave_half_of_each(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        node = await joined(stores[0], *CODES[:2])
        positions = [3, 40, 80, 120]
        await asyncio.gather(*(tell(stores[i % 2], node, p) for i, p in enumerate(positions)))
        async with stores[0].reading() as connection:
            last = (await connection.execute(select(NODE_POSITION.c.accepted))).scalar_one()
        assert last in positions
        # What only the last in the queue may say: that nothing before its `since` is missing.
        assert await tell(stores[1], node, 500, since=last + 1) == last
        assert await count_of(stores[0], LOCATOR) == 2 * 3 * len(positions)


async def test_a_message_sent_again_through_another_gateway_before_the_first_is_done_is_taken_once(
    tmp_path: Path,
) -> None:
    async with two(tmp_path) as stores:
        node = await joined(stores[0], CODES[0])
        assert await asyncio.gather(*(tell(stores[i % 2], node, 7, 20) for i in range(4))) == [7] * 4
        assert await count_of(stores[0], LOCATOR) == 20


async def test_a_facility_that_moves_while_its_old_node_speaks_ends_with_the_new_ones_rows_alone(
    tmp_path: Path,
) -> None:
    async with two(tmp_path) as stores:
        old = await joined(stores[0], CODES[0])
        code = await invite(stores[0], CODES[:1], NOW, 1)
        work = [tell(stores[0], old, p, 20) for p in (1, 30, 60)] + [join(stores[1], code, CODES[0])]  # type: ignore[list-item]
        results = await asyncio.gather(*work, return_exceptions=True)
        assert set(kinds(results)) <= {"int", "EnrolmentReply", "FacilityNotYours"}
        (reply,) = (r for r in results if isinstance(r, EnrolmentReply))
        new = await known(stores[0], reply)
        assert await tell(stores[0], new, 5) == 5
        assert await count_of(stores[0], LOCATOR, LOCATOR.c.node == old.pk) == 0
        assert await count_of(stores[0], LOCATOR, LOCATOR.c.node == new.pk) == 3


async def test_a_message_authenticated_before_its_node_was_revoked_or_its_facility_moved_is_refused(
    tmp_path: Path,
) -> None:
    async with two(tmp_path) as stores:
        first, second = await joined(stores[0], CODES[0]), await joined(stores[0], CODES[1])
        await joined(stores[1], CODES[0])
        await revoke(stores[1], second.id, NOW)
        with pytest.raises(FacilityNotYours):
            await tell(stores[0], first, 1)
        with pytest.raises(NodeRefused):
            await tell(stores[0], second, 1)
        assert await count_of(stores[0], LOCATOR) == 0


async def test_a_request_seen_by_one_gateway_is_refused_by_the_other(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        node = await joined(stores[0], CODES[0])
        desks = [Credentials(store, NOW.timestamp) for store in stores]
        header = f"Bearer {sign_request(SIGNING, node.id, '/nodes/sync', b'x', NOW.timestamp(), 'once-and-for-all')}"
        tries = (desks[i % 2].authenticate(header, node.id, "/nodes/sync", b"x") for i in range(6))
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert [r for r in results if isinstance(r, Authentic)] == [node]
        assert {r.reason for r in results if isinstance(r, NodeRefused)} == {"REPLAYED"}


async def test_what_one_gateway_enrols_and_revokes_the_other_knows_within_its_fresh_seconds(tmp_path: Path) -> None:
    async with two(tmp_path) as stores:
        ticks = [0.0]
        registry = Registry(stores[1], 2.0, lambda: ticks[0])
        assert not (await registry.snapshot()).nodes
        node = await joined(stores[0], CODES[0])
        ticks[0] += 2.1
        assert not (await registry.snapshot()).nodes[node.id].revoked
        await revoke(stores[0], node.id, NOW + timedelta(days=1))
        ticks[0] += 2.1
        city = await registry.snapshot()
        assert city.nodes[node.id].revoked and city.facilities[CODES[0]].node_id == node.id


async def test_syncs_go_side_by_side_enrolment_waits_and_grants_wait_for_nobody(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database == "sqlite":
        return  # one writer, as test_changes_at_once_get_different_versions shows
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 200)
    async with two(tmp_path) as stores:

        async def both(first: Hold, second: Hold) -> bool:
            async with stores[0].writing(first):
                try:
                    async with stores[1].writing(second):
                        return True
                except StoreUnavailable:
                    return False

        allowed = {(a.name, b.name) for a in Hold for b in Hold if await both(a, b)}
        assert allowed == {(a.name, b.name) for a in Hold for b in Hold} - {
            ("ALONE", "ALONE"),
            ("ALONE", "BESIDE"),
            ("BESIDE", "ALONE"),
        }
