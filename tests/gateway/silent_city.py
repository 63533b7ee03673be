"""A real gateway process whose three hospitals take a call and never answer: what listens to it stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import hospital
from benchmarks.gateway import fill
from compose.demo.launch import RunningCity, launch
from gateway.access.callers import Role
from schema.identity import Identifier, IdentifierKind
from tests.fault_proxy import Fault, FaultProxy
from tests.forked import FORKED

OPTIONS = {
    "node_deadline_seconds": 0.3,
    "request_deadline_seconds": 0.5,
    "live_late_seconds": 20.0,
    "live_init_seconds": 0.6,
    "live_send_seconds": 1.0,
    "live_subscriptions_per_caller": 2,
}


@dataclass(frozen=True)
class SilentCity:
    """about: variables of the only patient, who asks for herself."""

    running: RunningCity
    node: FaultProxy

    @property
    def url(self) -> str:
        return self.running.gateway.url

    def token(self, subject: str = "citizen", value: str = hospital.CCCD, **more: Any) -> str:
        identity = Identifier(IdentifierKind.CCCD, value)
        return self.running.token(Role.CITIZEN, subject, identity=identity, **more)

    def about(self, **more: Any) -> dict[str, Any]:
        access = {"purpose": "PATRQT", "basis": "SELF"}
        return {"by": {"kind": "CCCD", "value": hospital.CCCD}, "access": access, **more}

    def post(self, query: str, accept: str, token: str | None = None, **variables: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token or self.token()}", "accept": accept}
        with httpx.Client(trust_env=False) as client:
            body = {"query": query, "variables": self.about(**variables)}
            return client.post(f"{self.url}/graphql", json=body, headers=headers, timeout=30)


@contextmanager
def silent_city(folder: Path) -> Iterator[SilentCity]:
    node = FaultProxy()
    node.fault = Fault.HANG
    with launch(folder, [], gateway_options=OPTIONS, programs=FORKED) as running:
        asyncio.run(fill(running, node.url, 3))
        yield SilentCity(running, node)
    node.close()
