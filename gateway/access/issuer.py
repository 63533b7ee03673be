"""The development issuer: access tokens for demos and tests, and `city-gateway token issue`. Never used to verify a token.

It refuses to work unless demo mode is on. Its key is made on demand in the data folder and trusted through a JWKS file
beside it, by an Authenticator in demo mode only.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.access.callers import DEMO_ISSUER, Role
from gateway.errors import GatewayError, InternalError
from gateway.keys import create_signing_key, load_signing_key
from gateway.settings import Issuer, load_settings
from schema import jws
from schema.identity import Identifier, IdentifierError, IdentifierKind, canonical

DEMO_AUDIENCE = "urn:hanoi-health-graph:gateway"
_KEY_FILE = "demo-issuer.key"
_JWKS_FILE = "demo-issuer.jwks.json"


class DemoModeRequired(InternalError):
    """The development issuer was asked to work outside demo mode."""

    code = "DEMO_MODE_REQUIRED"

    def __init__(self) -> None:
        super().__init__(
            "Bộ cấp mã thử nghiệm chỉ chạy trong chế độ trình diễn (demo_mode = true)",
            "the development issuer works only in demo mode (demo_mode = true)",
        )


def demo_trust(data_folder: Path) -> Issuer:
    """What an Authenticator needs to trust the development issuer of this data folder (it does so only in demo mode)."""
    return Issuer(issuer=DEMO_ISSUER, audience=DEMO_AUDIENCE, jwks_file=data_folder / _JWKS_FILE)


class DevelopmentIssuer:
    """Signs access tokens with a key of its own; raises DemoModeRequired or KeyUnusable. clock: Unix seconds."""

    def __init__(self, data_folder: Path, demo_mode: bool, clock: Callable[[], float]) -> None:
        if demo_mode is not True:
            raise DemoModeRequired
        self._clock = clock
        key_file = data_folder / _KEY_FILE
        if not key_file.exists():
            create_signing_key(key_file)
        # A key worth nothing outside a demo may lie in a checkout's .demo folder.
        self._key = load_signing_key(key_file, allow_repository=True)
        public = self._key.public_key()
        self._kid = jws.key_id(public)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": jws.encode_segment(public.public_bytes_raw()).decode()}
        jwk |= {"kid": self._kid, "use": "sig", "alg": "Ed25519"}
        _replace(data_folder / _JWKS_FILE, msgspec.json.encode({"keys": [jwk]}))

    def issue(
        self,
        role: Role,
        subject: str,
        *,
        facility: str | None = None,
        licence: str | None = None,
        identity: Identifier | None = None,
        application: str = "demo",
        seconds: int = 3600,
        reads_extensions: bool = False,
    ) -> str:
        """A compact JWS with the claims of docs/ACCESS.md, valid from now for `seconds`."""
        now = int(self._clock())
        claims = {
            "iss": DEMO_ISSUER,
            "aud": DEMO_AUDIENCE,
            "sub": subject,
            "client_id": application,
            "role": role.value,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": secrets.token_urlsafe(16),
            "facility": facility,
            "licence": licence,
            "identity": identity and {"kind": identity.kind.value, "value": identity.value},
            "reads_extensions": reads_extensions,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        return jws.sign(self._key, self._kid, "at+jwt", msgspec.json.encode(given))


def _replace(path: Path, content: bytes) -> None:
    """Writes a whole file at once, so that a gateway never reads half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(name).replace(path)


app = typer.Typer(no_args_is_help=True, help="Mã truy cập thử nghiệm. Access tokens for demos.")


@app.callback()
def token() -> None:
    """Mã truy cập thử nghiệm. Access tokens for demos."""


@app.command()
def issue(
    role: Annotated[str, typer.Option(help="practitioner, citizen, guardian, operator, analyst, reviewer, auditor")],
    subject: Annotated[str, typer.Option(help="Người dùng. The user's name in the token.")] = "demo-user",
    facility: Annotated[str | None, typer.Option(help="MA_CSKCB")] = None,
    licence: Annotated[str | None, typer.Option(help="Số chứng chỉ hành nghề. Practising licence.")] = None,
    cccd: Annotated[str | None, typer.Option(help="CCCD của công dân. A citizen's own (invented) CCCD.")] = None,
    application: Annotated[str, typer.Option(help="client_id")] = "demo",
    seconds: Annotated[int, typer.Option(min=1, max=31_536_000, help="Thời hạn. Life in seconds.")] = 3600,
    reads_extensions: Annotated[bool, typer.Option(help="Ứng dụng đọc extensions.coverage.")] = False,
    config: Annotated[Path | None, typer.Option(help="Tệp cấu hình. Settings file.")] = None,
) -> None:
    """Cấp một mã truy cập, chỉ trong chế độ trình diễn. Prints an access token; demo mode only."""
    try:
        settings = load_settings(config)
        issuer = DevelopmentIssuer(settings.data_folder, settings.demo_mode, time.time)
        identity = canonical(IdentifierKind.CCCD, cccd) if cccd else None
        made = issuer.issue(
            Role(role.upper()),
            subject,
            facility=facility,
            licence=licence,
            identity=identity,
            application=application,
            seconds=seconds,
            reads_extensions=reads_extensions,
        )
    except (GatewayError, IdentifierError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except ValueError:
        known = ", ".join(r.value.lower() for r in Role)
        typer.echo(f"UNKNOWN_ROLE: vai trò phải là / the role must be one of: {known}", err=True)
        raise typer.Exit(2) from None
    typer.echo(made)
