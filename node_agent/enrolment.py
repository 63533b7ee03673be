"""How this node joined the city: its key pair, who the gateway said it is, and whose delegations it believes.

The private key is made here and never leaves; enrolment.json holds nothing secret. What is then told is sync.py.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from node_agent.errors import NodeError
from node_agent.settings import Settings
from schema.elements import Feed
from schema.jws import key_id
from schema.messages import (
    CONTRACT_VERSION,
    ENROL_PATH,
    EnrolmentReply,
    EnrolmentRequest,
    NodeRole,
    PublicKey,
    Refusal,
)

FILE = "enrolment.json"
SECONDS = 15.0


class EnrolmentFailed(NodeError):
    """The gateway did not take this node in; the text says why and what to do. Never holds the code."""

    code = "ENROLMENT_FAILED"


class EnrolmentUnusable(NodeError):
    """enrolment.json and the key file do not belong together, or one of them is damaged."""

    code = "ENROLMENT_UNUSABLE"


class _Saved(msgspec.Struct, frozen=True):
    node_id: str
    gateway_url: str
    facilities: list[str]
    gateway_keys: list[PublicKey]
    key_id: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """gateway_keys: key id (schema.jws.key_id) -> the keys whose delegations count. key: this node's own, private."""

    node_id: str
    gateway_url: str
    facilities: tuple[str, ...]
    gateway_keys: Mapping[str, Ed25519PublicKey]
    key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Enrolment(node_id={self.node_id!r})"


def safe_url(url: str) -> bool:
    """https, or http to this very machine: the one-time code and identifiers travel over nothing else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost"))
    )


def declared_feeds(settings: Settings) -> dict[str, list[Feed]]:
    """Facility code -> its feeds, from the settings."""
    return {
        code: sorted({f.kind for f in settings.feeds if f.facility in (None, code)}, key=lambda feed: feed.value)
        for code in settings.facility_codes
    }


async def enrol(settings: Settings, gateway_url: str, code: str, node_url: str, client: httpx.AsyncClient) -> Enrolment:
    """Makes a key pair, shows code and public key to the gateway, and stores what it answered. Raises EnrolmentFailed.

    node_url: where the gateway will ask this node. After a failure the older enrolment, if any, still stands.
    """
    for url in (gateway_url, node_url):
        if not safe_url(url):
            raise EnrolmentFailed(
                f"{url}: phải là https, hoặc http trên chính máy này",
                f"{url}: must be https, or http on this very machine",
            )
    key = Ed25519PrivateKey.generate()
    before = load_enrolment(settings) if (settings.data_folder / FILE).exists() else None
    message = EnrolmentRequest(
        code,
        PublicKey.of(key.public_key()),
        node_url,
        {facility: [f.value for f in feeds] for facility, feeds in declared_feeds(settings).items()},
        CONTRACT_VERSION,
        sdl_sha256(),
        before.node_id if before else None,
        NodeRole(settings.role.upper()),
        sdl() or None,
    )
    reply = await _ask(gateway_url.rstrip("/") + ENROL_PATH, message, client)
    if reply.role is not message.role:  # an older gateway, which knows no roles
        raise EnrolmentFailed(
            f"Cổng không biết vai trò {settings.role}; nâng cấp cổng",
            f"the gateway does not know the role {settings.role}; update it",
        )
    saved = _Saved(
        reply.node_id, gateway_url.rstrip("/"), reply.facilities, reply.gateway_keys, key_id(key.public_key())
    )
    _save(settings, key, saved)
    return _enrolment(saved, key)


def sdl() -> str:
    """The node's printed schema; '' where the package carries none."""
    file = resources.files("schema").joinpath("node.graphql")
    return file.read_bytes().decode() if file.is_file() else ""


def sdl_sha256() -> str:
    """Its hex digest, or ''."""
    text = sdl()
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


async def _ask(url: str, message: EnrolmentRequest, client: httpx.AsyncClient) -> EnrolmentReply:
    try:
        response = await client.post(
            url,
            content=msgspec.json.encode(message),
            headers={"content-type": "application/json"},
            timeout=SECONDS,
            follow_redirects=False,
        )
    except httpx.HTTPError as error:
        name = type(error).__name__
        raise EnrolmentFailed(
            f"Không gọi được cổng {url} ({name})", f"cannot reach the gateway at {url} ({name})"
        ) from None
    try:
        if response.status_code == 200:
            return msgspec.json.decode(response.content, type=EnrolmentReply)
        refusal = msgspec.json.decode(response.content, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EnrolmentFailed(
            f"{url} không trả lời như một cổng (HTTP {response.status_code})",
            f"{url} does not answer like a gateway (HTTP {response.status_code})",
        ) from None
    raise EnrolmentFailed(f"{refusal.code}: {refusal.vi}", f"{refusal.code}: {refusal.en}")


def _save(settings: Settings, key: Ed25519PrivateKey, saved: _Saved) -> None:
    settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _exchange(settings.node_key_file, pem)
    _exchange(settings.data_folder / FILE, msgspec.json.format(msgspec.json.encode(saved)))


def _exchange(path: Path, content: bytes) -> None:
    """Puts the content there in one step, mode 0600: the file is the old one or the new one, never half of it."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def load_enrolment(settings: Settings) -> Enrolment | None:
    """The stored enrolment; None when this node never enrolled. Raises EnrolmentUnusable for damaged files."""
    file = settings.data_folder / FILE
    if not file.exists():
        return None
    try:
        saved = msgspec.json.decode(file.read_bytes(), type=_Saved)
        key = load_pem_private_key(settings.node_key_file.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey) or key_id(key.public_key()) != saved.key_id:
            raise ValueError
        return _enrolment(saved, key)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise EnrolmentUnusable(
            f"{file} và {settings.node_key_file} không khớp hoặc hỏng; ghi danh lại: node-agent enrol",
            f"{file} and {settings.node_key_file} do not match or are damaged; enrol again: node-agent enrol",
        ) from None


def _enrolment(saved: _Saved, key: Ed25519PrivateKey) -> Enrolment:
    keys: Sequence[Ed25519PublicKey] = [k.key() for k in saved.gateway_keys]
    return Enrolment(saved.node_id, saved.gateway_url, tuple(saved.facilities), {key_id(k): k for k in keys}, key)
