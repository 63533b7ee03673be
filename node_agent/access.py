"""What a node lets the gateway read: the delegation's check, its replay memory, and the node's own policy.

The node may only narrow what a delegation says (DESIGN 7): the holder of the record has the last word. Policy files grow
in `NodePolicy`; a replay memory shared by several processes replaces `JtiMemory`. No database, no HTTP framework.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schema.delegation import (
    GATEWAY_ISSUER,
    LEEWAY_SECONDS,
    RESTRICTED_ALL,
    Delegation,
    DelegationError,
    verify_delegation,
)

_SCHEME = "bearer "


class ReplayMemory(Protocol):
    """Remembers which delegations were used. Must be one memory for all processes of a node."""

    def claim(self, jti: str, until: float, now: float) -> bool:
        """True the first time a jti is claimed, False every other time before `until` (Unix seconds). Raises
        DelegationError(DELEGATION_MEMORY_FULL) rather than forget one that is still alive.
        """
        ...


class JtiMemory:
    """A ReplayMemory in this process, of at most `limit` live entries."""

    def __init__(self, limit: int = 200_000) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()
        self._limit = limit

    def claim(self, jti: str, until: float, now: float) -> bool:
        """See ReplayMemory. Lives are short and nearly equal, so the oldest entries are the first to expire."""
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        if jti in self._until:
            return False
        if len(self._until) >= self._limit:
            raise DelegationError("DELEGATION_MEMORY_FULL")
        self._until[jti] = until
        return True

    def __len__(self) -> int:
        return len(self._until)


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """What this node never gives, whatever the gateway says. In this release: nothing that carries any label.

    denied_labels: bit mask of labels, OR-ed into the delegation's.
    """

    denied_labels: int = RESTRICTED_ALL

    def narrow(self, delegation: Delegation) -> Delegation:
        """The delegation with this policy applied; never wider than it was."""
        allowed = delegation.allowed
        return replace(delegation, allowed=replace(allowed, denied_labels=allowed.denied_labels | self.denied_labels))


class Guard:
    """Checks each request of the gateway. keys: key id -> the gateway's public keys; clock: Unix seconds."""

    def __init__(
        self,
        node_id: str,
        keys: Mapping[str, Ed25519PublicKey],
        clock: Callable[[], float],
        *,
        policy: NodePolicy | None = None,
        memory: ReplayMemory | None = None,
        issuer: str = GATEWAY_ISSUER,
    ) -> None:
        self._node_id, self._keys, self._clock, self._issuer = node_id, keys, clock, issuer
        self._policy = policy or NodePolicy()
        self._memory = memory if memory is not None else JtiMemory()

    def check(self, authorization_header: str | None, body: bytes) -> Delegation:
        """The narrowed delegation of a request; raises DelegationError. Using the same delegation twice is an error."""
        header = authorization_header or ""
        token = header[len(_SCHEME) :].strip() if header[: len(_SCHEME)].lower() == _SCHEME else None
        now = self._clock()
        delegation = verify_delegation(token, self._keys, self._node_id, body, now, LEEWAY_SECONDS, self._issuer)
        if not self._memory.claim(delegation.jti, delegation.expires_at + LEEWAY_SECONDS, now):
            raise DelegationError("DELEGATION_REPLAYED")
        return self._policy.narrow(delegation)
