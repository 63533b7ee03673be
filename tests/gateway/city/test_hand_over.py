"""A facility moves from one node to another: nobody is forgotten on the way, and nobody is asked who has it no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.transport import Fault
from tests.gateway.test_walks_in_town import A, B, read, visits
from tests.gateway.town import town
from tests.hand_made_node import HandMadeNode, patient
from tests.running import RunningGateway

pytestmark = pytest.mark.usefixtures("database")


def held(gateway: RunningGateway) -> dict[str, list[str]]:
    """The refs in the locator by node."""
    found: dict[str, list[str]] = {}
    for node, ref in gateway.rows("SELECT n.id, l.ref FROM locator l JOIN node n ON n.pk = l.node ORDER BY l.ref"):
        found.setdefault(node, []).append(ref)
    return found


def told(node: HandMadeNode, *refs: str, pending: int = 0) -> HandMadeNode:
    reply = node.send(node.message(*(patient(ref=f"ref-0000000{ref}") for ref in refs), pending=pending))
    assert reply.status_code == 200, reply.text
    return node


def refs(*numbers: str) -> list[str]:
    return [f"ref-0000000{number}" for number in numbers]


def test_the_former_nodes_rows_stay_until_the_new_one_has_told_all(gateway: RunningGateway) -> None:
    old = told(HandMadeNode(gateway, "01001"), "1", "2")
    new = told(HandMadeNode(gateway, "01001"), "1", pending=1)
    city = gateway.city()
    assert city.facilities["01001"].node_id == new.id and city.facilities["01001"].synced_at is None
    assert city.nodes[old.id].revoked and not city.nodes[new.id].revoked
    assert held(gateway) == {
        old.id: refs("2"),
        new.id: refs("1"),
    }  # the same store under a new agent: a ref is what it was
    new.send(new.message(since=1, position=1))
    assert held(gateway) == {new.id: refs("1")} and gateway.city().facilities["01001"].synced_at


def test_a_node_that_keeps_another_facility_keeps_its_rows_of_that_one(gateway: RunningGateway) -> None:
    old = HandMadeNode(gateway, "01001", "01002")
    old.send(old.message(patient(ref=refs("1")[0]), patient(ref=refs("2")[0], facility="01002")))
    new = told(HandMadeNode(gateway, "01001"), "3")
    assert held(gateway) == {old.id: refs("2"), new.id: refs("3")}
    assert not gateway.city().nodes[old.id].revoked


def test_of_a_second_move_before_all_was_told_nobody_is_lost(gateway: RunningGateway) -> None:
    told(HandMadeNode(gateway, "01001"), "1", "2", "3")
    second = told(HandMadeNode(gateway, "01001"), "1", "4", pending=1)
    third = HandMadeNode(gateway, "01001")
    assert held(gateway) == {second.id: refs("1", "2", "3", "4")}
    told(third, "3", pending=1)
    assert held(gateway) == {second.id: refs("1", "2", "4"), third.id: refs("3")}
    third.send(third.message(since=1, position=1))
    assert held(gateway) == {third.id: refs("3")}


def test_a_node_that_gets_its_facility_back_is_its_own_former_node_no_more(gateway: RunningGateway) -> None:
    first = told(HandMadeNode(gateway, "01001", "01002"), "1")
    told(HandMadeNode(gateway, "01001"), "5", pending=1)
    code = gateway.invite("01001", "01002")
    assert code and held(gateway)[first.id] == refs("1")
    back = HandMadeNode(gateway, "01001", "01002", again=first.id)
    told(back, "1")
    assert held(gateway) == {back.id: refs("1")}


@pytest.mark.anyio
async def test_until_then_the_facility_is_missing_by_name_and_the_former_node_is_not_asked(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1, 2))})
        old = await here.node({"ref-0000B": (B, visits(B, 1, 2)), "ref-0000C": ("0000C", visits("0000C", 1))})
        assert (await read(here, 20)).completeness == "COMPLETE"
        asked = len(old.calls)
        new = await here.node({"ref-0000D": (B, visits(B, 1, 2, 3))}, sync=False)
        page = await read(here, 20)
        assert (page.completeness, page.lines[B]) == ("INCOMPLETE", ("UNREACHABLE", "HANDED_OVER"))
        assert "ref-0000C" in str(old.calls[asked:]) and "ref-0000B" not in str(old.calls[asked:])
        assert not new.calls and not any(row.startswith(B) for row in page.rows)
        await here.sync(new)
        whole = await read(here, 20)
        assert whole.completeness == "COMPLETE" and sum(row.startswith(B) for row in whole.rows) == 3


@pytest.mark.anyio
async def test_a_gateway_that_has_not_heard_of_the_change_yet_does_not_call_it_complete(tmp_path: Path) -> None:
    """Its registry is a moment old; the locator it reads is the database's."""
    async with town(tmp_path) as here:
        await here.node({"ref-0000A": (A, visits(A, 1))})
        old = await here.node({"ref-0000B": (B, visits(B, 1))})
        known = await here.history.registry.snapshot()
        old.fault = Fault.UNREACHABLE
        await here.node({"ref-0000D": (B, visits(B, 1, 2))}, sync=False)

        async def snapshot() -> object:
            return known

        here.history.registry.snapshot = snapshot  # type: ignore[assignment, method-assign]
        page = await read(here, 20)
        assert page.completeness == "INCOMPLETE" and page.lines[B][0] == "UNREACHABLE"
