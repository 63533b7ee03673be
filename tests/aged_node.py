"""A node of another age on a real socket: it serves a given SDL over the naive oracle, enrols, syncs, and checks delegations.

It shares the wire's shapes with the contract and no code with the node agent.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compose.demo.process import free_port
from gateway.contracts.contract import digest_of
from schema.delegation import verify_delegation
from schema.elements import Feed
from schema.jws import key_id
from schema.messages import EnrolmentReply, EnrolmentRequest, PublicKey
from schema.node_request import sign_request
from tests.gateway.ages import Aged
from tests.plain import Json

START_SECONDS = 10.0


class AgedNode:
    """patients: Patient dicts by ref. tells: whether it sends its schema, as every agent of this contract does."""

    def __init__(self, sdl: str, facility: str, version: str = "1.0", tells: bool = True) -> None:
        self.aged, self.facility, self.version, self.tells = Aged.of(sdl), facility, version, tells
        self.patients: dict[str, Json] = {}
        self.key = Ed25519PrivateKey.generate()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.position = 0

    def enrol(self, gateway_url: str, code: str) -> None:
        """Joins the city."""
        sdl = self.aged.sdl
        request = EnrolmentRequest(
            code,
            PublicKey.of(self.key.public_key()),
            self.url,
            {self.facility: [Feed.FHIR.value]},
            self.version,
            digest_of(sdl) if self.tells else "",
            sdl=sdl if self.tells else None,
        )
        response = httpx.post(f"{gateway_url}/nodes/enrol", content=msgspec.json.encode(request), trust_env=False)
        assert response.status_code == 200, response.text
        reply = msgspec.json.decode(response.content, type=EnrolmentReply)
        self.gateway_url, self.id = gateway_url, reply.node_id
        self.keys = {key_id(k.key()): k.key() for k in reply.gateway_keys}

    def sync(self, cccd: dict[str, str], **more: Any) -> dict[str, Any]:
        """Tells the gateway whom it knows. cccd: by ref. more: further members of the message."""
        since, self.position = self.position, self.position + 1
        feed = {"feed": "FHIR", "rhythm_seconds": 86_400, "last_received_at": "2026-03-01T00:00:00.000000Z"}
        message = {
            "node_id": self.id, "since": since, "position": self.position, "head": self.position, "pending": 0,
            "contract_version": self.version, "facilities": [{"facility": self.facility, "feeds": [feed], "lagging": False}],
            "patients": [
                {"ref": ref, "facility": self.facility, "identifiers": [["CCCD", value]], "birth_date": None, "gender": None, "doubtful": False}
                for ref, value in cccd.items()
            ],
            **more,
        }  # fmt: skip
        body = msgspec.json.encode(message)
        token = sign_request(self.key, self.id, "/nodes/sync", body, time.time(), secrets.token_urlsafe(16))
        headers = {"authorization": f"Bearer {token}"}
        response = httpx.post(f"{self.gateway_url}/nodes/sync", content=body, headers=headers, trust_env=False)
        assert response.status_code == 200, response.text
        reply: dict[str, Any] = response.json()
        return reply

    async def answer(self, http: Request) -> Response:
        """POST /graphql: the delegation is checked as any node must, then the naive oracle answers."""
        body = await http.body()
        token = http.headers["authorization"].removeprefix("Bearer ")
        delegation = verify_delegation(token, self.keys, self.id, body, time.time())
        asked = {
            r["ref"]
            for value in json.loads(body)["variables"].values()
            if isinstance(value, list)
            for r in value
            if isinstance(r, dict)
        }
        assert asked <= {s.ref for s in delegation.subjects}
        return Response(self.aged.reply(body, self.patients), media_type="application/json")

    @contextmanager
    def running(self) -> Iterator[AgedNode]:
        """While it serves."""
        app = Starlette(routes=[Route("/graphql", self.answer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        limit = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < limit, "the node did not start"
            time.sleep(0.01)
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
            assert not thread.is_alive()
