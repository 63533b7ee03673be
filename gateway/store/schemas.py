"""The printed schemas that nodes sent, one a hash (revision 0005). What they mean is gateway/contracts/contract.py."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field

from gateway.contracts.contract import SDL_LIMIT, digest_of, ours
from gateway.store.tables import METADATA, NODE, GatewayModel


class NodeSchemaRow(GatewayModel, table=True):
    """A schema that some node speaks; ours is never in here. digest: hex SHA-256 of sdl in UTF-8."""

    __tablename__ = "node_schema"
    digest: str = Field(primary_key=True)
    sdl: str


NODE_SCHEMA: Table = METADATA.tables["node_schema"]


async def keep_schema(connection: AsyncConnection, digest: str, sdl: str | None) -> bool:
    """Keeps the schema a node sent beside its digest; whether the node should send it (again): it is not known here.

    A text that is not what its digest says, or too long, is not kept: then the declared version alone counts. Nodes' older
    schemas that nobody speaks any more go. To be called after the node's own row was written.
    """
    if not digest or digest == ours().digest:
        return False
    where = NODE_SCHEMA.c.digest == digest
    if (await connection.execute(select(NODE_SCHEMA.c.digest).where(where))).first() is not None:
        return False
    if not sdl:
        return True
    if len(sdl) <= SDL_LIMIT and digest_of(sdl) == digest:
        spoken = select(NODE.c.sdl_sha256)
        await connection.execute(delete(NODE_SCHEMA).where(NODE_SCHEMA.c.digest.not_in(spoken)))
        await connection.execute(insert(NODE_SCHEMA).values(digest=digest, sdl=sdl))
    return False


async def note_contract(
    connection: AsyncConnection, node: int, version: str, digest: str, sdl: str | None
) -> tuple[bool, bool]:
    """What a node says of its contract with each sync: (whether that changed anything, whether it should send its schema).

    An agent that does not tell a digest keeps the one it enrolled with, as long as its version stays.
    """
    known = (
        await connection.execute(select(NODE.c.contract_version, NODE.c.sdl_sha256).where(NODE.c.pk == node))
    ).one()
    told = digest or (known.sdl_sha256 if version == known.contract_version else "")
    changed = (version, told) != tuple(known)
    if changed:
        values = {"contract_version": version, "sdl_sha256": told}
        await connection.execute(update(NODE).where(NODE.c.pk == node).values(values))
    wanted = await keep_schema(connection, told, sdl)
    return changed or sdl is not None, wanted and bool(digest)


async def read_schemas(connection: AsyncConnection, digests: Iterable[str]) -> dict[str, str]:
    """The schemas kept of these digests."""
    wanted = sorted(set(digests))
    if not wanted:
        return {}
    rows = await connection.execute(select(NODE_SCHEMA).where(NODE_SCHEMA.c.digest.in_(wanted)))
    return {row.digest: row.sdl for row in rows}
