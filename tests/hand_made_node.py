"""A node that signs whatever a test wants to say to the gateway; shares no code with the node's own sync."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schema.elements import Feed
from schema.messages import EnrolmentRequest, NodeRole, PublicKey
from schema.node_request import sign_request
from tests.running import RunningGateway

CCCD, OTHER_CCCD = "001080912345", "001080954321"
LAST = "2026-03-01T00:00:00.000000Z"


class HandMadeNode:
    """A node that signs whatever a test wants."""

    def __init__(
        self, gateway: RunningGateway, *facilities: str, role: NodeRole = NodeRole.SOURCE, again: str | None = None
    ) -> None:
        self.gateway, self.key = gateway, Ed25519PrivateKey.generate()
        self.facilities = facilities
        request = EnrolmentRequest(
            gateway.invite(*facilities, role=role),
            PublicKey.of(self.key.public_key()),
            "https://node.example",
            {f: [Feed.FHIR] for f in facilities},
            "1.0",
            node_id=again,
            role=role,
        )
        reply = httpx.post(gateway.url + "/nodes/enrol", content=msgspec.json.encode(request))
        self.id: str = reply.json()["node_id"]

    def message(self, *patients: dict[str, Any], since: int = 0, position: int = 1, **more: Any) -> bytes:
        feed = {"feed": "FHIR", "rhythm_seconds": 60, "last_received_at": LAST}
        message = {
            "node_id": self.id,
            "since": since,
            "position": position,
            "head": position,
            "pending": 0,
            "contract_version": "1.0",
            "facilities": [{"facility": f, "feeds": [feed], "lagging": False} for f in self.facilities],
            "patients": list(patients),
            **more,
        }
        return msgspec.json.encode(message)

    def token(self, body: bytes, path: str = "/nodes/sync", seconds: float = 0, node_id: str = "") -> str:
        now = self.gateway.now().timestamp() + seconds
        return sign_request(self.key, node_id or self.id, path, body, now, secrets.token_urlsafe(16))

    def send(self, body: bytes, token: str | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {token or self.token(body)}"}
        return httpx.post(self.gateway.url + "/nodes/sync", content=body, headers=headers)


def patient(value: str = CCCD, ref: str = "ref-00000001", facility: str = "01001", **more: Any) -> dict[str, Any]:
    return {
        "ref": ref,
        "facility": facility,
        "identifiers": [["CCCD", value]],
        "birth_date": "1980-03-05",
        "gender": "MALE",
        "doubtful": False,
        **more,
    }
