"""What one node, and what all failures together, may take of the gateway: room for calls at once, and retries.

Whether a node is asked at all is breaker.py; the calls themselves are sending.py.
"""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.transport import Fault, TransportError


class Bulkhead:
    """One node's room: `width` calls at once and `queue` that wait, so that a slow hospital holds up its own callers only."""

    __slots__ = ("_queue", "_waiting", "_width", "busy")

    def __init__(self, width: int, queue: int) -> None:
        self._width, self._queue = width, queue
        self.busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._waiting)

    def take(self) -> bool:
        """A place, if one is free: the path of nearly every call, which must not cost a coroutine."""
        if self.busy >= self._width:
            return False
        self.busy += 1
        return True

    async def wait(self, seconds: float) -> None:
        """A place within `seconds`; raises TransportError(OVER_BUDGET) when the queue is full or the time is over."""
        if len(self._waiting) >= self._queue:
            raise TransportError(Fault.OVER_BUDGET)
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.done() and not place.cancelled():
                self.leave()  # it was handed over at the very moment of giving up
            elif place in self._waiting:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise TransportError(Fault.OVER_BUDGET) from None
            raise

    def leave(self) -> None:
        """Gives the place to whoever has waited longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.busy -= 1


class RetryBudget:
    """A bucket for all nodes together: each call earns `share` of a retry, and no more than `limit` are saved up. So a city
    in trouble is asked at most that much more."""

    __slots__ = ("_left", "_limit", "_share")

    def __init__(self, share: float, limit: float = 10.0) -> None:
        self._share, self._limit = share, limit
        self._left = limit if share else 0.0

    def earn(self) -> None:
        """A first call was made."""
        if self._left < self._limit:
            self._left = min(self._limit, self._left + self._share)

    def spend(self) -> bool:
        """Whether a retry may be made; then it is counted."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Bulkheads:
    """All nodes' rooms, made when a node is first asked, and the one budget of retries."""

    def __init__(self, width: int, queue: int, retry_share: float) -> None:
        self._width, self._queue = width, queue
        self._rooms: dict[str, Bulkhead] = {}
        self.retries = RetryBudget(retry_share)

    def of(self, node_id: str) -> Bulkhead:
        """The room of a node."""
        room = self._rooms.get(node_id)
        if room is None:
            room = self._rooms[node_id] = Bulkhead(self._width, self._queue)
        return room
