"""The development issuer works in demo mode and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.access.callers import Authenticator, Role
from gateway.access.issuer import DemoModeRequired, DevelopmentIssuer, app, demo_trust
from gateway.errors import KeyUnusable
from schema.identity import Identifier, IdentifierKind

NOW = 1_800_000_000.0
CCCD = Identifier(IdentifierKind.CCCD, "001085012345")


def clock() -> float:
    return NOW


def test_it_refuses_to_run_outside_demo_mode_and_leaves_no_key(tmp_path: Path) -> None:
    with pytest.raises(DemoModeRequired):
        DevelopmentIssuer(tmp_path, False, clock)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_a_gateway_in_demo_mode_reads_what_it_issues(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer(tmp_path, True, clock)
    checker = Authenticator([demo_trust(tmp_path)], True, clock)
    doctor = issuer.issue(Role.PRACTITIONER, "dr-lan", facility="01003", licence="1/HNO-CCHN", application="his")
    caller = await checker.authenticate(f"Bearer {doctor}")
    assert (caller.role, caller.subject, caller.facility) == (Role.PRACTITIONER, "dr-lan", "01003")
    assert (caller.licence, caller.application, caller.identity) == ("1/HNO-CCHN", "his", None)
    citizen = await checker.authenticate("Bearer " + issuer.issue(Role.CITIZEN, "c", identity=CCCD))
    assert citizen.identity == CCCD


@pytest.mark.anyio
async def test_the_key_is_kept_so_that_old_tokens_stay_good(tmp_path: Path) -> None:
    token = DevelopmentIssuer(tmp_path, True, clock).issue(Role.ANALYST, "a")
    DevelopmentIssuer(tmp_path, True, clock)
    caller = await Authenticator([demo_trust(tmp_path)], True, clock).authenticate(f"Bearer {token}")
    assert caller.role is Role.ANALYST


def test_its_key_is_readable_by_its_user_alone_and_its_jwks_holds_no_private_part(tmp_path: Path) -> None:
    DevelopmentIssuer(tmp_path, True, clock)
    key = tmp_path / "demo-issuer.key"
    assert key.stat().st_mode & 0o777 == 0o600
    (jwk,) = json.loads((tmp_path / "demo-issuer.jwks.json").read_text())["keys"]
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}
    key.chmod(0o644)
    with pytest.raises(KeyUnusable):
        DevelopmentIssuer(tmp_path, True, clock)


def run(folder: Path, demo_mode: str, *arguments: str) -> tuple[int, str, str]:
    environment = {"CITY_GATEWAY_DATA_FOLDER": str(folder), "CITY_GATEWAY_DEMO_MODE": demo_mode}
    result = CliRunner().invoke(app, ["issue", *arguments], env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_a_token_in_demo_mode(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "true", "--role", "practitioner", "--facility", "01003")
    assert code == 0 and out.strip().count(".") == 2


def test_the_command_says_why_it_gives_no_token(tmp_path: Path) -> None:
    code, out, error = run(tmp_path, "false", "--role", "practitioner")
    assert (code, out) == (1, "") and error.startswith("DEMO_MODE_REQUIRED")
    code, out, error = run(tmp_path, "true", "--role", "king")
    assert (code, out) == (2, "") and error.startswith("UNKNOWN_ROLE")
    code, out, error = run(tmp_path, "true", "--role", "citizen", "--cccd", "12345")
    assert (code, out) == (1, "") and "12345" not in error
