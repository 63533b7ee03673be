"""Issuers' keys: fetched over real sockets, cached, rotated, and never asked for too often."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.access.jwks import (
    JWKS_BYTES_LIMIT,
    REFETCH_SECONDS,
    RENEW_SECONDS,
    STALE_SECONDS,
    KeySource,
    KeysUnavailable,
    verification_keys,
)

OLD, NEW = ECKey.generate_key("P-256", {"kid": "old"}), ECKey.generate_key("P-256", {"kid": "new"})


class Clock:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Login(ThreadingHTTPServer):
    """An issuer that publishes `answer` with `status` and counts how often it was asked."""

    answer, status, asked = b"", 200, 0

    def publish(self, *keys: ECKey) -> None:
        self.answer = document(*keys)


class Handler(BaseHTTPRequestHandler):
    """Answers every GET."""

    server: Login

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


def document(*keys: Any, **more: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) | more for key in keys]}).encode()


@pytest.fixture
def login() -> Iterator[Login]:
    server = Login(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def source(login: Login, clock: Clock) -> KeySource:
    return KeySource(f"http://127.0.0.1:{login.server_port}/jwks", clock)


@pytest.mark.anyio
async def test_a_new_key_is_fetched_once_and_strange_ids_do_not_hammer_the_issuer(login: Login) -> None:
    clock = Clock()
    keys = source(login, clock)
    login.publish(OLD)
    assert await keys.find("old") is not None
    login.publish(OLD, NEW)
    for _ in range(5):
        assert await keys.find("new") is None  # just fetched
    assert login.asked == 1
    clock.now += REFETCH_SECONDS
    assert await keys.find("new") is not None
    assert await keys.find("old") is not None
    assert login.asked == 2


@pytest.mark.anyio
async def test_a_key_taken_away_stops_working_at_the_next_renewal(login: Login) -> None:
    clock = Clock()
    keys = source(login, clock)
    login.publish(OLD)
    assert await keys.find("old") is not None
    login.publish(NEW)
    clock.now += RENEW_SECONDS + 1
    assert await keys.find("old") is None


@pytest.mark.anyio
async def test_an_issuer_that_is_away_is_believed_for_an_hour_and_no_longer(login: Login) -> None:
    clock = Clock()
    keys = source(login, clock)
    login.publish(OLD)
    assert await keys.find("old") is not None
    login.status = 503
    clock.now += STALE_SECONDS
    assert await keys.find("old") is not None
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        await keys.find("old")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (302, document(OLD)),
        (500, document(OLD)),
        (200, b"{"),
        (200, b"[]"),
        (200, b" " * JWKS_BYTES_LIMIT + document(OLD)),
    ],
)
async def test_any_other_answer_gives_no_keys(login: Login, status: int, answer: bytes) -> None:
    login.status, login.answer = status, answer
    with pytest.raises(KeysUnavailable):
        await source(login, Clock()).find("old")


def test_keys_over_plain_http_from_another_machine_are_refused() -> None:
    with pytest.raises(ValueError, match="https"):
        KeySource("http://login.example/jwks", Clock())


def test_only_signature_keys_of_the_three_kinds_are_taken() -> None:
    kinds = [
        RSAKey.generate_key(2048, {"kid": "rsa"}),
        OLD,
        OKPKey.generate_key("Ed25519", {"kid": "ed"}),
        ECKey.generate_key("P-384", {"kid": "p384"}),
        OKPKey.generate_key("X25519", {"kid": "x"}),
    ]
    assert set(verification_keys(document(*kinds))) == {"rsa", "old", "ed"}
    assert verification_keys(document(NEW, use="enc")) == {}
    secret = OctKey.generate_key(256, {"kid": "oct"}).as_dict(private=True)
    nameless = {name: value for name, value in NEW.as_dict(private=False).items() if name != "kid"}
    broken = {"kty": "RSA", "kid": "broken", "n": 5, "e": "AQAB"}
    assert verification_keys(json.dumps({"keys": [secret, nameless, broken]}).encode()) == {}
    private = json.dumps({"keys": [NEW.as_dict(private=True)]}).encode()
    assert not verification_keys(private)["new"].is_private


def test_a_short_rsa_key_is_not_taken() -> None:
    numbers = generate_private_key(65537, 1024).public_key().public_numbers()
    short = RSAKey.generate_key(2048, {"kid": "short"}).as_dict(private=False)
    short["n"] = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    assert verification_keys(json.dumps({"keys": [short]}).encode()) == {}
