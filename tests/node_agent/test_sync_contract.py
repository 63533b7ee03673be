"""A real agent's sync beside a gateway of an older contract: the schema is told at enrolment, and again when it is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from gateway.contracts.contract import digest_of, read_contract
from gateway.store import schemas
from schema.sdl import printed
from tests.gateway.ages import older
from tests.running import RunningGateway, wait_until
from tests.running_node import RunningNode

SDL = printed("node.graphql")


def test_an_agent_tells_its_schema_at_enrolment_and_again_to_a_gateway_that_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = read_contract(older(["Encounter.reason"]))
    monkeypatch.setattr(schemas, "ours", lambda: mine)  # the gateway's release is the one before
    gateway = RunningGateway(tmp_path / "gateway")
    gateway.start()
    try:
        node = RunningNode(tmp_path / "node", gateway, "01001")
        kept = [(digest_of(SDL), SDL)]
        assert gateway.rows("SELECT digest, sdl FROM node_schema") == kept

        async def lose(store: Any) -> None:
            async with store.writing() as connection:
                await connection.execute(delete(schemas.NODE_SCHEMA))

        gateway.with_store(lose)
        node.start()
        try:
            wait_until(lambda: gateway.rows("SELECT digest, sdl FROM node_schema") == kept)
            told = node.state.succeeded_at
            wait_until(lambda: node.state.succeeded_at != told)
            assert node.state.failures == 0
        finally:
            node.stop()
    finally:
        gateway.stop()
