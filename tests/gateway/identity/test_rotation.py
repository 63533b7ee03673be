"""Two versions of the city key: nodes tell again by themselves, queries and grants go on, and the old one goes only when it may."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.access.grants import GrantStore
from gateway.errors import KeyBehind, KeyStillNeeded, KeyUnusable
from gateway.identity import rotation
from gateway.identity.choice import Choice
from gateway.identity.key_ring import KEYS_FRESH_SECONDS, KeyRing, load_keys
from gateway.identity.locator import People, SqliteLocator
from gateway.identity.splits import standing, unlink
from schema.access import GrantInput
from schema.identity import IdentifierKind
from tests.hand_made_node import CCCD, HandMadeNode, patient
from tests.running import RunningGateway, outside

BHXH = "0123456780"
NUMBERS = [["CCCD", CCCD], ["BHXH", BHXH]]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path)
    running.start()
    yield running
    running.stop()


def told(gateway: RunningGateway, *codes: str) -> list[HandMadeNode]:
    """A node for each facility. The first has CCCD and card, the others the card alone."""
    nodes = [HandMadeNode(gateway, code) for code in codes]
    for i, node in enumerate(nodes):
        send(node, NUMBERS if i == 0 else NUMBERS[1:])
    return nodes


def send(node: HandMadeNode, numbers: list[list[str]], since: int = 0) -> int:
    code = node.facilities[0]
    body = node.message(
        patient(facility=code, ref=f"ref-{code}-1", identifiers=numbers), since=since, position=since + 1
    )
    accepted: int = node.send(body).json()["accepted"]
    return accepted


def rotate(gateway: RunningGateway) -> None:
    gateway.with_store(lambda store: rotation.rotate(store, gateway.settings, datetime.now(UTC)))


def retire(gateway: RunningGateway, *without: str) -> int:
    work = lambda store: rotation.retire(store, gateway.settings, datetime.now(UTC), without)  # noqa: E731
    version: int = gateway.with_store(work)
    return version


def find(gateway: RunningGateway, kind: IdentifierKind = IdentifierKind.CCCD, value: str = CCCD) -> Choice:
    locator = SqliteLocator(gateway.database)
    try:
        return outside(People(locator).find(load_keys(gateway.settings).tokens(kind, value)))
    finally:
        locator.close()


def kept(gateway: RunningGateway) -> list[str]:
    return [row.facility for row in find(gateway).kept]


def picked_up() -> None:
    """Until the running gateway has looked at its folder again."""
    outside(asyncio.sleep(KEYS_FRESH_SECONDS + 0.1))


def test_queries_find_everything_before_during_and_after(gateway: RunningGateway) -> None:
    a, b = told(gateway, "01001", "01002")
    assert kept(gateway) == ["01001", "01002"]
    rotate(gateway)
    assert kept(gateway) == ["01001", "01002"]
    picked_up()
    assert send(a, NUMBERS, since=1) == 0  # asked to begin anew
    assert kept(gateway) == ["01001", "01002"]
    assert send(a, NUMBERS) == 1
    assert kept(gateway) == ["01001", "01002"], "one node is through, the other is not"
    assert send(a, NUMBERS, since=1) == 2  # asked once only
    with pytest.raises(KeyStillNeeded, match=f"{b.id}: 1"):
        retire(gateway)
    assert send(b, NUMBERS[1:], since=1) == 0
    assert send(b, NUMBERS[1:]) == 1
    assert retire(gateway) == 1
    assert kept(gateway) == ["01001", "01002"]
    assert {row[0][0] for row in gateway.rows("SELECT token FROM locator")} == {2}
    assert [key.version for key in load_keys(gateway.settings).keys] == [2]


def test_a_new_and_a_corrected_patient_are_right_during_the_change(gateway: RunningGateway) -> None:
    (a,) = told(gateway, "01001")
    rotate(gateway)
    picked_up()
    send(a, NUMBERS, since=1)
    send(a, [["CCCD", "001080954321"]])
    assert kept(gateway) == []
    assert [row.facility for row in find(gateway, value="001080954321").kept] == ["01001"]


def test_a_node_that_never_comes_back_is_given_up_by_name_only(gateway: RunningGateway) -> None:
    a, b = told(gateway, "01001", "01002")
    rotate(gateway)
    picked_up()
    send(a, NUMBERS, since=1)
    send(a, NUMBERS)
    gateway.revoke(b.id)
    with pytest.raises(KeyStillNeeded):
        retire(gateway)
    retire(gateway, b.id)
    assert kept(gateway) == ["01001"]


def test_only_one_change_at_a_time(gateway: RunningGateway) -> None:
    with pytest.raises(KeyStillNeeded):
        retire(gateway)
    rotate(gateway)
    with pytest.raises(KeyStillNeeded):
        rotate(gateway)
    assert retire(gateway) == 1  # nobody is known yet
    rotate(gateway)
    assert [key.version for key in load_keys(gateway.settings).keys] == [2, 3]


def test_page_cursors_and_ids_rest_on_the_key_that_stays(gateway: RunningGateway) -> None:
    before = load_keys(gateway.settings).primary
    rotate(gateway)
    during = load_keys(gateway.settings).primary
    token = before.patient_token(IdentifierKind.CCCD, CCCD)
    assert during.pairwise_id("app", token) == before.pairwise_id("app", token)
    assert during.secret_for("page cursors") == before.secret_for("page cursors")


def test_grants_go_over_with_the_patient_and_their_version_never_goes_back(gateway: RunningGateway) -> None:
    (a,) = told(gateway, "01001")
    old = gateway.key.patient_token(IdentifierKind.CCCD, CCCD)

    async def give(store: Any) -> int:
        grants = GrantStore(store, lambda: datetime.now(UTC).timestamp())
        for _ in range(3):
            given = await grants.give(old, GrantInput(grantee_facility="01002", days=30))
        return given.version

    assert gateway.with_store(give) == 3
    rotate(gateway)
    picked_up()
    with pytest.raises(KeyStillNeeded, match="GRANTS: 3"):
        retire(gateway)
    send(a, NUMBERS, since=1)
    send(a, NUMBERS)
    new = load_keys(gateway.settings).newest.patient_token(IdentifierKind.CCCD, CCCD)

    async def again(store: Any) -> tuple[int, int]:
        grants = GrantStore(store, lambda: datetime.now(UTC).timestamp())
        given = await grants.give(new, GrantInput(grantee_facility="01002", days=30))
        return given.version, len(await grants.of_patient(new))

    assert gateway.with_store(again) == (4, 4)
    retire(gateway)


def test_an_unlinking_by_number_holds_across_the_change_and_can_still_be_taken_back(gateway: RunningGateway) -> None:
    a, b = told(gateway, "01001", "01002")
    tokens = load_keys(gateway.settings).tokens(IdentifierKind.CCCD, CCCD)
    gateway.with_store(lambda store: unlink(store, ("01002", "ref-01002-1"), tokens, datetime.now(UTC)))
    assert kept(gateway) == ["01001"]
    rotate(gateway)
    picked_up()
    with pytest.raises(KeyStillNeeded, match="SPLITS: 1"):
        retire(gateway)
    for node, numbers in ((a, NUMBERS), (b, NUMBERS[1:])):
        send(node, numbers, since=1)
        send(node, numbers)
        assert kept(gateway) == ["01001"]
    retire(gateway)
    assert kept(gateway) == ["01001"]
    assert len(gateway.with_store(standing)) == 1


def test_a_gateway_without_the_newest_key_fails_closed_and_then_follows(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    (a,) = told(gateway, "01001")
    rotate(gateway)
    picked_up()
    send(a, NUMBERS, since=1)
    file = tmp_path / "city.2.key"
    kept_aside = shutil.move(file, tmp_path / "aside")
    picked_up()
    body = a.message(patient(identifiers=NUMBERS))
    assert a.send(body).json()["code"] == KeyBehind.code
    shutil.move(kept_aside, file)
    assert a.send(body).json()["accepted"] == 1  # looked again at once


def test_another_key_in_its_place_stops_the_start(gateway: RunningGateway, tmp_path: Path) -> None:
    live = load_keys(gateway.settings)
    gateway.with_store(lambda store: rotation.settle_keys(store, live, datetime.now(UTC)))
    (tmp_path / "city.key").write_bytes(bytes(32))
    other = load_keys(gateway.settings)
    with pytest.raises(KeyUnusable):
        gateway.with_store(lambda store: rotation.settle_keys(store, other, datetime.now(UTC)))


def test_a_ring_looks_at_its_folder_once_in_a_while_and_survives_half_a_copy(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    now = 0.0
    ring = KeyRing(gateway.settings, lambda: now)
    (tmp_path / "city.2.key").write_bytes(b"half")
    (tmp_path / "city.2.key").chmod(0o600)
    assert len(ring.live().keys) == 1
    now = KEYS_FRESH_SECONDS
    assert len(ring.live().keys) == 1  # not usable; what is loaded serves on
    (tmp_path / "city.2.key").write_bytes(bytes(range(32)))
    now += KEYS_FRESH_SECONDS / 2
    assert len(ring.live().keys) == 1
    assert [key.version for key in ring.live(again=True).keys] == [1, 2]
