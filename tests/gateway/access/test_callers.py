"""Access tokens: who is let in, and every way of not being."""

from __future__ import annotations

import base64
import hmac
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.access.callers import DEMO_ISSUER, SKEW_SECONDS, Authenticator, Caller, Role, Unauthenticated
from gateway.access.issuer import DevelopmentIssuer, demo_trust
from gateway.access.jwks import REFETCH_SECONDS
from gateway.settings import Issuer
from schema.identity import Identifier, IdentifierKind

pytestmark = pytest.mark.anyio
ISSUER, AUDIENCE = "https://login.example", "urn:gateway"
KEYS: dict[str, RSAKey | ECKey | OKPKey] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "okp"}),
}
KEYS["Ed25519"] = KEYS["EdDSA"]


class Clock:
    """A clock that the test moves."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def write_jwks(folder: Path, *keys: RSAKey | ECKey | OKPKey | OctKey, private: bool = False) -> Path:
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=private) for key in keys]}))
    return file


def authenticator(folder: Path, clock: Clock, *keys: RSAKey | ECKey | OKPKey, demo_mode: bool = False) -> Authenticator:
    file = write_jwks(folder, *(keys or [KEYS["RS256"], KEYS["ES256"], KEYS["EdDSA"]]))
    return Authenticator([Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_file=file)], demo_mode, clock)


def claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "dr-lan",
        "client_id": "his-app",
        "role": "PRACTITIONER",
        "facility": "01003",
        "exp": Clock.now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(algorithm: str = "ES256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    key = KEYS[algorithm]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # issuers in use still write EdDSA
        made = jwt.encode(
            {"alg": algorithm, "kid": key.kid} if header is None else header,
            claims(**changes),
            key,
            algorithms=[algorithm],
        )
    return f"Bearer {made}"


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


async def refusal(checker: Authenticator, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await checker.authenticate(authorization)
    assert caught.value.code == "UNAUTHENTICATED"
    return caught.value.reason


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "Ed25519"])
async def test_each_allowed_algorithm_gives_the_caller(tmp_path: Path, algorithm: str) -> None:
    checker = authenticator(tmp_path, Clock())
    caller = await checker.authenticate(token(algorithm, licence="000123/HNO-CCHN", reads_extensions=True))
    assert caller == Caller(
        Role.PRACTITIONER,
        "dr-lan",
        ISSUER,
        "his-app",
        facility="01003",
        licence="000123/HNO-CCHN",
        reads_extensions=True,
    )


async def test_a_citizens_identity_is_read_canonically_and_never_printed(tmp_path: Path) -> None:
    checker = authenticator(tmp_path, Clock())
    identity = {"kind": "CCCD", "value": "001 085 012 345"}
    caller = await checker.authenticate(token(role="CITIZEN", identity=identity))
    assert caller.identity == Identifier(IdentifierKind.CCCD, "001085012345")
    assert "001085012345" not in repr(caller)
    assert await refusal(checker, token(identity={"kind": "CCCD", "value": "12"})) == "CLAIMS"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic abc", "abc"])
async def test_no_token_is_missing(tmp_path: Path, authorization: str | None) -> None:
    assert await refusal(authenticator(tmp_path, Clock()), authorization) == "MISSING"


@pytest.mark.parametrize("rubbish", ["a", "a.b.c", "..", "é.é.é", "x" * 9000, "W10.W10.W10"])
async def test_rubbish_is_malformed(tmp_path: Path, rubbish: str) -> None:
    assert await refusal(authenticator(tmp_path, Clock()), f"Bearer {rubbish}") == "MALFORMED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://other.example"}, "ISSUER"),
        ({"aud": "urn:other"}, "AUDIENCE"),
        ({"aud": []}, "AUDIENCE"),
        ({"aud": None}, "CLAIMS"),
        ({"exp": None}, "CLAIMS"),
        ({"exp": "tomorrow"}, "CLAIMS"),
        ({"sub": None}, "CLAIMS"),
        ({"sub": ""}, "CLAIMS"),
        ({"client_id": None}, "CLAIMS"),
        ({"role": None}, "CLAIMS"),
        ({"role": "ADMIN"}, "CLAIMS"),
        ({"facility": 1003}, "CLAIMS"),
        ({"exp": Clock.now - SKEW_SECONDS}, "EXPIRED"),
        ({"nbf": Clock.now + SKEW_SECONDS + 1}, "NOT_YET_VALID"),
    ],
)
async def test_each_wrong_claim_has_its_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    assert await refusal(authenticator(tmp_path, Clock()), token(**changes)) == reason


async def test_clocks_may_differ_by_five_seconds(tmp_path: Path) -> None:
    checker = authenticator(tmp_path, Clock())
    assert (await checker.authenticate(token(exp=Clock.now - SKEW_SECONDS + 1))).subject == "dr-lan"
    assert (await checker.authenticate(token(nbf=Clock.now + SKEW_SECONDS))).subject == "dr-lan"


async def test_one_of_several_audiences_is_enough(tmp_path: Path) -> None:
    checker = authenticator(tmp_path, Clock())
    assert (await checker.authenticate(token(aud=["urn:other", AUDIENCE]))).application == "his-app"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "RS512", "EdDSA"])
async def test_the_algorithm_must_be_the_keys_own(tmp_path: Path, algorithm: str) -> None:
    header = b64(json.dumps({"alg": algorithm, "kid": "ec"}).encode()).decode()
    forged = f"Bearer {header}.{token().split('.', 1)[1]}"
    assert await refusal(authenticator(tmp_path, Clock()), forged) == "ALGORITHM"


async def test_a_public_key_is_no_shared_secret(tmp_path: Path) -> None:
    checker = authenticator(tmp_path, Clock())
    signed = b".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "rsa"}, claims()))
    mac = hmac.digest(KEYS["RS256"].as_pem(private=False), signed, "sha256")
    assert await refusal(checker, "Bearer " + (signed + b"." + b64(mac)).decode()) == "ALGORITHM"


async def test_a_shared_secret_in_the_jwks_is_no_key(tmp_path: Path) -> None:
    secret = OctKey.generate_key(256, {"kid": "oct"})
    file = write_jwks(tmp_path, secret, KEYS["ES256"], private=True)
    checker = Authenticator([Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_file=file)], False, Clock())
    forged = jwt.encode({"alg": "HS256", "kid": "oct"}, claims(), secret, algorithms=["HS256"])
    assert await refusal(checker, f"Bearer {forged}") == "ALGORITHM"
    assert (await checker.authenticate(token())).subject == "dr-lan"


async def test_a_signature_of_another_key_or_over_other_claims_is_refused(tmp_path: Path) -> None:
    checker = authenticator(tmp_path, Clock())
    stranger = ECKey.generate_key("P-256", {"kid": "ec"})
    forged = jwt.encode({"alg": "ES256", "kid": "ec"}, claims(), stranger)
    assert await refusal(checker, f"Bearer {forged}") == "SIGNATURE"
    one, two = token().split("."), token(facility="01929").split(".")
    assert await refusal(checker, ".".join([one[0], two[1], one[2]])) == "SIGNATURE"


@pytest.mark.parametrize("header", [{"alg": "ES256"}, {"alg": "ES256", "kid": "unknown"}])
async def test_a_token_must_name_a_published_key(tmp_path: Path, header: dict[str, Any]) -> None:
    assert await refusal(authenticator(tmp_path, Clock()), token(header=header)) == "KEY"


async def test_a_verified_token_is_remembered_but_never_beyond_its_end(tmp_path: Path) -> None:
    clock = Clock()
    checker = authenticator(tmp_path, clock)
    sent = token(exp=clock.now + 8)
    first = await checker.authenticate(sent)
    assert await checker.authenticate(sent) is first
    clock.now += 8 + SKEW_SECONDS
    assert await refusal(checker, sent) == "EXPIRED"


async def test_the_demo_issuer_is_trusted_only_in_demo_mode_even_if_configured(tmp_path: Path) -> None:
    clock = Clock()
    made = "Bearer " + DevelopmentIssuer(tmp_path, True, clock).issue(Role.CITIZEN, "c")
    trusted = [demo_trust(tmp_path)]
    assert (await Authenticator(trusted, True, clock).authenticate(made)).issuer == DEMO_ISSUER
    assert await refusal(Authenticator(trusted, False, clock), made) == "ISSUER"


async def test_keys_that_cannot_be_had_let_nobody_in(tmp_path: Path) -> None:
    clock = Clock()
    issuer = Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_file=tmp_path / "absent.json")
    checker = Authenticator([issuer], False, clock)
    assert await refusal(checker, token()) == "KEYS_UNAVAILABLE"
    (tmp_path / "absent.json").write_text("{broken")
    clock.now += REFETCH_SECONDS
    assert await refusal(checker, token()) == "KEYS_UNAVAILABLE"
    write_jwks(tmp_path, KEYS["ES256"]).rename(tmp_path / "absent.json")
    clock.now += REFETCH_SECONDS
    assert (await checker.authenticate(token())).subject == "dr-lan"
