"""Random walks in a town while nodes fail, refuse, move, speak other contracts and a warehouse stands by.

Of every walk: no row twice (without a warehouse), and no page calls itself COMPLETE, with nothing further to ask for, while
a row of a hospital was not seen.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.transport import Fault
from schema.messages import NodeRole
from tests.gateway.ages import SDL, older
from tests.gateway.test_walks_in_town import TELEPATHY, A, B, read, visits
from tests.gateway.town import Hospital, Town, town
from tests.plain import Json

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("database")]
STORE = "warehouse"
AGES = [SDL, TELEPATHY, older(["Encounter.feed", "Record.feed"]), older(["Encounter.reason"])]
STEPS = 14


def some(rng: random.Random, code: str, least: int) -> list[Json]:
    return visits(code, *rng.sample(range(1, 13), rng.randint(least, 7)))


async def trouble(rng: random.Random, here: Town, nodes: dict[str, Hospital]) -> None:
    """Up to two things go wrong, or right, before the next page."""
    for node in nodes.values():
        node.fault = None
    for _ in range(rng.randint(0, 2)):
        name, chance = rng.choice(sorted(nodes)), rng.random()
        if chance < 0.6:
            nodes[name].fault = rng.choice([Fault.UNREACHABLE, Fault.TIMED_OUT])
        elif chance < 0.7:
            nodes[name].fault, nodes[name].status = Fault.STATUS, 403
        elif chance < 0.9:
            await here.speaks(nodes[name], rng.choice(AGES))
        elif name != STORE:
            nodes[name] = await here.node(nodes[name].patients, nodes[name].aged.sdl)


@pytest.mark.parametrize("seed", range(6))
async def test_no_walk_forgets_a_row_and_calls_itself_complete(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    held = {A: some(rng, A, 0), B: some(rng, B, 1)}
    if rng.random() < 0.3:
        held[B][0]["body"]["feed"] = "TELEPATHY"
    async with town(tmp_path) as here:
        nodes = {c: await here.node({f"ref-{c}": (c, held[c])}, rng.choice(AGES[:2])) for c in (A, B)}
        if rng.random() < 0.5:
            nodes[STORE] = await here.node({f"copy-{A}": (A, some(rng, A, 5))}, role=NodeRole.WAREHOUSE)
        seen: list[str] = []
        cursor: str | None = None
        size = rng.randint(1, 4)
        for _ in range(STEPS):
            await trouble(rng, here, nodes)
            page = await read(here, size, cursor)
            assert STORE in nodes or not set(page.rows) & set(seen)
            seen += page.rows
            if page.completeness == "COMPLETE" and not page.more:
                assert not page.gap
                assert {row["id"] for rows in held.values() for row in rows} <= set(seen)
            if page.gap and (not page.more or rng.random() < 0.4):
                cursor = page.gap
            elif page.more:
                cursor = page.end
            else:
                break
