"""A loopback proxy that asks one node as the gateway does: each request gets a delegation signed with the gateway's key.

It lets outside programs, which know nothing of delegations, talk to a node. It signs exactly the bytes that the node
digests: a POST's body, a GET's query string. Nothing of the node or of its answers is changed or judged here.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compose.demo.process import free_port
from schema.delegation import Allowed, Subject, new_delegation, sign_delegation
from schema.messages import CONTRACT_VERSION

EVERYTHING = Allowed(kinds=None, denied_labels=0, period_low="", period_high="~")
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Signer:
    """Speaks for the gateway that holds `key`, to the node `audience`, about `subjects`."""

    key: Ed25519PrivateKey
    audience: str
    subjects: tuple[Subject, ...] = ()

    def authorization(self, digested: bytes) -> str:
        """The header for one request; `digested` is what the node will digest."""
        delegation = new_delegation(
            audience=self.audience,
            body=digested,
            now=time.time(),
            jti=secrets.token_urlsafe(16),
            purpose="TREAT",
            subjects=self.subjects,
            allowed=EVERYTHING,
            contract=CONTRACT_VERSION,
        )
        return f"Bearer {sign_delegation(self.key, delegation)}"


def proxy_app(node_url: str, signer: Signer) -> Starlette:
    """Forwards /graphql. Of the headers only those that speak of media types travel, in both directions."""

    async def forward(request: Request) -> Response:
        body = await request.body()
        kept = {name: request.headers[name] for name in ("accept", "content-type") if name in request.headers}
        url = httpx.URL(f"{node_url}/graphql").copy_with(query=request.scope["query_string"] or None)
        kept["authorization"] = signer.authorization(body if request.method == "POST" else url.query)
        kept.setdefault("accept", "")  # httpx would add one of its own
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.request(request.method, url, content=body, headers=kept)
        return Response(answer.content, answer.status_code, {"content-type": answer.headers.get("content-type", "")})

    return Starlette(routes=[Route("/graphql", forward, methods=["GET", "POST"])])


@contextmanager
def signing_proxy(node_url: str, signer: Signer) -> Iterator[str]:
    """The URL of a running proxy's /graphql; stopped on leaving."""
    port = free_port()
    config = uvicorn.Config(
        proxy_app(node_url, signer), host="127.0.0.1", port=port, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limit = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < limit, "the proxy did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        assert not thread.is_alive()
