"""The command line an operator uses before the first node joins."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app, main
from gateway.errors import FacilityListUnusable, KeyUnusable, UnknownFacility


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


def test_a_list_of_facilities_is_registered_at_once_and_again_changes_only_names(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        '\ufefftên cũ,code,name\r\n,01001,Bệnh viện A\r\n,01002,"Bệnh viện B, cơ sở 2"\r\n', encoding="utf-8"
    )
    assert run("facility", "import", str(file)).stdout.startswith("2 cơ sở: 2 mới, 0 đổi tên")
    run("facility", "add", "01003", "Bệnh viện C")
    file.write_text('code,name\n01001,Bệnh viện Á\n01002,"Bệnh viện B, cơ sở 2"\n', encoding="utf-8")
    assert "0 new, 1 renamed" in run("facility", "import", str(file)).stdout
    listed = run("nodes", "list").stdout
    assert all(text in listed for text in ("01001  Bệnh viện Á", "01002  Bệnh viện B, cơ sở 2", "01003  Bệnh viện C"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "line 1: the column code, name"),
        (b"code;name\n01001;A\n", "line 1: the column code, name"),
        (b"code,name\n01001,A\n1002,B\n", "line 3: code must be"),
        (b"code,name\n01001,A\n01002\n", "line 3: the name is missing"),
        (b"code,name\n01001,A\n01001,B\n", "line 3: 01001 is above already"),
        (b"code,name\n01001,A\n01002,B\xffn\n", "line 3: this is not UTF-8"),
        (b'code,name\n01001,A\n01002,"B"x\n', "line 3: this is not CSV"),
    ],
)
def test_a_bad_list_of_facilities_is_refused_whole_with_its_line(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(text)
    refused = run("facility", "import", str(file)).exception
    assert isinstance(refused, FacilityListUnusable) and refused.en.startswith(said) and "Dòng" in refused.vi
    assert "01001" not in run("nodes", "list").stdout


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
