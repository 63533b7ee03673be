"""Queries, cursors and grants over HTTP while the city key is replaced under a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert

from gateway.access.callers import Role
from gateway.cursor import Walk
from gateway.identity.key_ring import KEYS_FRESH_SECONDS
from gateway.identity.rotation import retire, rotate
from gateway.settings import Settings
from gateway.store.engine import Store, open_store
from gateway.store.tables import CITY_KEY
from tests.gateway.knocking import NAME, PAGED, Door
from tests.gateway.test_graph import door  # noqa: F401 - a gateway of this module's own
from tests.running import outside

GRANTS = "{ grants { id version } }"
GIVE = 'mutation { giveGrant(terms: {granteeFacility: "01001", days: 3}) { id version } }'


def with_store(door: Door, work: Callable[[Store, Settings], Awaitable[Any]]) -> Any:  # noqa: F811
    settings = Settings(data_folder=door.folder, demo_mode=True, database_url=door.database_url)

    async def run() -> Any:
        store = open_store(settings)
        try:
            return await work(store, settings)
        finally:
            await store.close()

    return outside(run())


def picked_up() -> None:
    """Until the gateway has looked at its folder and its registry again."""
    outside(asyncio.sleep(KEYS_FRESH_SECONDS + 1.2))


def test_grants_and_cursors_serve_through_a_rotation(door: Door) -> None:  # noqa: F811
    now = int(datetime.now(UTC).timestamp())
    cursor = door.cursor(Walk(now + 600, (), ("2024", "01001", "x")))
    given = door.post(GIVE)["data"]["giveGrant"]
    doctor = door.token(Role.PRACTITIONER, "doctor", facility="01001", licence="1")
    by_grant = {"purpose": "TREAT", "basis": "GRANT", "evidence": given["id"]}
    assert "errors" not in door.post(NAME, doctor, access=by_grant)

    with_store(door, lambda store, settings: rotate(store, settings, datetime.now(UTC)))
    picked_up()
    assert "errors" not in door.post(PAGED, a=cursor)
    assert "errors" not in door.post(NAME, doctor, access=by_grant)
    assert door.post(GRANTS)["data"]["grants"] == [given]  # the patient came by: it is now under the new key
    assert "errors" not in door.post(NAME, doctor, access=by_grant)
    assert door.post(GIVE)["data"]["giveGrant"]["version"] == 2

    with_store(door, lambda store, settings: retire(store, settings, datetime.now(UTC)))
    picked_up()
    assert "errors" not in door.post(NAME, doctor, access=by_grant)
    assert len(door.post(GRANTS)["data"]["grants"]) == 2
    assert door.refused(PAGED, a=cursor) == "BAD_CURSOR"


def test_a_gateway_that_lacks_the_newest_key_answers_nothing_about_patients(door: Door) -> None:  # noqa: F811
    async def elsewhere(store: Store, _settings: Settings) -> None:
        async with store.writing() as connection:
            await connection.execute(insert(CITY_KEY).values(version=200, fingerprint="200:x", made_at=""))

    with_store(door, elsewhere)
    picked_up()
    picked_up()
    assert door.refused(NAME) == "KEY_BEHIND"
