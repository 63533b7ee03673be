"""The command line an operator uses before the first node joins."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app, main
from gateway.errors import KeyUnusable, UnknownFacility


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Path:
    monkeypatch.setenv("CITY_GATEWAY_DATA_FOLDER", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_init_twice_keeps_the_key(folder: Path, database: str) -> None:
    first, second = run("init"), run("init")
    assert (first.exit_code, second.exit_code) == (0, 0)
    fingerprint = second.stdout.strip()
    assert first.stdout.strip().endswith(fingerprint) and fingerprint.startswith("1:")
    assert run("key", "show-fingerprint").stdout.strip() == fingerprint
    file = {"gateway.db"} if database == "sqlite" else set()
    assert {f.name for f in folder.iterdir() if not f.name.startswith("gateway.db-")} == {
        "city.key",
        "gateway.key",
    } | file


def test_a_facility_is_added_listed_as_not_connected_and_renamed() -> None:
    run("init")
    assert run("facility", "add", "01001", "Bệnh viện A").exit_code == 0
    assert run("facility", "add", "01001", "Bệnh viện B").exit_code == 0
    listed = run("nodes", "list").stdout
    assert "01001  Bệnh viện B  NOT_CONNECTED" in listed and "Bệnh viện A" not in listed
    assert run("facility", "add", "1001", "x").exit_code == 2


def test_each_invitation_is_another_code_of_128_bits() -> None:
    run("facility", "add", "01001", "Bệnh viện A")
    codes = {run("nodes", "invite", "--facility", "01001").stdout.strip() for _ in range(3)}
    assert len(codes) == 3
    assert {len(code.replace("-", "")) for code in codes} == {26}


def test_what_does_not_exist_is_named() -> None:
    assert isinstance(run("nodes", "invite", "--facility", "99999").exception, UnknownFacility)
    assert isinstance(run("key", "show-fingerprint").exception, KeyUnusable)
    assert run("nodes", "revoke", "node-x").exit_code == 1


def test_what_cannot_be_used_is_told_in_two_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_text("a file is in its place", "utf-8")
    for words in (["nodes", "list"], ["init"]):
        monkeypatch.setattr("sys.argv", ["city-gateway", *words])
        with pytest.raises(SystemExit, match="1"):
            main()
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[0] for line in lines] == ["STORE_UNUSABLE"] * 2
        assert str(folder) in lines[0]


def test_a_server_that_cannot_start_says_why_in_two_lines(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["city-gateway", "serve"])
    with pytest.raises(SystemExit, match="1"):
        main()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["KEY_UNUSABLE"] * 2
    assert str(folder / "city.key") in lines[0]


def test_keys_are_not_made_inside_a_source_repository(folder: Path) -> None:
    (folder.parent / ".git").mkdir()
    assert isinstance(run("init").exception, KeyUnusable)
    assert not (folder / "city.key").exists()
