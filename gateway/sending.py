"""One node called: its deadline, its room, and once more where that is worth it (DESIGN 6). What comes back is reading.py."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from gateway.bulkhead import Bulkheads
from gateway.plan import NodeRequest
from gateway.transport import Fault, Transport, TransportError

Send = Callable[[NodeRequest], Awaitable[bytes]]
RETRY_SECONDS = 0.25  # with less left a second call would only keep a slow node busy
BUSY = 503


class Post(NamedTuple):
    """What one node is sent: the request's body and the delegation that goes with it."""

    body: bytes
    delegation: str


async def send_post(
    transport: Transport,
    request: NodeRequest,
    post: Post,
    deadline: float,
    node_seconds: float,
    cap: int,
    bulkheads: Bulkheads | None = None,
    again: Callable[[], Post] | None = None,
) -> bytes:
    """Calls one node. Its own deadline is the tighter of node_seconds and what is left until `deadline` (a time.monotonic()
    moment); cap: the largest answer, in bytes. Raises TransportError.

    A connection that broke before any answer, or a 503, is tried once more with what `again` gives, while the budget has
    a retry and the deadline RETRY_SECONDS. A node remembers each delegation: the same one would be refused.
    """
    now = time.monotonic()
    until = min(now + node_seconds, deadline)
    if bulkheads is None or until <= now:
        return await _call(transport, request, post, until - now, cap)
    room = bulkheads.of(request.node.id)
    if not room.take():
        await room.wait(until - now)
        now = time.monotonic()
    try:
        bulkheads.retries.earn()
        try:
            return await _call(transport, request, post, until - now, cap)
        except TransportError as error:
            again_worth = error.early or error.status == BUSY
            left = until - time.monotonic()
            if again is None or not again_worth or left < RETRY_SECONDS or not bulkheads.retries.spend():
                raise
        return await _call(transport, request, again(), left, cap)
    finally:
        room.leave()


def _call(transport: Transport, request: NodeRequest, post: Post, seconds: float, cap: int) -> Awaitable[bytes]:
    if seconds <= 0:
        raise TransportError(Fault.TIMED_OUT)
    headers = {
        "authorization": f"Bearer {post.delegation}",
        "content-type": "application/json",
        "deadline-milliseconds": str(int(seconds * 1000)),
    }
    return transport.post(f"{request.node.url}/graphql", post.body, headers, seconds, cap)


def sender(
    transport: Transport,
    posts: Mapping[str, Post],
    deadline: float,
    node_seconds: float,
    cap: int,
    bulkheads: Bulkheads | None = None,
    again: Callable[[NodeRequest], Post] | None = None,
) -> Send:
    """send_post for nodes that are called once each (posts: by node id)."""

    async def send(request: NodeRequest) -> bytes:
        anew = partial(again, request) if again else None
        post = posts[request.node.id]
        return await send_post(transport, request, post, deadline, node_seconds, cap, bulkheads, anew)

    return send
