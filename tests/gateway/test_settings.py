"""The gateway's settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.errors import SettingsInvalid
from gateway.settings import Settings, load_settings


def write(folder: Path, text: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text)
    return file


def test_a_file_with_only_a_data_folder_gives_sqlite_on_loopback(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, f'data_folder = "{tmp_path}"'), {})
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/gateway.db"
    assert (settings.listen_host, settings.demo_mode, settings.transport) == ("127.0.0.1", False, "pyreqwest")


def test_an_unknown_key_in_the_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="lisen_port"):
        load_settings(write(tmp_path, f'data_folder = "{tmp_path}"\nlisen_port = 1'), {})


def test_an_unknown_variable_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="CITY_GATEWAY_LISEN_PORT"):
        load_settings(write(tmp_path, f'data_folder = "{tmp_path}"'), {"CITY_GATEWAY_LISEN_PORT": "1"})


def test_a_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITY_GATEWAY_LISTEN_PORT", "9001")
    monkeypatch.setenv("CITY_GATEWAY_CONFIG", str(write(tmp_path, f'data_folder = "{tmp_path}"\nlisten_port = 9000')))
    assert load_settings().listen_port == 9001


def test_a_node_may_not_have_longer_than_the_request(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="node_deadline_seconds"):
        load_settings(write(tmp_path, f'data_folder = "{tmp_path}"\nnode_deadline_seconds = 2.0'), {})


def test_an_issuer_names_exactly_one_source_of_keys_and_never_plain_http(tmp_path: Path) -> None:
    head = f'data_folder = "{tmp_path}"\n[[issuers]]\nissuer = "https://sso.example"\naudience = "gateway"\n'
    for lines in ("", 'jwks_file = "a"\njwks_url = "https://a"', 'jwks_url = "http://a"'):
        with pytest.raises(SettingsInvalid, match="jwks"):
            load_settings(write(tmp_path, head + lines), {})
    assert load_settings(write(tmp_path, head + 'jwks_file = "keys.json"'), {}).issuers[0].audience == "gateway"


def test_a_wrong_value_is_named_but_never_shown(tmp_path: Path) -> None:
    file = write(tmp_path, f'data_folder = "{tmp_path}"\ndatabase_url = "mysql://root:secret@db"')
    with pytest.raises(SettingsInvalid, match="database_url") as caught:
        load_settings(file, {})
    assert "secret" not in str(caught.value)


def test_a_database_url_that_cannot_be_read_is_never_quoted(tmp_path: Path) -> None:
    for url in ("postgresql+asyncpg://u:secret@[::/db", "postgresql+asyncpg://u:p@h:secret/db"):
        with pytest.raises(SettingsInvalid, match="database_url cannot be read as a URL") as caught:
            load_settings(write(tmp_path, f'data_folder = "{tmp_path}"\ndatabase_url = "{url}"'), {})
        assert "secret" not in str(caught.value)


def test_settings_do_not_change_after_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Settings(data_folder=tmp_path).listen_port = 1
